"""Orders at Binance through ccxt's raw methods: string amounts in, one bound reply out.

Invariant: one call is one request. ccxt's retries are off (asserted), its limiter is off (our budget counts the whole
address), and each call's status, headers and body are bound to that call, however many run at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final

import aiohttp
import ccxt.async_support as ccxt

from libs.common.clock import Clock, epoch_ms
from libs.common.errors import ConfigurationError, DeadlineExceededError, RetryableError
from libs.exchange.addresses import ExchangeAddress, ccxt_options, require_address
from libs.exchange.credentials import Credentials
from libs.exchange.instruments import Listing, exchange_symbol, parse_listings
from libs.exchange.limits import Purpose, RateBudget
from libs.exchange.orders import reading
from libs.exchange.orders.port import (
    Balance,
    Cancellation,
    Lookup,
    NewOco,
    NewOrder,
    OrderReport,
    Placement,
    TradeReport,
)
from libs.exchange.outcomes import (
    NEVER_SENT,
    NO_REPLY,
    CancelVerdict,
    Finding,
    Outcome,
    Reason,
    Verdict,
    classify_cancel,
    classify_placement,
    classify_query,
)
from libs.exchange.replies import ERROR_STATUS, Reply
from libs.trading.money import plain

PLACE_DEADLINE_S: Final = 4.0
READ_DEADLINE_S: Final = 5.0
TRADES_LIMIT: Final = 1_000

_Call = Callable[[dict[str, Any]], Awaitable[Any]]


class _Cell:
    """Where one call's reply lands."""

    __slots__ = ("reply",)

    def __init__(self) -> None:
        self.reply: Reply | None = None


_CELL: ContextVar[_Cell | None] = ContextVar("reply_of_this_call", default=None)


class _Binance(ccxt.binance):  # type: ignore[misc]  # ccxt is untyped
    """ccxt's Binance, which hands each complete answer to the call that waits for it."""

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


class BudgetExhaustedError(RetryableError):
    """The request weight left is kept for more urgent purposes, or the exchange told us to wait."""


