"""One request through ccxt's raw methods, and the one complete answer that belongs to it.

Invariant: one call is one request. ccxt's retries are off (asserted), its limiter is off (our budget counts the whole
address), it signs with the exchange's time, and each call's status, headers and body are bound to that call, however
many run at once.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final

import aiohttp
import ccxt.async_support as ccxt

from libs.common.clock import Clock, epoch_ms
from libs.common.errors import ConfigurationError, DeadlineExceededError, RetryableError
from libs.common.observability import metrics
from libs.exchange.addresses import ExchangeAddress, ccxt_options, require_address
from libs.exchange.credentials import Credentials
from libs.exchange.limits import AddressBudget, BudgetExhaustedError, Purpose
from libs.exchange.order_counts import OrderCounts
from libs.exchange.orders.requests import TIME, Endpoint
from libs.exchange.outcomes import NO_REPLY
from libs.exchange.replies import ERROR_STATUS, Reply
from libs.exchange.server_clock import ServerClock

READ_DEADLINE_S: Final = 5.0

_CLOCK_REFUSED: Final = -1021


class _Cell:
    """Where one call's reply lands."""

    __slots__ = ("reply",)

    def __init__(self) -> None:
        self.reply: Reply | None = None


_CELL: ContextVar[_Cell | None] = ContextVar("reply_of_this_call", default=None)


class _Binance(ccxt.binance):  # type: ignore[misc]  # ccxt is untyped
    """ccxt's Binance, which hands each complete answer to the call that waits for it."""

    def __init__(self, options: Mapping[str, Any], *, now_ms: Callable[[], int]) -> None:
        super().__init__(options)
        self._now_ms = now_ms

    def nonce(self) -> int:
        """Return the time that requests are signed with; ccxt's own is the computer's clock."""
        return self._now_ms()

    def on_rest_response(  # noqa: PLR0917 - ccxt's own signature
        self,
        code: int,
        reason: str,
        url: str,
        method: str,
        response_headers: Mapping[str, str],
        response_body: str,
        request_headers: Any,
        request_body: Any,
    ) -> Any:
        cell = _CELL.get()
        if cell is not None:
            cell.reply = Reply.of(status=code, headers=response_headers, text=response_body)
        return super().on_rest_response(
            code, reason, url, method, response_headers, response_body, request_headers, request_body
        )


class NoConnectionError(RetryableError):
    """No connection to the exchange could be made: no byte of the request was sent."""


class Caller:
    """Makes the requests of one account."""

    def __init__(
        self,
        *,
        credentials: Credentials,
        address: ExchangeAddress,
        clock: Clock,
        server_clock: ServerClock,
        budget: AddressBudget,
    ) -> None:
        """Take the account's key and the address.

        Raises:
            ConfigurationError: ccxt would repeat requests by itself, or ask another host.
        """
        self._clock = clock
        self._server_clock = server_clock
        self._budget = budget
        self._counts = OrderCounts()
        self._client: Any = _Binance(
            {
                **ccxt_options(address),
                "apiKey": credentials.api_key,
                "secret": credentials.api_secret,
                "timeout": int(READ_DEADLINE_S * 2_000),  # ours come first; this is a second fence
            },
            now_ms=self._exchange_ms,
        )
        require_address(self._client.urls["api"], address)
        retries = self._client.options.get("maxRetriesOnFailure", 0)
        if retries != 0:
            raise ConfigurationError(
                where="ccxt option maxRetriesOnFailure", expected="0: an order is never sent twice", found=str(retries)
            )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def wait_s(self, purpose: Purpose, *, orders: int = 0) -> float:
        """Return the seconds until this purpose may ask, or send this many orders; 0: now."""
        return max(self._budget.wait_s(purpose), self._counts.wait_s(purpose, orders, exchange_ms=self._exchange_ms()))

    async def ask(
        self, endpoint: Endpoint, parameters: Mapping[str, Any], *, purpose: Purpose, deadline_s: float
    ) -> Reply:
        """Make one request and return its complete answer.

        Raises:
            NoConnectionError: Nothing was sent.
            BudgetExhaustedError: The same.
            RetryableError: Sent, and no complete answer came.
        """
        orders_wait_s = self._counts.wait_s(purpose, endpoint.orders, exchange_ms=self._exchange_ms())
        if orders_wait_s > 0:
            metrics.EXCHANGE_REQUESTS_HELD.labels(purpose=purpose.name).inc()
            raise BudgetExhaustedError(
                f"expected room for {endpoint.orders} orders of {purpose.name}, found none for {orders_wait_s:.1f} s",
                retry_in_s=orders_wait_s,
            )
        with self._budget.spending(purpose, weight=endpoint.weight):
            reply = await self._send(endpoint, parameters, deadline_s)
        self._budget.observe(reply)
        self._counts.observe(reply, exchange_ms=self._exchange_ms())
        if reply.code == _CLOCK_REFUSED:
            self._server_clock.doubt()
        return reply

    async def read(
        self,
        endpoint: Endpoint,
        parameters: Mapping[str, Any],
        kind: type,
        *,
        purpose: Purpose = Purpose.RECONCILIATION,
        deadline_s: float = READ_DEADLINE_S,
    ) -> Any:
        """Ask for something and return the body of the answer.

        Raises:
            RetryableError: Not answered, or not with a body of this kind.
        """
        reply = await self.ask(endpoint, parameters, purpose=purpose, deadline_s=deadline_s)
        if reply.status >= ERROR_STATUS or not isinstance(reply.body, kind):
            raise RetryableError(
                f"exchange: expected a {kind.__name__}, found HTTP {reply.status} {reply.code or ''} {reply.message}",
                retry_in_s=reply.retry_after_s,
            )
        return reply.body

    async def measure_clock(self) -> int:
        """Ask the exchange's clock and return its offset from ours, in ms.

        Raises:
            RetryableError: Not answered, or not readably.
        """
        asked_at_s = self._clock.monotonic_s()
        body = await self.read(TIME, {}, dict, purpose=Purpose.CLOCK)
        answered_at_s = self._clock.monotonic_s()
        server_ms = body.get("serverTime")
        if not isinstance(server_ms, int):
            raise RetryableError(f"server time: expected milliseconds, found {server_ms!r}")
        self._server_clock.read(server_ms, asked_at_s=asked_at_s, answered_at_s=answered_at_s)
        return self._server_clock.offset_ms or 0

    async def _send(self, endpoint: Endpoint, parameters: Mapping[str, Any], deadline_s: float) -> Reply:
        cell = _Cell()
        token = _CELL.set(cell)
        # Only what went wrong before an answer matters: with an answer, its status and body say everything.
        failure: Exception | None = None
        try:
            async with asyncio.timeout(deadline_s):
                await getattr(self._client, endpoint.method)(dict(parameters))
        except TimeoutError:
            failure = DeadlineExceededError("exchange", deadline_s=deadline_s)
        except ccxt.BaseError as error:
            failure = error
        finally:
            _CELL.reset(token)
        if cell.reply is not None:
            return cell.reply
        if isinstance(getattr(failure, "__cause__", None), aiohttp.ClientConnectorError):
            raise NoConnectionError("exchange: expected a connection, found none") from failure
        raise RetryableError(f"exchange: {NO_REPLY.detail}") from failure

    def _exchange_ms(self) -> int:
        exchange_ms = self._server_clock.now_ms()
        return epoch_ms(self._clock.now()) if exchange_ms is None else exchange_ms
