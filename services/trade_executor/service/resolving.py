"""Find out what became of orders whose answer proved nothing.

Invariant: an order is given up only when the exchange's own time is past its fence and a healthy API did not find it
twice, a second apart; a question that was not answered is no answer. Given up, it still counts for a minute.
"""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from libs.common.clock import Clock
from libs.common.contracts.event import Event
from libs.common.observability import metrics
from libs.exchange.limits import Purpose
from libs.exchange.orders.port import Lookup
from libs.exchange.outcomes import Finding
from libs.trading.orders import OrderStatus
from services.trade_executor.domain.orders import DOUBT, Doubt, ExecutorOrder
from services.trade_executor.service.bookkeeping import Bookkeeper
from services.trade_executor.service.events import cause_of, order_updated
from services.trade_executor.service.persisting import persist
from services.trade_executor.service.ports import Records, Transactions
from services.trade_executor.service.venues import Venues

DELAYS_S: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
NOT_FOUND_APART_S: Final = 1.0
IDLE_S: Final = 0.25
_GIVEN_UP: Final = OrderStatus.QUARANTINED

_LOG: Final = structlog.get_logger()


@dataclass(slots=True)
class _Watch:
    order: ExecutorOrder
    since_s: float
    due_s: float
    attempts: int = 0
    not_found_at_s: float | None = None


class Resolver:
    """Asks for unknown orders until each is found or given up."""

    def __init__(
        self,
        *,
        venues: Venues,
        bookkeeper: Bookkeeper,
        transactions: Transactions,
        clock: Clock,
        doubt: Doubt = DOUBT,
    ) -> None:
        self._venues = venues
        self._bookkeeper = bookkeeper
        self._transactions = transactions
        self._clock = clock
        self._doubt = doubt
        self._watches: dict[uuid.UUID, _Watch] = {}
        self._arrived = asyncio.Event()

    @property
    def unresolved(self) -> int:
        """How many orders are being looked for."""
        return len(self._watches)

    def watch(self, order: ExecutorOrder) -> None:
        """Look for an order from now on."""
        now_s = self._clock.monotonic_s()
        if order.intent_id not in self._watches:
            self._watches[order.intent_id] = _Watch(order, since_s=now_s, due_s=now_s + DELAYS_S[0])
            self._arrived.set()

    async def run(self) -> None:
        """Ask for whatever is due, for ever."""
        while True:
            if not self._watches:
                self._arrived.clear()
                await self._arrived.wait()
            await self.ask_due()
            due_s = min((watch.due_s for watch in self._watches.values()), default=0.0)
            await asyncio.sleep(min(IDLE_S, max(0.01, due_s - self._clock.monotonic_s())))

    async def ask_due(self) -> None:
        """Ask once for every order whose time has come."""
        for watch in list(self._watches.values()):
            if watch.due_s > self._clock.monotonic_s():
                continue
            if self._venues.wait_s(watch.order.account, Purpose.REDUCTION) > 0:
                continue  # banned: it stays unknown
            delay_s = DELAYS_S[min(watch.attempts, len(DELAYS_S) - 1)]
            watch.attempts += 1
            watch.due_s = self._clock.monotonic_s() + delay_s
            await self._ask(watch)
        self._show()

    def _show(self) -> None:
        metrics.ORDERS_UNRESOLVED.set(len(self._watches))
        now = self._clock.now()
        doubtful = [watch.order for watch in self._watches.values() if watch.order.status is not _GIVEN_UP]
        oldest_s = max(((now - order.created_at).total_seconds() for order in doubtful), default=0.0)
        metrics.ORDERS_UNRESOLVED_SECONDS.set(oldest_s)

    async def _ask(self, watch: _Watch) -> None:
        order = watch.order
        lookup = await self._venues.gateway(order.account).order(order.symbol, order.client_order_id)
        match lookup.finding:
            case Finding.FOUND:
                await persist(
                    self._transactions,
                    lambda records: self._adopt(records, order, lookup),
                    cause=cause_of(order.origin),
                )
                self._watches.pop(order.intent_id, None)
            case Finding.NOT_FOUND if self._fence_has_passed(watch):
                await self._not_found(watch)
            case Finding.NOT_FOUND | Finding.UNAVAILABLE:
                return

    async def _not_found(self, watch: _Watch) -> None:
        now_s = self._clock.monotonic_s()
        if watch.not_found_at_s is None:
            watch.not_found_at_s = now_s
            watch.due_s = now_s + NOT_FOUND_APART_S
            return
        if now_s - watch.not_found_at_s < NOT_FOUND_APART_S:
            return
        await persist(
            self._transactions, lambda records: self._give_up(records, watch), cause=cause_of(watch.order.origin)
        )

    def _fence_has_passed(self, watch: _Watch) -> bool:
        exchange_ms = self._venues.exchange_ms(watch.order.account)
        if exchange_ms is not None:
            return exchange_ms > self._doubt.fence_at_ms(watch.order)
        waited_ms = (self._clock.monotonic_s() - watch.since_s) * 1_000
        return waited_ms > watch.order.recv_window_ms + self._doubt.fence_ms

    async def _adopt(self, records: Records, order: ExecutorOrder, lookup: Lookup) -> Sequence[Event]:
        known = await records.order(order.intent_id)
        if known is None or lookup.report is None:
            return []
        return await self._bookkeeper.report(records, known, lookup.report)

    async def _give_up(self, records: Records, watch: _Watch) -> Sequence[Event]:
        """Quarantine an order, or release it when its quarantine is over."""
        order = await records.order(watch.order.intent_id)
        if order is None or not order.is_unresolved:
            self._watches.pop(watch.order.intent_id, None)
            return []
        now = self._clock.now()
        if order.status is not OrderStatus.QUARANTINED:
            quarantined = order.changed(
                now, status=OrderStatus.QUARANTINED, quarantined_at=now, reason="NOT_FOUND_AFTER_FENCE"
            )
            await records.update(quarantined)
            watch.order = quarantined
            _LOG.error("An order was not found after its fence", order=order.client_order_id)
            return [order_updated(quarantined)]
        if order.quarantined_at is None or now - order.quarantined_at < self._doubt.quarantine:
            return []
        released = order.changed(now, released_at=now, final=order.approved)
        await records.update(released)
        self._watches.pop(order.intent_id, None)
        return [order_updated(released), *await self._bookkeeper.advance(records, released)]
