"""Write down what the exchange says about orders: once, in any order, from any source.

Invariant: a report changes an order only by merging into it, and a fill is recorded under its own identity; so
replies, stream and queries may repeat and overtake each other.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from libs.common.clock import Clock
from libs.common.contracts.event import Event
from libs.exchange.orders.port import OrderReport, Placement, TradeReport
from libs.exchange.outcomes import Verdict
from libs.exchange.refusals import Reason
from libs.trading.orders import OrderStatus
from libs.trading.risk import Role
from services.trade_executor.domain.findings import late_fill
from services.trade_executor.domain.orders import ExecutorOrder, FillTotals
from services.trade_executor.service.errands import Errands, Resolve
from services.trade_executor.service.events import order_filled, order_updated, system_error, trade_alert
from services.trade_executor.service.keeping import Keeper
from services.trade_executor.service.ports import Records

_LOG = structlog.get_logger()
_ALARMING = frozenset({Reason.CLOCK_SKEW, Reason.CREDENTIALS})
_GIVEN_UP = frozenset({OrderStatus.QUARANTINED, OrderStatus.NOT_ACCEPTED, OrderStatus.ABANDONED})


class Bookkeeper:
    """Merges reports into orders and lets the keeper take the next step."""

    def __init__(
        self, *, keeper: Keeper, errands: Errands, after_commit: Callable[[Callable[[], None]], None], clock: Clock
    ) -> None:
        self._keeper = keeper
        self._errands = errands
        self._after_commit = after_commit
        self._clock = clock

    async def report(self, records: Records, order: ExecutorOrder, report: OrderReport) -> Sequence[Event]:
        """Merge a report with its trades into an order, then plan the order's chain."""
        events = await self._merge(records, order, report)
        if not events:
            return []
        return [*events, *await self.advance(records, order)]

    async def trades(self, records: Records, order: ExecutorOrder, trades: Sequence[TradeReport]) -> Sequence[Event]:
        """Record executions that came without a report, then plan the order's chain."""
        told = OrderReport(
            symbol=order.symbol,
            exchange_order_id=trades[0].exchange_order_id,
            client_order_id=order.client_order_id,
            order_list_id=order.order_list_id,
            status=OrderStatus.PARTIALLY_FILLED,
            side=order.side,
            order_type=order.order_type,
            quantity=order.quantity,
            filled_quantity=order.filled_quantity,
            filled_amount=order.filled_amount,
            at_ms=trades[-1].at_ms,
            trades=tuple(trades),
        )
        return await self.report(records, order, told)

    async def placed(
        self, records: Records, orders: Sequence[ExecutorOrder], placement: Placement, requested_at: datetime
    ) -> Sequence[Event]:
        """Write down what became of a request: one order, or the legs of a list."""
        outcome = placement.outcome
        events: list[Event] = []
        by_client_id = {report.client_order_id: report for report in placement.reports}
        await records.set_answered([order.intent_id for order in orders], requested_at=requested_at)
        for sent in orders:
            order = await records.order(sent.intent_id)
            if order is None:
                message = f"order {sent.client_order_id}: expected its intent, found none"
                raise LookupError(message)
            report = by_client_id.get(order.client_order_id)
            if outcome.verdict is Verdict.ACCEPTED and report is not None:
                events.extend(await self._merge(records, order, report))
                if orders[0].role is Role.ENTRY and order.role is Role.PROTECTION:
                    self._confirm(order)
            elif outcome.verdict is Verdict.NOT_ACCEPTED:
                reason = outcome.reason.value if outcome.reason is not None else ""
                events.extend(await self.end(records, order, OrderStatus.NOT_ACCEPTED, reason))
            else:
                events.extend(await self.unknown(records, order, outcome.detail))
        if outcome.reason in _ALARMING:
            events.append(
                system_error(orders[0].account, f"{outcome.reason}", f"orders are refused: {outcome.detail}", self._now)
            )
        return [*events, *await self.advance(records, orders[0])]

    def _confirm(self, order: ExecutorOrder) -> None:
        """Ask for an exit that was sent with its entry: the answer shows it as it came in, not what became of it."""
        self._after_commit(lambda: self._errands.put(Resolve(order)))

    async def end(self, records: Records, order: ExecutorOrder, status: OrderStatus, reason: str) -> Sequence[Event]:
        """Write down that an order was not sent, or not accepted; the chain is not planned."""
        ended = order.ended(self._now, status, reason)
        if ended is order:
            return []
        await records.update(ended)
        return [order_updated(ended)]

    async def abandon(self, records: Records, orders: Sequence[ExecutorOrder], reason: str) -> Sequence[Event]:
        """Write down that the process which would have sent these orders did not, then plan their chain."""
        events: list[Event] = []
        for sent in orders:
            order = await records.order(sent.intent_id)
            if order is not None:
                events.extend(await self.end(records, order, OrderStatus.ABANDONED, reason))
        return [*events, *await self.advance(records, orders[0])]

    async def unknown(self, records: Records, order: ExecutorOrder, detail: str) -> Sequence[Event]:
        """Write down that nobody knows what became of an order, and have it found out."""
        if not order.is_unresolved:
            return []
        self._after_commit(lambda: self._errands.put(Resolve(order)))
        if order.status is OrderStatus.UNKNOWN:
            return []
        unknown = order.changed(self._now, status=OrderStatus.UNKNOWN, reason=detail[:300])
        await records.update(unknown)
        return [order_updated(unknown)]

    async def _merge(self, records: Records, order: ExecutorOrder, report: OrderReport) -> Sequence[Event]:
        entry = order if order.intent_id == order.chain_id else await records.order(order.chain_id)
        base, quote = order.symbol.split("/")
        new_trades = [trade for trade in report.trades if await records.add_fill(order, trade, base=base, quote=quote)]
        recorded = await records.chain(order.chain_id, base=base)
        totals = recorded.totals(order.intent_id) if recorded is not None and report.trades else FillTotals()
        merged = order.merged(report, totals, self._now)
        events: list[Event] = []
        if merged is not order:
            await records.update(merged)
            events.append(order_updated(merged))
        events.extend(order_filled(merged, trade, entry=entry or order) for trade in new_trades)
        if merged.status.is_terminal and not order.status.is_terminal and merged.filled_quantity > 0:
            events.append(trade_alert(merged, merged.updated_at))
        if order.status in _GIVEN_UP and merged is not order:
            _LOG.error("An order that was given up as not accepted showed up", order=order.client_order_id)
            events.append(
                system_error(
                    order.account,
                    order.client_order_id,
                    f"{order.client_order_id} showed up {merged.status}, given up as {order.status}: adopted",
                    self._now,
                )
            )
            # Its claim no longer counted against the limits.
            if order.released_at is not None or order.status is not OrderStatus.QUARANTINED:
                late = late_fill(order.account, order.symbol, order.client_order_id, merged.status)
                await records.add_difference(late, self._now)
        return events

    async def advance(self, records: Records, order: ExecutorOrder) -> Sequence[Event]:
        """Plan the chain of an order."""
        return await self._keeper.advance(records, chain_id=order.chain_id, symbol=order.symbol)

    @property
    def _now(self) -> datetime:
        return self._clock.now()
