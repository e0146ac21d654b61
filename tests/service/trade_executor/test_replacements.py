"""What protects is replaced only when its successor can follow at once: by messages, orders, rules and fees."""

import asyncio
import uuid
from dataclasses import replace
from decimal import Decimal

import pytest

from libs.common.configuration import TradingConfiguration
from libs.exchange.limits import Purpose
from libs.exchange.orders.port import NewBracket, NewOco, NewOrder, OrderReport, TradeReport
from libs.exchange.refusals import Reason
from libs.trading.market import OrderType
from services.trade_executor.domain.orders import ExecutorOrder
from services.trade_executor.service.replacing import REPLACEMENT_S_MAX, REPLACEMENTS_MAX
from tests.support.clock import FakeClock
from tests.support.executor import Executor, a_move, an_approval, an_envelope, an_exit
from tests.support.fake_exchange import SYMBOL, FakeExchange, a_listing

STOP, MOVED = Decimal(49_500), Decimal(50_100)
FEW = {"messages_per_minute_max": 10, "strategy_messages_per_minute_max": 10}
LARGE = {"order_notional_max": 50_000}


async def protecting(exchange: FakeExchange, **safety: int) -> Executor:
    """Return an executor whose position is protected by the list of its entry."""
    exchange.listing = replace(exchange.listing, oto_allowed=True)
    configuration = TradingConfiguration.model_validate({"safety": safety})
    executor = await Executor(exchange=exchange, clock=exchange.clock, configuration=configuration).start()
    await executor.approve(an_approval(exchange.clock, trailing_distance=Decimal(600)))
    await executor.advance(1)
    assert stop_of(executor).stop_price == STOP
    return executor


def stop_of(executor: Executor) -> ExecutorOrder:
    """The one stop that rests."""
    (stop,) = (order for order in executor.working(an_approval(executor.clock).intent_id) if order.is_stop)
    return stop


def of_another(stop: ExecutorOrder, number: int) -> ExecutorOrder:
    return replace(stop, chain_id=uuid.UUID(int=number))


async def test_no_message_is_spent_on_a_cancel_that_leaves_none_for_the_protection(
    exchange: FakeExchange, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
):
    executor = await protecting(exchange, **FEW)
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.advance(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)  # of the last hop
    for number in range(6):
        await executor.hear_of_stop(a_move(clock, str(49_600 + 100 * number), revision=3 + number))
        assert stop_of(executor)
        clock.advance(1)

    assert not any(waits)
    assert STOP < (stop_of(executor).stop_price or 0) < MOVED  # the ten messages of the minute are spent
    await executor.advance(60)
    assert stop_of(executor).stop_price == MOVED
    executor.check()


async def test_a_few_protections_are_replaced_at_once_and_the_others_stand_until_then(
    exchange: FakeExchange, clock: FakeClock
):
    executor = await protecting(exchange)
    stop = stop_of(executor)
    waits_s = [executor.controls.replace_s(of_another(stop, number)) for number in range(100)]
    assert waits_s.count(0) == REPLACEMENTS_MAX

    await executor.hear_of_stop(a_move(clock))
    assert stop_of(executor) == stop
    executor.controls.replaced(uuid.UUID(int=0))
    await executor.advance(0.5)

    assert stop_of(executor).stop_price == MOVED
    assert executor.controls.replace_s(of_another(stop, 100)) == 0  # it has ended, and left its place


async def test_a_replacement_of_which_nothing_is_heard_gives_its_place_up(exchange: FakeExchange, clock: FakeClock):
    executor = await protecting(exchange)
    stop = stop_of(executor)
    for number in range(REPLACEMENTS_MAX):
        assert executor.controls.replace_s(of_another(stop, number)) == 0

    await executor.hear_of_stop(a_move(clock))
    await executor.advance(REPLACEMENT_S_MAX - 1)
    assert stop_of(executor) == stop
    await executor.advance(2)

    assert stop_of(executor).stop_price == MOVED


async def test_what_is_kept_for_a_replacement_goes_to_nobody_but_a_bare_position(exchange: FakeExchange):
    executor = await protecting(exchange, **FEW)
    controls, stop = executor.controls, stop_of(executor)
    assert controls.replace_s(of_another(stop, 1)) == 0
    for _ in range(7):
        controls.sending(of_another(stop, 2))  # eight with the entry, and two are kept

    assert controls.crowding(executor.order(stop.chain_id)) is not None
    assert controls.replace_s(of_another(stop, 3)) > 1
    assert controls.crowding(stop) is None
    assert controls.wait_s(stop.account) == 0
    assert controls.claim_s(of_another(stop, 1)) == 0  # its own cancel
    controls.sending(of_another(stop, 1))  # its successor
    assert controls.crowding(stop) is not None


async def test_a_cancel_of_another_chain_leaves_what_is_kept(exchange: FakeExchange):
    executor = await protecting(exchange, **FEW)
    controls, stop = executor.controls, stop_of(executor)
    assert controls.replace_s(of_another(stop, 1)) == 0
    for _ in range(7):
        controls.sending(of_another(stop, 2))

    assert controls.claim_s(of_another(stop, 2)) > 1


async def test_what_protects_stands_if_bare_positions_took_the_room_meanwhile(exchange: FakeExchange, clock: FakeClock):
    executor = await protecting(exchange, **FEW)
    move = an_envelope(a_move(clock), clock)
    await executor.transactions.apply(lambda records: executor.stop_moves.on_stop_moved(move, records))
    for _ in range(8):
        executor.controls.sending(of_another(stop_of(executor), 1))

    await executor.settle()
    assert stop_of(executor).stop_price == STOP
    await executor.advance(61)

    assert stop_of(executor).stop_price == MOVED
    executor.check()


