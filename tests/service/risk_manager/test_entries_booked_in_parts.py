"""An entry's claim ends when all of its fills are booked, whatever was sold of them meanwhile, and not before."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.contracts.events import OrderUpdated, PositionChanged
from libs.common.contracts.vocabulary import OrderStatus, Role, Side
from services.risk_manager.domain.claims import Claim, HeldPosition, Phase, bought_before
from services.risk_manager.domain.figures import RecentOrders
from services.risk_manager.domain.limits import exposure_of
from services.risk_manager.service.exposure import ExposureKeeper
from tests.service.risk_manager.builders import NOW, FakeBook, FakeRecords, a_position, a_signal, an_update, enveloped
from tests.service.risk_manager.test_judging import Desk

BOUGHT = {"filled_quantity": Decimal("0.00399"), "filled_amount": Decimal(200)}
CAP = Decimal(12)


async def a_finished_entry(desk: Desk) -> Any:
    approved = await desk.approved(a_signal())
    await desk.updated(approved, status=OrderStatus.FILLED, final=True, **BOUGHT)
    return approved.intent_id


async def test_the_exit_of_a_part_that_was_booked_leaves_the_claim_of_the_rest() -> None:
    desk = await Desk().marked()
    intent = await a_finished_entry(desk)

    await desk.held("0.001", revision=1, bought=Decimal("0.001"))
    await desk.held("0", revision=2, round_trips=1, bought=Decimal("0.001"))

    assert desk.records.claims[intent].phase is Phase.FILLED
    assert desk.records.claims[intent].notional == 200
    await desk.held("0.00299", revision=3, round_trips=1, bought=Decimal("0.00399"))
    assert desk.records.claims[intent].phase is Phase.RELEASED


async def test_what_was_bought_before_settles_nothing() -> None:
    desk = await Desk().marked()
    await desk.held("0", revision=1, round_trips=1, bought=Decimal(5))
    intent = await a_finished_entry(desk)
    assert desk.records.claims[intent].bought_before == 5

    await desk.held("0", revision=2, round_trips=2, bought=Decimal("5.00398"))
    assert desk.records.claims[intent].phase is Phase.FILLED

    await desk.held("0", revision=3, round_trips=2, bought=Decimal("5.00399"))
    assert desk.records.claims[intent].phase is Phase.RELEASED


@pytest.mark.parametrize("told_before", [True, False], ids=["the position before", "the position after"])
async def test_a_position_that_does_not_say_what_was_bought_settles_by_its_round_trips(*, told_before: bool) -> None:
    desk = await Desk().marked()
    if told_before:
        await desk.held("0", revision=1)
    intent = await a_finished_entry(desk)
    assert desk.records.claims[intent].bought_before == (None if told_before else 0)

    await desk.held("0", revision=2, round_trips=1)

    assert desk.records.claims[intent].phase is Phase.RELEASED


def a_claim(number: int, quantity: int, **changes: Any) -> Claim:
    fields: dict[str, Any] = {
        "account": "main",
        "intent_id": UUID(int=number),
        "signal_id": f"signal-{number}",
        "strategy": "ema_cross",
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "role": Role.ENTRY,
        "phase": Phase.RESERVED,
        "notional": Decimal(quantity),
        "quantity": Decimal(quantity),
        "bought_before": Decimal(0),
        "approved_at": NOW,
        "updated_at": NOW,
    }
    return Claim(**{**fields, **changes})


async def test_a_late_fill_of_a_released_entry_is_not_settled_by_what_a_later_one_bought() -> None:
    """Given up, the first claims nothing; it fills after all when a second was bought, booked and released."""
    world = World()
    for name, number in (
        *(("enter", 2), ("give_up", 0), ("hear_order", 0)),
        *(("enter", 3), ("fill", 5), ("book", 0), ("hear_position", 0), ("hear_order", 0)),
    ):
        await getattr(world, name)(number)
    assert [claim.phase for claim in world.records.claims.values()] == [Phase.RELEASED, Phase.RELEASED]

    for name, number in (("fill", 4), ("hear_order", 0)):
        await getattr(world, name)(number)

    assert [claim.phase for claim in world.records.claims.values()] == [Phase.FILLED, Phase.RELEASED]
    for name in ("book", "hear_position"):
        await getattr(world, name)(0)
    assert await world.records.open_claims("main") == []


def test_a_new_entry_counts_from_before_those_that_are_open_beside_it() -> None:
    position = HeldPosition(
        account="main",
        symbol="BTC/USDT",
        revision=1,
        quantity=Decimal(0),
        cost=Decimal(0),
        round_trips=0,
        bought=Decimal(5),
    )
    beside = [
        a_claim(1, 1, bought_before=Decimal(3)),
        a_claim(2, 1, bought_before=Decimal(4)),
        a_claim(3, 1, bought_before=None),
        a_claim(4, 1, bought_before=Decimal(1), role=Role.EXIT),
    ]

    assert bought_before(position, beside) == 3
    assert bought_before(position, []) == 5
    assert bought_before(replace(position, bought=None), beside) is None
    assert bought_before(None, []) == 0


@dataclass
class Order:
    """An entry at the exchange, where a coin costs 1."""

    claim: Claim
    filled: int = 0
    ended: bool = False
    given_up: bool = False
    told: int = 0
    """How many of its coins the positions contain that the risk manager was told of."""


@dataclass
class World:
    """The keeper beside an exchange, a ledger that books late, and reports that arrive late and again."""

    records: FakeRecords = field(default_factory=FakeRecords)
    keeper: ExposureKeeper = field(default_factory=lambda: ExposureKeeper(book=FakeBook()))
    orders: list[Order] = field(default_factory=list)
    fills: deque[tuple[Order, int]] = field(default_factory=deque)
    updates: deque[OrderUpdated] = field(default_factory=deque)
    positions: deque[tuple[PositionChanged, Order | None, int]] = field(default_factory=deque)
    heard: list[OrderUpdated | PositionChanged] = field(default_factory=list)
    revision: int = 0
    held: int = 0
    bought: int = 0
    sold: int = 0
    trips: int = 0

    async def counted(self) -> Decimal:
        positions, claims = await self.records.positions("main"), await self.records.open_claims("main")
        exposure = exposure_of(mark=None, positions=positions, claims=claims, recent=RecentOrders())
        return exposure.notional

    async def enter(self, quantity: int) -> None:
        """Approve another entry within the cap, also beside an open one."""
        if await self.counted() + quantity > CAP:
            return
        known = self.records.held.get(("main", "BTC/USDT"))
        before = bought_before(known, await self.records.open_claims("main"))
        claim = a_claim(
            len(self.orders) + 1, quantity, bought_before=before, round_trips=known.round_trips if known else 0
        )
        await self.records.save_claim(claim)
        self.orders.append(Order(claim))

    async def fill(self, number: int) -> None:
        order = self._order(number)
        if order is None or order.ended:
            return
        part = min(1 + number % 3, int(order.claim.quantity) - order.filled)
        order.filled += part
        order.ended = order.filled == order.claim.quantity
        self.fills.append((order, part))
        self._report(order, OrderStatus.FILLED if order.ended else OrderStatus.PARTIALLY_FILLED)

    async def cancel(self, number: int) -> None:
        order = self._order(number)
        if order is not None and not order.ended:
            order.ended = True
            self._report(order, OrderStatus.CANCELED)

    async def give_up(self, number: int) -> None:
        """Release one order that nobody has an answer of; it may fill all the same."""
        order = self._order(number)
        if (
            order is not None
            and not order.filled
            and not order.ended
            and not any(each.given_up for each in self.orders)
        ):
            order.given_up = True
            self._report(order, OrderStatus.QUARANTINED)

    async def book(self, _: int) -> None:
        if self.fills:
            order, part = self.fills.popleft()
            self.held, self.bought = self.held + part, self.bought + part
            self._tell(order, part)

    async def leave(self, _: int) -> None:
        """Sell all that the ledger has."""
        if self.held:
            self.sold, self.held, self.trips = self.sold + self.held, 0, self.trips + 1
            self._tell(None, 0)

    async def hear_order(self, _: int) -> None:
        if self.updates:
            update = self.updates.popleft()
            self.heard.append(update)
            await self._deliver(update)

    async def hear_position(self, _: int) -> None:
        if self.positions:
            position, order, part = self.positions.popleft()
            if order is not None:
                order.told += part
            self.heard.append(position)
            await self._deliver(position)

    async def hear_again(self, number: int) -> None:
        if self.heard:
            await self._deliver(self.heard[number % len(self.heard)])

    async def restart(self, _: int) -> None:
        self.keeper = ExposureKeeper(book=FakeBook())

    async def end(self) -> None:
        """Let everything happen that is still to come."""
        for number in range(len(self.orders)):
            await self.cancel(number)
        while self.fills:
            await self.book(0)
        while self.positions or self.updates:
            await self.hear_position(0)
            await self.hear_order(0)

    def check(self, counted: Decimal) -> None:
        for order in self.orders:
            claim = self.records.claims[order.claim.intent_id]
            if claim.phase is Phase.RELEASED:
                assert order.told >= claim.filled_quantity, "released too early"
        if not any(order.given_up for order in self.orders):
            may_fill = sum(int(order.claim.quantity) - order.filled for order in self.orders if not order.ended)
            at_risk = sum(order.filled for order in self.orders) - self.sold + may_fill
            assert at_risk <= counted
            assert at_risk <= CAP

    def _order(self, number: int) -> Order | None:
        return self.orders[number % len(self.orders)] if self.orders else None

    def _report(self, order: Order, status: OrderStatus) -> None:
        like_an_approval: Any = order.claim
        order.claim = replace(order.claim, revision=order.claim.revision + 1)
        filled = Decimal(order.filled)
        final = order.ended or order.given_up
        self.updates.append(
            an_update(
                like_an_approval,
                revision=order.claim.revision,
                status=status,
                final=final,
                filled_quantity=filled,
                filled_amount=filled,
            )
        )

    def _tell(self, order: Order | None, part: int) -> None:
        self.revision += 1
        told = a_position(
            str(self.held),
            revision=self.revision,
            cost=Decimal(self.held),
            round_trips=self.trips,
            bought=Decimal(self.bought),
        )
        self.positions.append((told, order, part))

    async def _deliver(self, event: Any) -> None:
        handle: Any = (
            self.keeper.on_order_updated if isinstance(event, OrderUpdated) else self.keeper.on_position_changed
        )
        await self.records.transact(handle(enveloped(event), self.records))


CHANCES = {
    "enter": 2,
    "fill": 3,
    "cancel": 1,
    "give_up": 1,
    "book": 3,
    "leave": 2,
    "hear_order": 3,
    "hear_position": 3,
    "hear_again": 1,
    "restart": 1,
}
steps = st.tuples(
    st.sampled_from([name for name, chances in CHANCES.items() for _ in range(chances)]), st.integers(1, 9)
)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=40, max_size=80))
async def test_no_interleaving_releases_an_entry_before_it_is_booked_nor_keeps_it_for_ever(
    taken: Sequence[tuple[str, int]],
) -> None:
    world = World()
    for name, number in taken:
        await getattr(world, name)(number)
        world.check(await world.counted())

    await world.end()

    world.check(await world.counted())
    assert await world.records.open_claims("main") == []
    assert await world.counted() == world.held
