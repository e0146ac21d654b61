"""Do the errands: send once, cancel, read fills, look again.

Invariant: an order that has been sent is never sent again, not even after an answer that proves nothing.
"""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from libs.common.clock import Clock
from libs.common.contracts.event import Event
from libs.common.errors import RetryableError
from libs.common.observability import metrics
from libs.exchange.limits import Purpose
from libs.exchange.orders.port import (
    NewBracket,
    NewOco,
    NewOrder,
    OrderReport,
    Placement,
    Signing,
    Stop,
    Target,
    TradeReport,
)
from libs.exchange.outcomes import CancelVerdict, Verdict
from libs.exchange.refusals import Reason, Remedy
from libs.trading.risk import Role
from services.trade_executor.domain.orders import ExecutorOrder
from services.trade_executor.service.bookkeeping import Bookkeeper
from services.trade_executor.service.errands import Cancel, Errand, Errands, FetchFills, LookLater, Resolve, Send
from services.trade_executor.service.events import cause_of
from services.trade_executor.service.keeping import Keeper
from services.trade_executor.service.last_hop import LastHop
from services.trade_executor.service.persisting import persist
from services.trade_executor.service.ports import Records, Transactions
from services.trade_executor.service.resolving import Resolver
from services.trade_executor.service.venues import Venues

ENTRIES_IN_FLIGHT_MAX: Final = 4
REDUCTIONS_IN_FLIGHT_MAX: Final = 16
RETRY_S: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
BLOCKED_S_MAX: Final = 60.0
"""After so long a wait for the budget it is looked at again."""

_NO_LIST: Final = frozenset({Reason.PARAMETERS, Reason.REJECTED, Reason.INSUFFICIENT_BALANCE})
"""Refusals that an entry alone might not have met; whether exits must be paid for beforehand is documented nowhere."""

_LOG: Final = structlog.get_logger()


