"""Orders at Binance through ccxt's raw methods: string amounts in, one bound reply out.

Invariant: orders and cancels never raise for what the exchange or the network does; nothing is sent twice by itself.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from libs.common.clock import Clock
from libs.common.errors import RetryableError
from libs.exchange.addresses import ExchangeAddress
from libs.exchange.credentials import Credentials
from libs.exchange.instruments import Listing, exchange_symbol, parse_listings
from libs.exchange.limits import AddressBudget, BudgetExhaustedError, Purpose
from libs.exchange.orders import reading, requests
from libs.exchange.orders.calling import READ_DEADLINE_S, Caller, NoConnectionError
from libs.exchange.orders.port import (
    Balance,
    Cancellation,
    Lookup,
    NewBracket,
    NewOco,
    NewOrder,
    OrderReport,
    Placement,
    TradeReport,
)
from libs.exchange.outcomes import (
    NEVER_SENT,
    CancelVerdict,
    Finding,
    Outcome,
    Verdict,
    classify_cancel,
    classify_placement,
    classify_query,
)
from libs.exchange.refusals import Reason
from libs.exchange.replies import Reply
from libs.exchange.server_clock import ServerClock

PLACE_DEADLINE_S: Final = 4.0
TRADES_LIMIT: Final = 1_000
CLOCK_INTERVAL_S: Final = 5.0
CLOCK_RETRY_S: Final = 0.5


class CcxtOrderGateway:
    """`OrderGateway` for one account."""

    def __init__(
        self,
        *,
        credentials: Credentials,
        address: ExchangeAddress,
        symbols: Sequence[str],
        clock: Clock,
        server_clock: ServerClock | None = None,
        budget: AddressBudget | None = None,
    ) -> None:
        """Take the account's key, the address, and what the gateways of one address share: its clock and its budget.

        Raises:
            ConfigurationError: ccxt would repeat requests by itself, or ask another host.
        """
        self._reader = reading.Reader({exchange_symbol(symbol): symbol for symbol in symbols})
        self._identity: str | None = None
        self._server_clock = server_clock or ServerClock(clock)
        self._caller = Caller(
            credentials=credentials,
            address=address,
            clock=clock,
            server_clock=self._server_clock,
            budget=budget or AddressBudget(clock, self._server_clock),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._caller.close()

    @property
    def clock_offset_ms(self) -> int | None:
        """The exchange's clock minus ours; None before the first measurement."""
        return self._server_clock.offset_ms

    @property
    def identity(self) -> str | None:
        """The exchange's own id of the account; None before the first balances, or where it tells none."""
        return self._identity

    def wait_s(self, purpose: Purpose, *, orders: int = 0) -> float:
        """Return the seconds until this purpose may ask, or send this many orders; 0: now."""
        return self._caller.wait_s(purpose, orders=orders)

    async def place(self, order: NewOrder, *, purpose: Purpose) -> Placement:
        """Send an order, once."""
        return await self._place(
            requests.NEW_ORDER, requests.order_parameters(order), order.client_order_id, purpose=purpose
        )

    async def place_oco(self, oco: NewOco) -> Placement:
        """Send an order list, once."""
        return await self._place(
            requests.NEW_OCO, requests.oco_parameters(oco), oco.list_client_order_id, purpose=Purpose.REDUCTION
        )

    async def place_bracket(self, bracket: NewBracket) -> Placement:
        """Send an entry with its exits as one list, once."""
        endpoint, parameters = requests.bracket_request(bracket)
        return await self._place(endpoint, parameters, bracket.list_client_order_id, purpose=Purpose.ENTRY)

    async def cancel(self, symbol: str, client_order_id: str) -> Cancellation:
        """Cancel one order by its client id."""
        parameters = {"symbol": exchange_symbol(symbol), "origClientOrderId": client_order_id}
        return await self._cancel(requests.CANCEL_ORDER, parameters, client_order_id)

    async def cancel_list(self, symbol: str, list_client_order_id: str) -> Cancellation:
        """Cancel an order list by its client id."""
        parameters = {"symbol": exchange_symbol(symbol), "listClientOrderId": list_client_order_id}
        return await self._cancel(requests.CANCEL_LIST, parameters, list_client_order_id)

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
        parameters = {"symbol": exchange_symbol(symbol)}
        body = await self._caller.read(requests.OPEN_ORDERS, parameters, list, purpose=purpose)
        return tuple(self._reader.order(entry) for entry in body)

    async def trades(self, symbol: str, *, from_id: int | None) -> Sequence[TradeReport]:
        """Return up to 1000 executions of the account, oldest first: from a trade id on, or the most recent.

        Raises:
            RetryableError: Not answered, or not readably.
        """
        parameters = requests.without_none(symbol=exchange_symbol(symbol), fromId=from_id, limit=TRADES_LIMIT)
        body = await self._caller.read(requests.TRADES, parameters, list)
        return tuple(self._reader.trade(entry) for entry in body)

    async def trades_of(self, symbol: str, exchange_order_id: str) -> Sequence[TradeReport]:
        """Return the executions of one order.

        Raises:
            RetryableError: Not answered, or not readably.
        """
        parameters = {"symbol": exchange_symbol(symbol), "orderId": exchange_order_id}
        body = await self._caller.read(requests.TRADES_OF_ORDER, parameters, list, purpose=Purpose.REDUCTION)
        return tuple(self._reader.trade(entry) for entry in body)

    async def balances(self) -> Mapping[str, Balance]:
        """Return what the account holds, by asset.

        Raises:
            RetryableError: Not answered, or not readably.
        """
        account = await self._caller.read(requests.ACCOUNT, {"omitZeroBalances": "true"}, dict)
        self._identity = str(account["uid"]) if "uid" in account else None
        return reading.balances(account)

    async def measure_clock(self) -> int:
        """Ask the exchange's clock and return its offset from ours, in ms.

        Raises:
            RetryableError: Not answered, or not readably.
        """
        return await self._caller.measure_clock()

    async def keep_time(self) -> None:
        """Measure the exchange's clock every `CLOCK_INTERVAL_S`, and at once when it refuses a time of ours, for ever.

        One gateway of an address does it for all.
        """
        while True:
            interval_s = CLOCK_INTERVAL_S
            try:
                await self.measure_clock()
            except RetryableError as error:
                interval_s = max(CLOCK_RETRY_S, min(error.retry_in_s or 0.0, CLOCK_INTERVAL_S))
            await asyncio.sleep(CLOCK_RETRY_S)  # refusals that keep coming must not make a storm of questions
            with suppress(TimeoutError):
                async with asyncio.timeout(interval_s - CLOCK_RETRY_S):
                    await self._server_clock.doubted()

    async def listings(self, symbols: Sequence[str]) -> Mapping[str, Listing]:
        """Return the trading rules of these symbols.

        Raises:
            RetryableError: Not answered, or not readably.
        """
        names = json.dumps([exchange_symbol(symbol) for symbol in symbols], separators=(",", ":"))
        return parse_listings(await self._caller.read(requests.EXCHANGE_INFO, {"symbols": names}, dict), symbols)

    async def _place(
        self, endpoint: requests.Endpoint, parameters: Mapping[str, Any], client_id: str, *, purpose: Purpose
    ) -> Placement:
        try:
            reply = await self._caller.ask(endpoint, parameters, purpose=purpose, deadline_s=PLACE_DEADLINE_S)
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

    async def _cancel(self, endpoint: requests.Endpoint, parameters: Mapping[str, Any], client_id: str) -> Cancellation:
        try:
            reply = await self._caller.ask(endpoint, parameters, purpose=Purpose.REDUCTION, deadline_s=PLACE_DEADLINE_S)
            verdict = classify_cancel(reply, client_id)
            reports = self._reports(reply) if verdict is CancelVerdict.CANCELED else ()
        except RetryableError as error:
            return Cancellation(verdict=CancelVerdict.UNKNOWN, detail=str(error))
        return Cancellation(verdict=verdict, reports=reports, detail=f"HTTP {reply.status} {reply.message}")

    async def _look_up(self, parameters: dict[str, Any]) -> Lookup:
        try:
            reply = await self._caller.ask(
                requests.ORDER, parameters, purpose=Purpose.REDUCTION, deadline_s=READ_DEADLINE_S
            )
            wanted = parameters.get("origClientOrderId") or _client_id_of(reply)
            finding = classify_query(reply, wanted)
            report = self._reader.order(reply.body) if finding is Finding.FOUND else None
        except RetryableError as error:
            return Lookup(finding=Finding.UNAVAILABLE, detail=str(error))
        return Lookup(finding=finding, report=report, detail=f"HTTP {reply.status} {reply.message}")

    def _reports(self, reply: Reply) -> tuple[OrderReport, ...]:
        body = reply.body
        entries = body.get("orderReports", [body]) if isinstance(body, dict) else []
        return tuple(self._reader.order(entry) for entry in entries)


def _client_id_of(reply: Reply) -> str:
    return str(reply.body.get("clientOrderId", "")) if isinstance(reply.body, dict) else ""