async def test_room_is_asked_for_every_list_of_a_protection(exchange: FakeExchange):
    executor = await protecting(exchange, **FEW)
    controls, stop = executor.controls, stop_of(executor)
    for _ in range(6):
        controls.sending(of_another(stop, 1))  # seven with the entry

    assert controls.replace_s(stop, lists=2) > 0
    assert controls.replace_s(stop, lists=1) == 0


class _Counting(FakeExchange):
    """One that has room for so many orders."""

    room = 0

    def wait_s(self, purpose: Purpose, *, orders: int = 0) -> float:
        return super().wait_s(purpose, orders=orders) or (5.0 if orders > self.room else 0.0)


async def test_the_order_budget_has_room_for_all_replacements_under_way(clock: FakeClock):
    exchange = _Counting(clock)
    exchange.room = 100
    executor = await protecting(exchange)

    exchange.room = 2 * REPLACEMENTS_MAX - 1
    await executor.hear_of_stop(a_move(clock))
    assert stop_of(executor).stop_price == STOP
    exchange.room += 1
    await executor.advance(6)

    assert stop_of(executor).stop_price == MOVED


def told(exchange: FakeExchange, executor: Executor, *, trading: bool) -> None:
    """The rules say whether the market is open, and the exchange acts by them."""
    exchange.listing = replace(exchange.listing, instrument=replace(exchange.listing.instrument, trading=trading))
    executor.venues.learn({SYMBOL: exchange.listing})


async def test_no_stop_is_moved_on_a_closed_market(exchange: FakeExchange, clock: FakeClock):
    executor = await protecting(exchange)
    told(exchange, executor, trading=False)
    requests = list(exchange.requests)

    await executor.hear_of_stop(a_move(clock))
    await executor.advance(60)
    assert (stop_of(executor).stop_price, exchange.requests) == (STOP, requests)
    told(exchange, executor, trading=True)
    await executor.dispatcher.plan(stop_of(executor).chain_id)  # as `Rules` does
    await executor.settle()

    assert stop_of(executor).stop_price == MOVED
    executor.check()


async def test_a_protection_that_a_closed_market_refused_is_placed_when_it_opens(
    exchange: FakeExchange, clock: FakeClock
):
    executor = await protecting(exchange)
    chain_id = stop_of(executor).chain_id
    exchange.refusals.extend([Reason.MARKET_CLOSED] * 50)
    await executor.hear_of_stop(a_move(clock))
    told(exchange, executor, trading=False)
    await executor.advance(90)
    assert not executor.working(chain_id)
    exchange.refusals.clear()
    told(exchange, executor, trading=True)

    await executor.dispatcher.plan(chain_id)
    await executor.settle()

    assert stop_of(executor).stop_price == MOVED
    executor.check()


class _PaidInBnb(FakeExchange):
    """One that takes its commissions out of BNB."""

    def _trade(self, report: OrderReport, quantity: Decimal, price: Decimal) -> TradeReport:
        taken = super()._trade(report, quantity, price)
        self.held[taken.commission_asset] += taken.commission
        self.executions[-1] = replace(taken, commission=Decimal("0.01"), commission_asset="BNB")
        self.held["BNB"] -= Decimal("0.01")
        return self.executions[-1]


@pytest.fixture
async def paid_in_bnb(clock: FakeClock) -> Executor:
    """One that bought 0.2 BTC, of which the exits of its entry sell 0.1998; the rest is worth 10 USDT."""
    exchange = _PaidInBnb(clock, listing=replace(a_listing(), oto_allowed=True))
    exchange.held.update(USDT=Decimal(100_000), BNB=Decimal(1))
    configuration = TradingConfiguration.model_validate({"safety": LARGE})
    executor = await Executor(exchange=exchange, clock=clock, configuration=configuration).start()
    await executor.approve(an_approval(clock, quantity=Decimal("0.2"), trailing_distance=Decimal(600)))
    await executor.advance(2)
    return executor


async def test_a_commission_that_took_no_coins_cancels_no_list(paid_in_bnb: Executor):
    assert [type(request) for request in paid_in_bnb.exchange.requests] == [NewBracket]
    assert stop_of(paid_in_bnb).quantity == Decimal("0.1998")
    paid_in_bnb.check()


async def test_an_exit_sells_what_no_commission_took(paid_in_bnb: Executor, clock: FakeClock):
    await paid_in_bnb.approve(an_exit(clock, quantity=Decimal("0.2")))

    (sale,) = paid_in_bnb.exchange.sent(NewOrder)
    assert (sale.order_type, sale.quantity) == (OrderType.MARKET, Decimal("0.2"))
    paid_in_bnb.check()


async def test_a_moved_stop_covers_what_no_commission_took(paid_in_bnb: Executor, clock: FakeClock):
    await paid_in_bnb.hear_of_stop(a_move(clock))

    assert stop_of(paid_in_bnb).quantity == Decimal("0.2")
    paid_in_bnb.check()


async def test_what_no_commission_took_is_protected_when_the_list_is_done(paid_in_bnb: Executor):
    stop = stop_of(paid_in_bnb)
    paid_in_bnb.exchange.execute(stop.client_order_id, price=STOP)
    for order in paid_in_bnb.working(stop.chain_id):
        await paid_in_bnb.stream(order.client_order_id)

    (oco,) = paid_in_bnb.exchange.sent(NewOco)
    assert oco.quantity == Decimal("0.0002")
    paid_in_bnb.check()
