"""However reports of orders and positions interleave, what is counted is never less than what may be lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.contracts.events import OrderUpdated
from libs.common.contracts.vocabulary import OrderStatus, Role, Side
from libs.trading.risk import Exposure
from services.risk_manager.domain.claims import Claim, Phase
from services.risk_manager.domain.figures import RecentOrders
from services.risk_manager.domain.limits import exposure_of
from services.risk_manager.service.exposure import ExposureKeeper
from tests.service.risk_manager.builders import NOW, FakeBook, FakeRecords, a_position, an_update, enveloped

CAP = Decimal(1_000)
SYMBOLS = ("AAA/USDT", "BBB/USDT", "CCC/USDT", "DDD/USDT")
STATUSES = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.UNKNOWN, OrderStatus.QUARANTINED)
ENDS = (OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED)

wishes = st.tuples(st.just("enter"), st.integers(0, 3), st.integers(1, 1_000))
reports = st.tuples(st.just("report"), st.integers(0, 3), st.sampled_from((*STATUSES, *ENDS)), st.integers(0, 100))
repeats = st.tuples(st.just("repeat"), st.integers(0, 99))
positions = st.tuples(st.sampled_from(("position", "sell")), st.integers(0, 3))


@dataclass
class Truth:
    """What became of an entry; it pays 1 for each coin."""

    claim: Claim
    status: OrderStatus = OrderStatus.PREPARED
    filled: Decimal = Decimal(0)
    revision: int = 0
    sold: bool = False

    @property
    def is_final(self) -> bool:
        return self.status in ENDS

    @property
    def at_risk(self) -> Decimal:
        """What it has cost, or may still cost."""
        if self.sold:
            return Decimal(0)
        return self.filled if self.is_final else self.claim.notional


class World:
    """The keeper over fakes beside the truth."""

    def __init__(self) -> None:
        self.records = FakeRecords()
        self.keeper = ExposureKeeper(book=FakeBook())
        self.orders: dict[str, Truth] = {}
        self.past: list[OrderUpdated] = []
        self.told: dict[str, int] = dict.fromkeys(SYMBOLS, 0)
        self.trips: dict[str, int] = dict.fromkeys(SYMBOLS, 0)
        self.entries = 0

    async def exposure(self) -> Exposure:
        return exposure_of(
            mark=None,
            positions=await self.records.positions("main"),
            claims=await self.records.open_claims("main"),
            recent=RecentOrders(),
        )

    async def enter(self, symbol: str, notional: int) -> None:
        exposure, amount = await self.exposure(), Decimal(notional)
        if symbol in exposure.symbols or exposure.notional + amount > CAP:
            return
        self.entries += 1
        claim = Claim(
            account="main",
            intent_id=UUID(int=self.entries),
            signal_id=f"signal-{self.entries}",
            strategy="ema_cross",
            symbol=symbol,
            side=Side.BUY,
            role=Role.ENTRY,
            phase=Phase.RESERVED,
            notional=amount,
            quantity=amount,
            round_trips=self.trips[symbol],
            approved_at=NOW,
            updated_at=NOW,
        )
        await self.records.save_claim(claim)
        self.orders[symbol] = Truth(claim)

    async def report(self, symbol: str, status: OrderStatus, filled_pct: int) -> None:
        order = self.orders.get(symbol)
        if order is None or order.is_final:
            return
        order.status, order.revision = status, order.revision + 1
        if status is OrderStatus.FILLED:
            order.filled = order.claim.quantity
        elif status in {OrderStatus.PARTIALLY_FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED}:
            order.filled = max(order.filled, order.claim.quantity * filled_pct / 100)
        like_an_approval: Any = order.claim
        update = an_update(
            like_an_approval,
            revision=order.revision,
            status=status,
            final=order.is_final,
            filled_quantity=order.filled,
            filled_amount=order.filled,
        )
        self.past.append(update)
        await self._deliver(update)

    async def repeat(self, number: int) -> None:
        if self.past:
            await self._deliver(self.past[number % len(self.past)])

    async def position(self, symbol: str) -> None:
        """Let the ledger tell what it has; `sell` makes it nothing."""
        order = self.orders.get(symbol)
        held = Decimal(0) if order is None or order.sold else order.filled
        self.told[symbol] += 1
        event = a_position(
            str(held), symbol=symbol, revision=self.told[symbol], cost=held, round_trips=self.trips[symbol]
        )
        await self.records.transact(self.keeper.on_position_changed(enveloped(event), self.records))

    async def sell(self, symbol: str) -> None:
        order = self.orders.get(symbol)
        if order is None or order.sold or not order.is_final or not order.filled:
            return
        await self.position(symbol)  # what was bought was told before it was sold
        order.sold = True
        self.trips[symbol] += 1
        await self.position(symbol)

    async def _deliver(self, update: OrderUpdated) -> None:
        await self.records.transact(self.keeper.on_order_updated(enveloped(update), self.records))


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(wishes, reports, reports, repeats, positions), max_size=40))
async def test_no_interleaving_of_fills_cancels_and_positions_breaches_the_cap(steps: Sequence[tuple[Any, ...]]):
    world = World()
    for name, where, *rest in steps:
        if name == "repeat":
            await world.repeat(where)
        else:
            await getattr(world, name)(SYMBOLS[where], *rest)

        counted = (await world.exposure()).notional
        assert sum(order.at_risk for order in world.orders.values()) <= counted
        assert sum(order.at_risk for order in world.orders.values()) <= CAP