class Dispatcher:
    """Takes errands in their order and does several at once.

    Entries never keep reductions waiting, and no account another: one that waits for room among its messages waits
    alone.
    """

    def __init__(
        self,
        *,
        errands: Errands,
        venues: Venues,
        last_hop: LastHop,
        bookkeeper: Bookkeeper,
        keeper: Keeper,
        resolver: Resolver,
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        self._errands = errands
        self._venues = venues
        self._last_hop = last_hop
        self._bookkeeper = bookkeeper
        self._keeper = keeper
        self._resolver = resolver
        self._transactions = transactions
        self._clock = clock
        self._entries = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(ENTRIES_IN_FLIGHT_MAX))
        self._reductions = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(REDUCTIONS_IN_FLIGHT_MAX))
        self._running: set[str] = set()
        self._looks: dict[uuid.UUID, datetime] = {}
        self._cancels: dict[str, int] = {}
        self.entry_sent_at: dict[str, datetime] = {}
        self.entry_accepted_at: dict[str, datetime] = {}

    async def run(self) -> None:
        """Do errands for ever."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                errand = await self._errands.next()
                tasks.create_task(self.do(errand))

    async def do(self, errand: Errand) -> None:
        """Do one errand."""
        match errand:
            case Send():
                first = errand.orders[0]
                async with (self._entries if first.role is Role.ENTRY else self._reductions)[first.account]:
                    await self._send(errand)
            case Cancel(orders, may_wait):
                for group in _lists(orders):
                    work = partial(self._cancel, group, may_wait=may_wait)
                    await self._once(f"cancel {_request_id(group)}", group[0].account, work)
            case FetchFills(order):
                await self._once(f"fills {order.client_order_id}", order.account, partial(self._fetch_fills, order))
            case Resolve(order):
                self._resolver.watch(order)
            case LookLater():
                await self._look_later(errand)

    async def _send(self, errand: Send) -> None:
        orders = errand.orders
        first = orders[0]
        cause = cause_of(first.origin)
        objection = await self._last_hop.objection(first)
        if objection is not None:
            metrics.ORDERS_WITHHELD.labels(role=first.role.value, reason=objection).inc()
            _LOG.warning("An order was withheld", order=first.client_order_id, reason=objection)
            await persist(
                self._transactions,
                lambda records: self._bookkeeper.abandon(records, orders, objection),
                cause=cause,
            )
            return
        requested_at = self._clock.now()
        self._note_request(first, requested_at)
        placement = await self._place(orders)
        self._last_hop.placed(first)
        self._note_answer(errand, placement, requested_at)
        await persist(
            self._transactions,
            lambda records: self._bookkeeper.placed(records, orders, placement, requested_at),
            cause=cause,
        )
        await self._last_hop.answered(first, placement.outcome)

    async def _place(self, orders: Sequence[ExecutorOrder]) -> Placement:
        first = orders[0]
        gateway = self._venues.gateway(first.account)
        signing = Signing(at_ms=first.signed_at_ms or 0, recv_window_ms=first.recv_window_ms)
        if len(orders) == 1:
            purpose = Purpose.ENTRY if first.role is Role.ENTRY else Purpose.REDUCTION
            return await gateway.place(
                NewOrder(
                    symbol=first.symbol,
                    side=first.side,
                    order_type=first.order_type,
                    quantity=first.quantity,
                    client_order_id=first.client_order_id,
                    signing=signing,
                    price=first.price,
                    stop_price=first.stop_price,
                    time_in_force=first.time_in_force,
                ),
                purpose=purpose,
            )
        if first.role is Role.ENTRY:
            return await gateway.place_bracket(_bracket(first, orders[1:], signing))
        target, stop = orders
        if target.price is None or stop.stop_price is None or target.list_client_order_id is None:
            message = f"list of {target.client_order_id}: expected a target and a stop"
            raise ValueError(message)
        return await gateway.place_oco(
            NewOco(
                symbol=first.symbol,
                quantity=first.quantity,
                list_client_order_id=target.list_client_order_id,
                above_client_order_id=target.client_order_id,
                above_price=target.price,
                below_client_order_id=stop.client_order_id,
                below_stop_price=stop.stop_price,
                below_price=stop.price,
                signing=signing,
            )
        )

    async def _cancel(self, orders: Sequence[ExecutorOrder], *, may_wait: bool) -> None:
        first = orders[0]
        if may_wait and (wait_s := self._last_hop.replace_s(first)) > 0:
            self._errands.put(LookLater(first.account, first.chain_id, self._clock.now() + timedelta(seconds=wait_s)))
            return
        await self._last_hop.make_room(first)
        gateway = self._venues.gateway(first.account)
        cancellation = (
            await gateway.cancel_list(first.symbol, first.list_client_order_id)
            if first.list_client_order_id is not None
            else await gateway.cancel(first.symbol, first.client_order_id)
        )
        reports = cancellation.reports
        name = _request_id(orders)
        if cancellation.verdict is CancelVerdict.CANCELED:
            self._cancels.pop(name, None)
        else:
            # Filled meanwhile, or nobody knows: ask what became of each, and plan again.
            lookups = [await gateway.order(order.symbol, order.client_order_id) for order in orders]
            reports = tuple(lookup.report for lookup in lookups if lookup.report is not None)
            attempt = self._cancels.pop(name, 0) + 1
            if len(reports) < len(orders) or not all(report.status.is_terminal for report in reports):
                self._cancels[name] = attempt
            delay_s = RETRY_S[min(attempt, len(RETRY_S)) - 1]
            at = self._clock.now() + timedelta(seconds=delay_s)
            self._errands.put(LookLater(first.account, first.chain_id, at))
        for report in reports:
            await self.take_report(first.account, report)

    async def take_report(self, account: str, report: OrderReport) -> bool:
        """Write down a report about an order of an account; False: it is none of ours."""
        found = False

        async def take(records: Records) -> Sequence[Event]:
            nonlocal found
            order = await records.order_by_client_id(account, report.client_order_id)
            found = order is not None
            return await self._bookkeeper.report(records, order, report) if order is not None else []

        await persist(self._transactions, take)
        return found

    async def _fetch_fills(self, order: ExecutorOrder) -> None:
        trades: Sequence[TradeReport] = ()
        wait_s = 0.0
        try:
            if order.exchange_order_id is not None:
                gateway = self._venues.gateway(order.account)
                trades = await gateway.trades_of(order.symbol, order.exchange_order_id)
        except RetryableError as error:
            _LOG.warning("Executions could not be read", order=order.client_order_id, error=str(error))
            wait_s = min(error.retry_in_s or 0.0, BLOCKED_S_MAX)
        if trades:
            await persist(self._transactions, lambda records: self._trades(records, order, trades))
        # The exchange shows an execution a moment before its trade; planning asks again while one is missing.
        # The longer one has been missing, the seldomer it asks.
        now = self._clock.now()
        missing_s = (now - order.updated_at).total_seconds()
        at = now + timedelta(seconds=max(RETRY_S[1], min(missing_s, RETRY_S[-1]), wait_s))
        self._errands.put(LookLater(order.account, order.chain_id, at))

    async def _trades(self, records: Records, order: ExecutorOrder, trades: Sequence[TradeReport]) -> Sequence[Event]:
        known = await records.order(order.intent_id)
        return await self._bookkeeper.trades(records, known, trades) if known is not None else []

    async def _look_later(self, errand: LookLater) -> None:
        planned = self._looks.get(errand.chain_id)
        if planned is not None and planned <= errand.at:
            return
        self._looks[errand.chain_id] = errand.at
        await asyncio.sleep(max(0.0, (errand.at - self._clock.now()).total_seconds()))
        if self._looks.get(errand.chain_id) == errand.at:
            del self._looks[errand.chain_id]
        await self.plan(errand.chain_id)

    async def plan(self, chain_id: uuid.UUID) -> None:
        """Plan a chain again."""

        async def advance(records: Records) -> Sequence[Event]:
            entry = await records.order(chain_id)
            if entry is None:
                return []
            return await self._keeper.advance(records, chain_id=chain_id, symbol=entry.symbol)

        await persist(self._transactions, advance)

    async def _once(self, name: str, account: str, work: Callable[[], Awaitable[object]]) -> None:
        """Do for an account what is not being done already."""
        if name in self._running:
            return
        self._running.add(name)
        try:
            async with self._reductions[account]:
                await work()
        finally:
            self._running.discard(name)

    def _note_request(self, order: ExecutorOrder, requested_at: datetime) -> None:
        if order.role is Role.ENTRY:
            self.entry_sent_at[order.account] = requested_at
            if order.origin.origin_at is not None:
                latency_s = (requested_at - order.origin.origin_at).total_seconds()
                metrics.TICK_TO_ORDER_SECONDS.observe(max(0.0, latency_s))

    def _note_answer(self, errand: Send, placement: Placement, requested_at: datetime) -> None:
        first = errand.orders[0]
        verdict = placement.outcome.verdict
        metrics.ORDERS_SENT.labels(role=first.role.value, verdict=verdict.value).inc()
        metrics.ORDER_REQUEST_SECONDS.observe((self._clock.now() - requested_at).total_seconds())
        if verdict is not Verdict.ACCEPTED:
            _LOG.warning(
                "An order was not accepted",
                order=first.client_order_id,
                verdict=verdict.value,
                detail=placement.outcome.detail,
            )
            if placement.outcome.remedy is Remedy.READ_RULES:
                self._venues.rules_doubted.set()
            if first.role is Role.ENTRY and len(errand.orders) > 1 and placement.outcome.reason in _NO_LIST:
                self._venues.refuse_lists(first.symbol)
            return
        if first.role is Role.ENTRY:
            self.entry_accepted_at[first.account] = self._clock.now()
        exchange_ms = self._venues.exchange_ms(first.account)
        if errand.exposed_since_ms is not None and exchange_ms is not None:
            metrics.UNPROTECTED_SECONDS.observe(max(0.0, (exchange_ms - errand.exposed_since_ms) / 1_000))


def _bracket(entry: ExecutorOrder, exits: Sequence[ExecutorOrder], signing: Signing) -> NewBracket:
    *targets, stop = exits
    if entry.price is None or stop.stop_price is None or stop.list_client_order_id is None:
        message = f"list of {entry.client_order_id}: expected a limit, a stop and a name"
        raise ValueError(message)
    return NewBracket(
        symbol=entry.symbol,
        list_client_order_id=stop.list_client_order_id,
        client_order_id=entry.client_order_id,
        quantity=entry.quantity,
        price=entry.price,
        exit_quantity=stop.quantity,
        stop=Stop(client_order_id=stop.client_order_id, stop_price=stop.stop_price, price=stop.price),
        signing=signing,
        target=next(
            (Target(client_order_id=each.client_order_id, price=each.price) for each in targets if each.price), None
        ),
    )


def _lists(orders: Sequence[ExecutorOrder]) -> Sequence[Sequence[ExecutorOrder]]:
    groups: dict[str, list[ExecutorOrder]] = {}
    for order in orders:
        groups.setdefault(order.list_client_order_id or order.client_order_id, []).append(order)
    return list(groups.values())


def _request_id(orders: Sequence[ExecutorOrder]) -> str:
    return orders[0].list_client_order_id or orders[0].client_order_id