class CcxtOrderGateway:
    """`OrderGateway` for one account."""

    def __init__(
        self, *, credentials: Credentials, address: ExchangeAddress, symbols: Sequence[str], clock: Clock
    ) -> None:
        """Take the account's key and the address.

        Raises:
            ConfigurationError: ccxt would repeat requests by itself, or ask another host.
        """
        self._clock = clock
        self._symbols = {exchange_symbol(symbol): symbol for symbol in symbols}
        self._reader = reading.Reader(self._symbols)
        self._budget = RateBudget()
        self._offset_ms: int | None = None
        self._client: Any = _Binance(
            {
                **ccxt_options(address),
                "apiKey": credentials.api_key,
                "secret": credentials.api_secret,
                "timeout": int(READ_DEADLINE_S * 2_000),  # ours come first; this is a second fence
            }
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

    @property
    def clock_offset_ms(self) -> int | None:
        """The exchange's clock minus ours; None before the first measurement."""
        return self._offset_ms

    @property
    def budget(self) -> RateBudget:
        """The address's budget as last seen, for metrics."""
        return self._budget

    def wait_s(self, purpose: Purpose) -> float:
        """Return the seconds until the budget admits this purpose; 0: now."""
        return self._budget.wait_s(purpose, exchange_ms=self._exchange_ms(), now_s=self._clock.monotonic_s())

    async def place(self, order: NewOrder, *, purpose: Purpose) -> Placement:
        """Send an order, once."""
        parameters = _without_none(
            symbol=exchange_symbol(order.symbol),
            side=order.side.value,
            type=order.order_type.value,
            timeInForce=order.time_in_force,
            quantity=plain(order.quantity),
            price=plain(order.price) if order.price is not None else None,
            stopPrice=plain(order.stop_price) if order.stop_price is not None else None,
            newClientOrderId=order.client_order_id,
            newOrderRespType="FULL",
            timestamp=order.signing.at_ms,
            recvWindow=order.signing.recv_window_ms,
        )
        return await self._place(self._client.private_post_order, parameters, order.client_order_id, purpose)

    async def place_oco(self, oco: NewOco) -> Placement:
        """Send an order list, once."""
        below_limit = oco.below_price is not None
        parameters = _without_none(
            symbol=exchange_symbol(oco.symbol),
            side="SELL",
            quantity=plain(oco.quantity),
            aboveType="LIMIT_MAKER",
            abovePrice=plain(oco.above_price),
            aboveClientOrderId=oco.above_client_order_id,
            belowType="STOP_LOSS_LIMIT" if below_limit else "STOP_LOSS",
            belowStopPrice=plain(oco.below_stop_price),
            belowPrice=plain(oco.below_price) if oco.below_price is not None else None,
            belowTimeInForce="GTC" if below_limit else None,
            belowClientOrderId=oco.below_client_order_id,
            listClientOrderId=oco.list_client_order_id,
            newOrderRespType="RESULT",
            timestamp=oco.signing.at_ms,
            recvWindow=oco.signing.recv_window_ms,
        )
        return await self._place(
            self._client.private_post_orderlist_oco, parameters, oco.list_client_order_id, Purpose.REDUCTION
        )

    async def cancel(self, symbol: str, client_order_id: str) -> Cancellation:
        """Cancel one order by its client id."""
        parameters = {"symbol": exchange_symbol(symbol), "origClientOrderId": client_order_id}
        return await self._cancel(self._client.private_delete_order, parameters, client_order_id)

    async def cancel_list(self, symbol: str, list_client_order_id: str) -> Cancellation:
        """Cancel an order list by its client id."""
        parameters = {"symbol": exchange_symbol(symbol), "listClientOrderId": list_client_order_id}
        return await self._cancel(self._client.private_delete_orderlist, parameters, list_client_order_id)

    async def order(self, symbol: str, client_order_id: str) -> Lookup:
        """Ask for an order by its client id."""
        return await self._look_up({"symbol": exchange_symbol(symbol), "origClientOrderId": client_order_id})

    async def order_by_exchange_id(self, symbol: str, exchange_order_id: str) -> Lookup:
        """Ask for an order by the exchange's id."""
        return await self._look_up({"symbol": exchange_symbol(symbol), "orderId": exchange_order_id})

    async def open_orders(self, symbol: str, *, purpose: Purpose = Purpose.RECONCILIATION) -> Sequence[OrderReport]:
        """Return the orders of the account that are open.

        Raises:
            RetryableError: Not answered, or not readably.
        """
        body = await self._read(self._client.private_get_openorders, {"symbol": exchange_symbol(symbol)}, list, purpose)
        return tuple(self._reader.order(entry) for entry in body)

    async def trades(self, symbol: str, *, from_id: int | None) -> Sequence[TradeReport]:
        """Return up to 1000 executions of the account, oldest first: from a trade id on, or the most recent.

        Raises:
            RetryableError: Not answered, or not readably.
        """
        parameters = _without_none(symbol=exchange_symbol(symbol), fromId=from_id, limit=TRADES_LIMIT)
        body = await self._read(self._client.private_get_mytrades, parameters, list)
        return tuple(self._reader.trade(entry) for entry in body)

    async def trades_of(self, symbol: str, exchange_order_id: str) -> Sequence[TradeReport]:
        """Return the executions of one order.

        Raises:
            RetryableError: Not answered, or not readably.
        """
        parameters = {"symbol": exchange_symbol(symbol), "orderId": exchange_order_id}
        body = await self._read(self._client.private_get_mytrades, parameters, list, Purpose.REDUCTION)
        return tuple(self._reader.trade(entry) for entry in body)

    async def balances(self) -> Mapping[str, Balance]:
        """Return what the account holds, by asset.

        Raises:
            RetryableError: Not answered, or not readably.
        """
        return reading.balances(await self._read(self._client.private_get_account, {"omitZeroBalances": "true"}, dict))

    async def measure_clock(self) -> int:
        """Ask the exchange's clock and return its offset from ours, in ms.

        Raises:
            RetryableError: Not answered, or not readably.
        """
        before_ms = epoch_ms(self._clock.now())
        body = await self._read(self._client.public_get_time, {}, dict, Purpose.REDUCTION)
        after_ms = epoch_ms(self._clock.now())
        server_ms = body.get("serverTime")
        if not isinstance(server_ms, int):
            raise RetryableError(f"server time: expected milliseconds, found {server_ms!r}")
        self._offset_ms = server_ms - (before_ms + after_ms) // 2
        return self._offset_ms

    async def listings(self, symbols: Sequence[str]) -> Mapping[str, Listing]:
        """Return the trading rules of these symbols.

        Raises:
            RetryableError: Not answered, or not readably.
        """
        return parse_listings(await self._read(self._client.public_get_exchangeinfo, {}, dict), symbols)

    async def _place(self, call: _Call, parameters: dict[str, Any], client_id: str, purpose: Purpose) -> Placement:
        try:
            reply = await self._ask(call, parameters, purpose=purpose, deadline_s=PLACE_DEADLINE_S)
        except NoConnectionError:
            return Placement(outcome=NEVER_SENT)
        except BudgetExhaustedError as error:
            return Placement(
                outcome=Outcome(verdict=Verdict.NOT_ACCEPTED, reason=Reason.RATE_LIMITED, detail=str(error))
            )
        except RetryableError as error:
            return Placement(outcome=Outcome(verdict=Verdict.UNKNOWN, detail=str(error)))
        outcome = classify_placement(reply, client_id)
        if outcome.verdict is not Verdict.ACCEPTED:
            return Placement(outcome=outcome)
        try:
            return Placement(outcome=outcome, reports=self._reports(reply))
        except reading.UnreadableReplyError as error:
            return Placement(outcome=Outcome(verdict=Verdict.UNKNOWN, detail=str(error)))

    async def _cancel(self, call: _Call, parameters: dict[str, Any], client_id: str) -> Cancellation:
        try:
            reply = await self._ask(call, parameters, purpose=Purpose.REDUCTION, deadline_s=PLACE_DEADLINE_S)
            verdict = classify_cancel(reply, client_id)
            reports = self._reports(reply) if verdict is CancelVerdict.CANCELED else ()
        except RetryableError as error:
            return Cancellation(verdict=CancelVerdict.UNKNOWN, detail=str(error))
        return Cancellation(verdict=verdict, reports=reports, detail=f"HTTP {reply.status} {reply.message}")

    async def _look_up(self, parameters: dict[str, Any]) -> Lookup:
        try:
            reply = await self._ask(
                self._client.private_get_order, parameters, purpose=Purpose.REDUCTION, deadline_s=READ_DEADLINE_S
            )
            wanted = parameters.get("origClientOrderId") or _client_id_of(reply)
            finding = classify_query(reply, wanted)
            report = self._reader.order(reply.body) if finding is Finding.FOUND else None
        except RetryableError as error:
            return Lookup(finding=Finding.UNAVAILABLE, detail=str(error))
        return Lookup(finding=finding, report=report, detail=f"HTTP {reply.status} {reply.message}")

    async def _read(
        self, call: _Call, parameters: dict[str, Any], kind: type, purpose: Purpose = Purpose.RECONCILIATION
    ) -> Any:
        reply = await self._ask(call, parameters, purpose=purpose, deadline_s=READ_DEADLINE_S)
        if reply.status >= ERROR_STATUS or not isinstance(reply.body, kind):
            raise RetryableError(
                f"exchange: expected a {kind.__name__}, found HTTP {reply.status} {reply.code or ''} {reply.message}",
                retry_in_s=reply.retry_after_s,
            )
        return reply.body

    async def _ask(self, call: _Call, parameters: dict[str, Any], *, purpose: Purpose, deadline_s: float) -> Reply:
        """Make one request and return its complete answer.

        Raises:
            NoConnectionError: Nothing was sent.
            BudgetExhaustedError: The same.
            RetryableError: Sent, and no complete answer came.
        """
        wait_s = self.wait_s(purpose)
        if wait_s > 0:
            raise BudgetExhaustedError(
                f"expected request weight left for {purpose.name}, found none for {wait_s:.1f} s", retry_in_s=wait_s
            )
        cell = _Cell()
        token = _CELL.set(cell)
        # Only what went wrong before an answer matters: with an answer, its status and body say everything.
        failure: Exception | None = None
        try:
            async with asyncio.timeout(deadline_s):
                await call(parameters)
        except TimeoutError:
            failure = DeadlineExceededError("exchange", deadline_s=deadline_s)
        except ccxt.BaseError as error:
            failure = error
        finally:
            _CELL.reset(token)
        if cell.reply is None:
            if isinstance(getattr(failure, "__cause__", None), aiohttp.ClientConnectorError):
                raise NoConnectionError("exchange: expected a connection, found none") from failure
            raise RetryableError(f"exchange: {NO_REPLY.detail}") from failure
        self._budget.observe(cell.reply, exchange_ms=self._exchange_ms(), now_s=self._clock.monotonic_s())
        return cell.reply

    def _exchange_ms(self) -> int:
        return epoch_ms(self._clock.now()) + (self._offset_ms or 0)

    def _reports(self, reply: Reply) -> tuple[OrderReport, ...]:
        body = reply.body
        entries = body.get("orderReports", [body]) if isinstance(body, dict) else []
        return tuple(self._reader.order(entry) for entry in entries)


def _client_id_of(reply: Reply) -> str:
    return str(reply.body.get("clientOrderId", "")) if isinstance(reply.body, dict) else ""


def _without_none(**parameters: Any) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}
