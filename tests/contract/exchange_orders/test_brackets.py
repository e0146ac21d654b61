"""An entry with its exits as one list: what every gateway promises, the fake in memory and the one over ccxt alike."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from libs.common.clock import Clock, SystemClock, epoch_ms
from libs.exchange.limits import Purpose
from libs.exchange.orders.ccxt_gateway import CcxtOrderGateway
from libs.exchange.orders.port import NewBracket, NewOrder, OrderGateway, Signing, Stop, Target
from libs.exchange.orders.requests import bracket_request
from libs.exchange.outcomes import CancelVerdict, Finding, Verdict
from libs.exchange.refusals import Reason
from libs.trading.market import OrderType, Side
from libs.trading.orders import OrderStatus
from tests.support.clock import FakeClock
from tests.support.fake_exchange import FakeExchange

SYMBOL = "BTC/USDT"
QUANTITY = Decimal("0.001")
AFTER_FEE = Decimal("0.00099")  # 0.1 % less, in whole steps


@dataclass
class Bench:
    """A gateway and what its market trades at."""

    gateway: OrderGateway
    clock: Clock
    price: Decimal

    def bracket(self, *, limit: str = "1.01", target: str | None = "1.05", stop: str = "0.95") -> NewBracket:
        return NewBracket(
            symbol=SYMBOL,
            list_client_order_id=new_id("O"),
            client_order_id=new_id("E"),
            quantity=QUANTITY,
            price=self._times(limit),
            exit_quantity=AFTER_FEE,
            stop=Stop(client_order_id=new_id("P"), stop_price=self._times(stop)),
            target=None if target is None else Target(client_order_id=new_id("P"), price=self._times(target)),
            signing=self.signing(),
        )

    def signing(self) -> Signing:
        at_ms = epoch_ms(self.clock.now()) + (self.gateway.clock_offset_ms or 0)
        return Signing(at_ms=at_ms, recv_window_ms=1_000)

    async def state(self, client_order_id: str) -> tuple[OrderStatus, Decimal]:
        lookup = await self.gateway.order(SYMBOL, client_order_id)
        assert lookup.report is not None
        return lookup.report.status, lookup.report.quantity

    def _times(self, factor: str) -> Decimal:
        return (self.price * Decimal(factor)).quantize(Decimal("0.01"))


@pytest.fixture(params=["fake", "ccxt"])
async def bench(request: pytest.FixtureRequest, gateway: CcxtOrderGateway) -> AsyncIterator[Bench]:
    if request.param == "fake":
        clock = FakeClock()
        yield Bench(FakeExchange(clock), clock, Decimal(50_000))
        return
    bench = Bench(gateway, SystemClock(), Decimal(0))
    probe = NewOrder(
        symbol=SYMBOL,
        side=Side.BUY,
        order_type=OrderType.MARKET,
        quantity=QUANTITY,
        client_order_id=new_id("E"),
        signing=bench.signing(),
    )
    bench.price = (await gateway.place(probe, purpose=Purpose.ENTRY)).reports[0].trades[-1].price
    yield bench
    for report in await gateway.open_orders(SYMBOL):
        await gateway.cancel(SYMBOL, report.client_order_id)


def new_id(letter: str) -> str:
    return f"ct{letter}-test00-{uuid.uuid4().hex[:24]}"


def exits(bracket: NewBracket) -> list[str]:
    target = [] if bracket.target is None else [bracket.target.client_order_id]
    return [bracket.stop.client_order_id, *target]


@pytest.mark.parametrize("target", ["1.05", None], ids=["two exits", "a stop alone"])
async def test_an_entry_that_fills_comes_back_with_its_trades_and_its_exits_stand(bench: Bench, target: str | None):
    bracket = bench.bracket(target=target)

    placement = await bench.gateway.place_bracket(bracket)

    entry, *waiting = placement.reports
    assert placement.outcome.verdict is Verdict.ACCEPTED
    assert (entry.client_order_id, entry.status) == (bracket.client_order_id, OrderStatus.FILLED)
    assert sum(trade.quantity for trade in entry.trades) == QUANTITY
    assert [report.client_order_id for report in waiting] == exits(bracket)
    assert {report.status for report in waiting} == {OrderStatus.ACCEPTED}
    assert {await bench.state(name) for name in exits(bracket)} == {(OrderStatus.ACCEPTED, AFTER_FEE)}
    assert len(placement.reports) == bracket.orders


@pytest.mark.parametrize("target", ["1.05", None], ids=["two exits", "a stop alone"])
async def test_exits_without_a_quantity_sell_what_was_bought_where_free_coins_pay_the_commission(
    bench: Bench, target: str | None
):
    bracket = replace(bench.bracket(target=target), exit_quantity=None)

    placement = await bench.gateway.place_bracket(bracket)

    assert placement.outcome.verdict is Verdict.ACCEPTED
    assert {report.quantity for report in placement.reports[1:]} == {Decimal(0)}
    assert {await bench.state(name) for name in exits(bracket)} == {(OrderStatus.ACCEPTED, QUANTITY)}


async def test_an_entry_beyond_its_limit_buys_nothing_and_leaves_no_exit(bench: Bench):
    bracket = bench.bracket(limit="0.99")

    placement = await bench.gateway.place_bracket(bracket)

    assert placement.outcome.verdict is Verdict.ACCEPTED
    names = [bracket.client_order_id, *exits(bracket)]
    assert {(await bench.state(name))[0] for name in names} == {OrderStatus.EXPIRED}
    assert {report.client_order_id for report in await bench.gateway.open_orders(SYMBOL)}.isdisjoint(names)


async def test_exits_of_more_than_there_is_end_as_soon_as_they_are_due(bench: Bench):
    """The account has coins of its own, but no hundred."""
    bracket = replace(bench.bracket(), exit_quantity=Decimal(100))

    placement = await bench.gateway.place_bracket(bracket)

    assert (await bench.state(bracket.client_order_id))[0] is OrderStatus.FILLED
    assert placement.outcome.verdict is Verdict.ACCEPTED
    assert {(await bench.state(name))[0] for name in exits(bracket)} == {OrderStatus.EXPIRED}


async def test_the_exits_are_cancelled_as_a_list_and_the_entry_stays_filled(bench: Bench):
    bracket = bench.bracket()
    await bench.gateway.place_bracket(bracket)

    cancellation = await bench.gateway.cancel_list(SYMBOL, bracket.list_client_order_id)
    again = await bench.gateway.cancel_list(SYMBOL, bracket.list_client_order_id)

    assert cancellation.verdict is CancelVerdict.CANCELED
    assert [report.client_order_id for report in cancellation.reports] == exits(bracket)
    assert {report.status for report in cancellation.reports} == {OrderStatus.CANCELED}
    assert again.verdict is CancelVerdict.GONE
    assert (await bench.state(bracket.client_order_id))[0] is OrderStatus.FILLED


async def test_a_bracket_that_is_refused_leaves_nothing(gateway: CcxtOrderGateway):
    bench = Bench(gateway, SystemClock(), Decimal(50_000))
    bracket = replace(bench.bracket(), quantity=Decimal(5), exit_quantity=Decimal(5), price=Decimal(60_000))

    placement = await gateway.place_bracket(bracket)

    assert placement.outcome.verdict is Verdict.NOT_ACCEPTED
    assert placement.outcome.reason is Reason.INSUFFICIENT_BALANCE
    for name in (bracket.client_order_id, *exits(bracket)):
        assert (await gateway.order(SYMBOL, name)).finding is Finding.NOT_FOUND


def test_a_bracket_counts_as_many_orders_as_it_has():
    bench = Bench(FakeExchange(FakeClock()), FakeClock(), Decimal(50_000))
    limited = Stop(client_order_id="stop", stop_price=Decimal(48_000), price=Decimal(47_000))

    for bracket, method, leg in (
        (bench.bracket(), "private_post_orderlist_otoco", "pendingBelow"),
        (replace(bench.bracket(), exit_quantity=None), "private_post_orderlist_opoco", "pendingBelow"),
        (bench.bracket(target=None), "private_post_orderlist_oto", "pending"),
        (replace(bench.bracket(target=None), exit_quantity=None), "private_post_orderlist_opo", "pending"),
    ):
        endpoint, parameters = bracket_request(replace(bracket, stop=limited))
        assert (endpoint.method, endpoint.orders) == (method, bracket.orders)
        assert (parameters[f"{leg}Type"], parameters[f"{leg}Price"]) == ("STOP_LOSS_LIMIT", "47000")
        assert ("pendingQuantity" in parameters) is (bracket.exit_quantity is not None)
