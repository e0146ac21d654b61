"""Compare our books with the exchange, again and again: orders, executions, balances.

Invariant: what is found at the exchange is adopted if it is ours, and becomes a difference if it is not; nothing of
others is ever touched. The same path serves the start, a reconnected stream and every ten seconds.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import structlog

from libs.common.clock import Clock
from libs.common.contracts.event import Event
from libs.common.contracts.vocabulary import TradingState
from libs.common.errors import RetryableError
from libs.common.observability import metrics
from libs.exchange.orders.port import OrderGateway, OrderReport, TradeReport
from libs.exchange.outcomes import Finding
from libs.trading.orders import OrderStatus
from services.trade_executor.domain.differences import Difference
from services.trade_executor.domain.findings import missing_order
from services.trade_executor.domain.orders import WATCH
from services.trade_executor.service.bookkeeping import Bookkeeper
from services.trade_executor.service.dispatching import Dispatcher
from services.trade_executor.service.events import order_updated
from services.trade_executor.service.halting import Halting
from services.trade_executor.service.latching import DifferenceHalts
from services.trade_executor.service.persisting import fetch
from services.trade_executor.service.ports import Records, Transactions
from services.trade_executor.service.settling import Look, Settler
from services.trade_executor.service.standing import Standing
from services.trade_executor.service.strangers import Strangers
from services.trade_executor.service.venues import Venues

INTERVAL_S: Final = 10.0
RETRY_S: Final = 1.0
TRADES_PAGE: Final = 1_000
PAGES_MAX: Final = 50
TRADE_LAG_MS: Final = 10_000
"""Trades of one order may appear out of order for a moment, so the cursor stays behind this long."""


_LOG: Final = structlog.get_logger()


class Reconciler:
    """Reconciles one account."""

    def __init__(
        self,
        *,
        account: str,
        symbols: Sequence[str],
        venues: Venues,
        bookkeeper: Bookkeeper,
        dispatcher: Dispatcher,
        halting: Halting,
        strangers: Strangers,
        settler: Settler,
        halts: DifferenceHalts,
        standing: Standing,
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        self._account = account
        self._symbols = symbols
        self._venues = venues
        self._bookkeeper = bookkeeper
        self._dispatcher = dispatcher
        self._halting = halting
        self._strangers = strangers
        self._settler = settler
        self._halts = halts
        self._standing = standing
        self._transactions = transactions
        self._clock = clock
        self._wanted = asyncio.Event()

    def request(self) -> None:
        """Ask for a reconciliation soon: something may have been missed."""
        self._wanted.set()

    async def run(self) -> None:
        """Reconcile now, whenever it is asked for, and every `INTERVAL_S`, for ever."""
        while True:
            self._wanted.clear()
            interval_s = INTERVAL_S
            try:
                await self.reconcile()
                if self._settler.is_waiting:
                    interval_s = RETRY_S  # a person waits for the answer
            except RetryableError as error:
                _LOG.warning("Reconciliation was not answered", account=self._account, error=str(error))
                interval_s = max(RETRY_S, error.retry_in_s or 0.0)
            try:
                async with asyncio.timeout(interval_s):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    async def reconcile(self) -> None:
        """Compare once.

        Raises:
            ConfigurationError: At the start: the account is not ours alone.
            RetryableError: The exchange or the database did not answer; what was adopted until then stays.
        """
        gateway = self._venues.gateway(self._account)
        began_at = self._clock.now()
        await gateway.measure_clock()
        if any(self._venues.listing(symbol) is None for symbol in self._symbols):
            self._venues.listings.update(await gateway.listings(self._symbols))
        first_time = self._account not in self._standing.reconciled
        if first_time:
            await self._open_books(gateway)
            if self._halting.state(self._account) is not TradingState.ACTIVE:
                await self._halting.cancel_entries(self._account)
        books = await fetch(self._transactions, self._settler.books)
        balances = await gateway.balances()
        self._standing.identities.note(self._account, gateway.identity)
        open_orders: list[OrderReport] = []
        missing: list[Difference] = []
        for symbol in self._symbols:
            at_exchange = await gateway.open_orders(symbol)
            open_orders.extend(await self._strange(at_exchange))
            missing.extend(await self._missing(gateway, symbol, at_exchange))
            await self._trades(gateway, symbol)
        await self._transactions.apply(self._forget_watched)
        await self._transactions.apply(self._count_orders)
        look = Look(books=books, balances=balances, open_orders=open_orders, missing=missing)
        await self._transactions.apply(partial(self._settler.settle, look=look))
        await self._halts.hold(self._settler.open)
        if first_time:
            self._standing.refuse_company(self._account)
            await self._plan_open_chains()
            self._standing.reconciled.add(self._account)
            _LOG.info("Reconciled", account=self._account)
        self._standing.reconciled_at[self._account] = began_at
        metrics.RECONCILED_AT.labels(account=self._account).set(began_at.timestamp())

    async def _open_books(self, gateway: OrderGateway) -> None:
        """At the very first start: what the account holds and traded before is not ours to touch."""
        balances = await gateway.balances()
        latest = {symbol: await gateway.trades(symbol, from_id=None) for symbol in self._symbols}

        async def open_books(records: Records) -> Sequence[Event]:
            if not await records.ledger(self._account):
                await records.open_ledger(self._account, balances)
            for symbol, trades in latest.items():
                if await records.trade_cursor(self._account, symbol) is None:
                    await records.set_trade_cursor(self._account, symbol, trades[-1].trade_id + 1 if trades else 0)
            return []

        await self._transactions.apply(open_books)

    async def _strange(self, at_exchange: Sequence[OrderReport]) -> Sequence[OrderReport]:
        """Take what is ours into the books, tell about the others, and return those."""
        strange = []
        for report in at_exchange:
            if not await self._dispatcher.take_report(self._account, report):
                await self._strangers.tell(self._account, report)
                strange.append(report)
        return strange

    async def _missing(
        self, gateway: OrderGateway, symbol: str, at_exchange: Sequence[OrderReport]
    ) -> Sequence[Difference]:
        """Ask for each order that rests by our books and is not listed."""
        differences = []
        listed = {report.client_order_id for report in at_exchange}
        working = await fetch(self._transactions, lambda records: records.working(self._account))
        for order in working:
            if order.symbol != symbol or order.client_order_id in listed:
                continue
            lookup = await gateway.order(symbol, order.client_order_id)
            if lookup.report is not None:
                await self._dispatcher.take_report(self._account, lookup.report)
            elif lookup.finding is Finding.NOT_FOUND:
                status = order.status.value
                differences.append(missing_order(self._account, symbol, order.client_order_id, status))
        return differences

    async def _trades(self, gateway: OrderGateway, symbol: str) -> None:
        stored = await fetch(self._transactions, lambda records: records.trade_cursor(self._account, symbol))
        cursor = stored or 0
        for _ in range(PAGES_MAX):
            page = await gateway.trades(symbol, from_id=cursor)
            for exchange_order_id, executions in (await self._record(symbol, page)).items():
                await self._adopt(gateway, symbol, exchange_order_id, executions)
            settled_ms = (self._venues.exchange_ms(self._account) or 0) - TRADE_LAG_MS
            settled = [trade.trade_id for trade in page if trade.at_ms < settled_ms]
            if settled:
                cursor = settled[-1] + 1
                await self._transactions.apply(partial(self._move_cursor, symbol=symbol, cursor=cursor))
            if len(page) < TRADES_PAGE:
                return

    async def _record(self, symbol: str, trades: Sequence[TradeReport]) -> Mapping[str, Sequence[TradeReport]]:
        """Record the executions of known orders and return those of others, by the exchange's id of the order."""
        by_order: dict[str, list[TradeReport]] = {}
        for trade in trades:
            by_order.setdefault(trade.exchange_order_id, []).append(trade)
        unknown: dict[str, Sequence[TradeReport]] = {}

        async def record(records: Records) -> Sequence[Event]:
            unknown.clear()
            events: list[Event] = []
            for exchange_order_id, executions in by_order.items():
                order = await records.order_by_exchange_id(self._account, symbol, exchange_order_id)
                if order is None:
                    unknown[exchange_order_id] = executions
                else:
                    events.extend(await self._bookkeeper.trades(records, order, executions))
            return events

        if by_order:
            await self._transactions.apply(record)
        return unknown

    async def _adopt(
        self, gateway: OrderGateway, symbol: str, exchange_order_id: str, executions: Sequence[TradeReport]
    ) -> None:
        """Find out whose executions these are: of an order of ours that was given up, or somebody else's."""
        client_order_id = self._strangers.client_id_of(exchange_order_id)
        if client_order_id is None:
            lookup = await gateway.order_by_exchange_id(symbol, exchange_order_id)
            if lookup.report is None:
                raise RetryableError(f"order {exchange_order_id} of a trade: expected an answer, found {lookup.detail}")
            if await self._dispatcher.take_report(self._account, lookup.report):
                await self._record(symbol, await gateway.trades_of(symbol, exchange_order_id))
                return
            await self._strangers.tell(self._account, lookup.report)
            client_order_id = lookup.report.client_order_id
        await self._strangers.remember(self._account, client_order_id, executions)

    async def _forget_watched(self, records: Records) -> Sequence[Event]:
        """A day after its quarantine an order is over for good."""
        events: list[Event] = []
        now = self._clock.now()
        for order in await records.watched(self._account):
            if order.released_at is not None and now - order.released_at >= WATCH:
                over = order.changed(now, status=OrderStatus.NOT_ACCEPTED)
                await records.update(over)
                events.append(order_updated(over))
        return events

    async def _count_orders(self, records: Records) -> Sequence[Event]:
        """Show how many orders are in each state that is no end."""
        orders = [*await records.working(self._account), *await records.unresolved(self._account)]
        counts = Counter(order.status for order in orders)
        for status in OrderStatus:
            if not status.is_terminal:
                metrics.ORDERS_OPEN.labels(account=self._account, state=status.value).set(counts[status])
        return []

    async def _move_cursor(self, records: Records, *, symbol: str, cursor: int) -> Sequence[Event]:
        await records.set_trade_cursor(self._account, symbol, cursor)
        return []

    async def _plan_open_chains(self) -> None:
        chains = await fetch(self._transactions, lambda records: records.open_chains(self._account))
        for chain_id in chains:
            await self._dispatcher.plan(chain_id)
