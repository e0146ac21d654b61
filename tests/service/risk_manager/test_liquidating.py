"""What a halt has sold is ordered again until nothing is left, one sale at a time."""

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any

from libs.common.contracts.event import Event
from libs.common.contracts.events import OrderApproved, OrderRefused
from libs.common.contracts.vocabulary import OrderStatus, Role
from libs.common.control.halts import HaltRecord
from services.risk_manager.service.exposure import ExposureKeeper, held
from services.risk_manager.service.liquidating import Liquidator
from services.risk_manager.service.ports import RiskRecords
from tests.service.risk_manager.builders import (
    NOW,
    FakeBook,
    a_command,
    a_position,
    an_update,
    enveloped,
)
from tests.service.risk_manager.test_governing import Office


class Clearance:
    """An account with a position in BTC/USDT and one in ETH/USDT, and the parts that sell them."""

    def __init__(self) -> None:
        self.office = Office()
        self.records, self.clock = self.office.records, self.office.clock
        self.exposure = ExposureKeeper(book=FakeBook())
        self.events: list[Event] = []
        self.liquidator = Liquidator(
            governor=self.office.governor, sell=self.office.judge.sell, apply=self.apply, clock=self.clock
        )

    async def apply(self, work: Callable[[RiskRecords], Awaitable[Sequence[Event]]]) -> None:
        async def run() -> Sequence[Event]:
            return await work(self.records)

        self.events += await self.records.transact(run())

    async def begun(self) -> "Clearance":
        await self.office.begun()
        await self.holds("BTC/USDT", "0.004")
        await self.holds("ETH/USDT", "0.1")
        return self

    async def holds(self, symbol: str, quantity: str, *, revision: int = 1) -> None:
        position = held(a_position(quantity, symbol=symbol, revision=revision, cost=Decimal(200)))
        await self.records.save_position(position, at=NOW)

    async def command(self, **changes: Any) -> None:
        self.events += await self.office.commanded(a_command("HALT", **changes))

    async def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            await self.liquidator.look()

    async def answered(self, approval: OrderApproved, status: OrderStatus) -> None:
        """Give an approval its final answer."""
        update = an_update(approval, status=status, final=True)
        await self.apply(lambda records: self.exposure.on_order_updated(enveloped(update), records))

    def sold(self, symbol: str | None = None) -> list[OrderApproved]:
        return [event for event in self.events if isinstance(event, OrderApproved) and symbol in (None, event.symbol)]


async def test_a_sale_that_ended_without_selling_is_ordered_again() -> None:
    clearance = await Clearance().begun()
    await clearance.command(liquidate=True)
    (first,) = clearance.sold("BTC/USDT")

    await clearance.wait(5)
    assert clearance.sold("BTC/USDT") == [first]  # it is still under way
    await clearance.answered(first, OrderStatus.ABANDONED)
    await clearance.wait(3)

    _, second = clearance.sold("BTC/USDT")
    assert second.role is Role.LIQUIDATION
    assert second.intent_id != first.intent_id


async def test_an_entry_that_fills_after_the_halt_is_sold_too() -> None:
    clearance = Clearance()
    await clearance.office.begun()
    await clearance.command(liquidate=True)
    assert clearance.sold() == []

    await clearance.holds("BTC/USDT", "0.004")
    await clearance.wait(3)

    assert [order.symbol for order in clearance.sold()] == ["BTC/USDT"]


async def test_nothing_more_is_ordered_when_nothing_is_left() -> None:
    clearance = await Clearance().begun()
    await clearance.command(liquidate=True)
    for order in clearance.sold():
        await clearance.answered(order, OrderStatus.FILLED)
    await clearance.holds("BTC/USDT", "0", revision=2)
    await clearance.holds("ETH/USDT", "0", revision=2)

    await clearance.wait(30)

    assert len(clearance.sold()) == 2


async def test_a_position_that_cannot_be_sold_is_ordered_ever_seldomer() -> None:
    clearance = await Clearance().begun()
    await clearance.command(liquidate=True, symbol="BTC/USDT")
    for _ in range(60):
        for order in clearance.sold():
            await clearance.answered(order, OrderStatus.REJECTED)
        await clearance.wait(1)

    assert 5 <= len(clearance.sold()) <= 7  # at once, then after 2, 2, 4, 8, 15 and 30 s


async def test_only_the_scope_of_the_halt_is_sold() -> None:
    clearance = await Clearance().begun()

    await clearance.command(liquidate=True, symbol="ETH/USDT")
    await clearance.wait(5)

    assert {order.symbol for order in clearance.sold()} == {"ETH/USDT"}


async def test_a_halt_without_the_order_to_sell_sells_nothing() -> None:
    clearance = await Clearance().begun()

    await clearance.command()
    await clearance.wait(5)

    assert clearance.sold() == []


async def test_an_unsigned_halt_that_claims_to_liquidate_is_stored_as_one_that_does_not() -> None:
    clearance = await Clearance().begun()
    clearance.events += await clearance.office.latched(
        HaltRecord(halt_id="forged", account="main", halted_at=NOW, liquidate=True)
    )

    await clearance.wait(5)

    assert clearance.sold() == []
    assert not clearance.records.states["main"].halts[0].liquidate


async def test_a_resumed_halt_sells_no_more() -> None:
    clearance = await Clearance().begun()
    halt = a_command("HALT", liquidate=True)
    clearance.events += await clearance.office.commanded(halt)
    for order in clearance.sold():
        await clearance.answered(order, OrderStatus.ABANDONED)
    await clearance.office.commanded(a_command("RESUME", clears=(str(halt.command_id),)))

    await clearance.wait(5)

    assert len(clearance.sold()) == 2
    assert not [event for event in clearance.events if isinstance(event, OrderRefused)]
