"""A stop that belongs higher: the resting protection is replaced, whatever repeats, is lost or dies meanwhile."""

from dataclasses import replace
from decimal import Decimal

import pytest

from libs.common.contracts.events import OrderFilled
from libs.common.errors import InvalidMessageError
from libs.exchange.orders.port import NewOco, NewOrder
from libs.exchange.refusals import Reason
from libs.trading.market import OrderType
from libs.trading.orders import OrderStatus
from libs.trading.risk import Role
from tests.support.clock import FakeClock
from tests.support.executor import Executor, a_move, an_approval, an_exit
from tests.support.fake_exchange import Answer, FakeExchange, a_listing

HELD = Decimal("0.00999")  # 0.01 BTC - 0.1 % fee
STOP, TARGET = Decimal(49_500), Decimal(51_000)
MOVED = Decimal(50_100)


@pytest.fixture
def exchange(clock: FakeClock) -> FakeExchange:
    return FakeExchange(clock, listing=replace(a_listing(), oto_allowed=True))


@pytest.fixture(params=[True, False], ids=["entry lists", "exits after entries"])
async def executor(exchange: FakeExchange, clock: FakeClock, request: pytest.FixtureRequest) -> Executor:
    """One that protects a position of `HELD` from `STOP` to `TARGET`."""
    executor = await Executor(exchange=exchange, clock=clock, entry_lists=request.param).start()
    await executor.approve(an_approval(clock, trailing_distance=Decimal(600)))
    await executor.advance(1)
    assert resting(executor, clock) == {(STOP, HELD), (TARGET, HELD)}
    return executor


def resting(executor: Executor, clock: FakeClock) -> set[tuple[Decimal | None, Decimal]]:
    """Where the working sells sell, and how much."""
    working = executor.working(an_approval(clock).intent_id)
    return {(order.stop_price if order.is_stop else order.price, order.remaining) for order in working}


async def test_a_fill_of_an_entry_says_how_far_its_stop_trails(executor: Executor):
    assert {fill.trailing_distance for fill in executor.events(OrderFilled)} == {Decimal(600)}


async def test_the_protection_is_replaced_whole_and_its_target_stays(executor: Executor, exchange: FakeExchange, clock):
    placed = len(exchange.sent(NewOco))

    await executor.hear_of_stop(a_move(clock))

    assert resting(executor, clock) == {(MOVED, HELD), (TARGET, HELD)}
    assert len(exchange.sent(NewOco)) == placed + 1
    executor.check()


async def test_a_move_that_repeats_or_was_overtaken_changes_nothing(executor: Executor, exchange: FakeExchange, clock):
    await executor.hear_of_stop(a_move(clock, "50100", revision=4))
    requests, events = list(exchange.requests), list(executor.tables.events)

    await executor.hear_of_stop(a_move(clock, "50100", revision=4))
    await executor.hear_of_stop(a_move(clock, "49900", revision=3))
    await executor.hear_of_stop(a_move(clock, "49000", revision=9))
    await executor.advance(5)

    assert (exchange.requests, executor.tables.events) == (requests, events)
    assert resting(executor, clock) == {(MOVED, HELD), (TARGET, HELD)}


async def test_each_move_goes_up_from_the_one_before(executor: Executor, exchange: FakeExchange, clock):
    for stop in ("49800", "50100", "50400"):
        await executor.hear_of_stop(a_move(clock, stop))

    assert [oco.below_stop_price for oco in exchange.sent(NewOco)][-3:] == [49_800, 50_100, 50_400]
    executor.check()


async def test_a_stop_that_the_market_has_crossed_meanwhile_is_an_immediate_exit(
    executor: Executor, exchange: FakeExchange, clock
):
    exchange.refusals.append(Reason.PRICE_ALREADY_CROSSED)

    await executor.hear_of_stop(a_move(clock))

    sale = exchange.sent(NewOrder)[-1]
    assert (sale.order_type, sale.quantity) == (OrderType.MARKET, HELD)
    assert executor.children(an_approval(clock).intent_id)[-1].role is Role.PROTECTION
    assert not any(executor.tables.open_chains.values())
    executor.check()


async def test_what_protects_stands_until_its_successor_may_be_sent(executor: Executor, exchange: FakeExchange, clock):
    exchange.orders_wait_s = 5.0

    await executor.hear_of_stop(a_move(clock))
    await executor.advance(4)
    assert resting(executor, clock) == {(STOP, HELD), (TARGET, HELD)}
    exchange.orders_wait_s = 0.0
    await executor.advance(2)

    assert resting(executor, clock) == {(MOVED, HELD), (TARGET, HELD)}
    executor.check()


async def test_a_crash_before_the_cancel_is_made_up_for(executor: Executor, clock):
    executor.transactions.losses = 1
    with pytest.raises(Exception, match="trade_executor"):
        await executor.hear_of_stop(a_move(clock))
    assert resting(executor, clock) == {(STOP, HELD), (TARGET, HELD)}

    successor = await executor.restarted()
    await successor.hear_of_stop(a_move(clock))  # redelivered
    await successor.advance(2)

    assert resting(successor, clock) == {(MOVED, HELD), (TARGET, HELD)}
    successor.check()


async def test_a_crash_between_cancel_and_protection_protects_at_the_new_stop(
    executor: Executor, exchange: FakeExchange, clock
):
    for name in [order.client_order_id for order in executor.working(an_approval(clock).intent_id)]:
        exchange.cancel_answers.append(Answer.LOST)
        await exchange.cancel("BTC/USDT", name)
    executor.tables.stops[an_approval(clock).intent_id] = MOVED

    successor = await executor.restarted()
    await successor.advance(2)

    assert resting(successor, clock) == {(MOVED, HELD), (TARGET, HELD)}
    successor.check()


async def test_a_protection_of_which_nobody_knows_is_waited_for_and_then_replaced(
    executor: Executor, exchange: FakeExchange, clock
):
    exchange.answers.append(Answer.LOST)
    await executor.hear_of_stop(a_move(clock))
    assert not executor.working(an_approval(clock).intent_id)

    await executor.hear_of_stop(a_move(clock, "50200", revision=4))
    await executor.advance(5)

    assert resting(executor, clock) == {(Decimal(50_200), HELD), (TARGET, HELD)}
    executor.check()


async def test_a_cancel_without_an_answer_is_asked_for_before_anything_is_placed(
    executor: Executor, exchange: FakeExchange, clock
):
    exchange.cancel_answers.append(Answer.LOST)

    await executor.hear_of_stop(a_move(clock))
    await executor.advance(2)

    assert resting(executor, clock) == {(MOVED, HELD), (TARGET, HELD)}
    executor.check()


async def test_a_target_that_has_begun_to_fill_is_left_alone(executor: Executor, exchange: FakeExchange, clock):
    target = next(order for order in executor.working(an_approval(clock).intent_id) if not order.is_stop)
    exchange.execute(target.client_order_id, quantity=Decimal("0.004"), price=TARGET)
    for order in executor.working(an_approval(clock).intent_id):
        await executor.stream(order.client_order_id)

    await executor.hear_of_stop(a_move(clock))

    assert resting(executor, clock) == {(TARGET, Decimal("0.00599"))}
    executor.check()


async def test_a_halt_keeps_no_stop_from_rising(executor: Executor, clock):
    await executor.set_state("HALTED", halt_epoch=1, revision=2, halts=("operator-1",))

    await executor.hear_of_stop(a_move(clock))

    assert resting(executor, clock) == {(MOVED, HELD), (TARGET, HELD)}


async def test_a_position_that_is_being_closed_is_not_protected_anew(executor: Executor, exchange: FakeExchange, clock):
    await executor.receive(an_exit(clock))

    await executor.hear_of_stop(a_move(clock))

    assert exchange.sent(NewOrder)[-1].order_type is OrderType.MARKET
    assert not executor.working(an_approval(clock).intent_id)
    executor.check()


async def test_a_move_of_a_position_that_is_closed_or_unknown_does_nothing(
    executor: Executor, exchange: FakeExchange, clock
):
    await executor.approve(an_exit(clock))
    requests = list(exchange.requests)

    await executor.hear_of_stop(a_move(clock))
    await executor.hear_of_stop(a_move(clock, signal_id="of nobody"))

    assert exchange.requests == requests
    assert {order.status for order in executor.tables.orders.values()} <= {OrderStatus.FILLED, OrderStatus.CANCELED}


@pytest.mark.parametrize("changes", [{"account": "other"}, {"symbol": "ETH/USDT"}], ids=str)
async def test_a_move_that_names_another_position_is_no_valid_message(
    executor: Executor, exchange: FakeExchange, clock, changes: dict[str, str]
):
    executor.venues.listings["ETH/USDT"] = exchange.listing
    requests = list(exchange.requests)

    with pytest.raises(InvalidMessageError, match="stop of another position"):
        await executor.hear_of_stop(a_move(clock).model_copy(update=changes))

    assert (exchange.requests, executor.tables.stops) == (requests, {})


async def test_a_stop_that_does_not_trail_is_not_moved(exchange: FakeExchange, clock):
    executor = await Executor(exchange=exchange, clock=clock).start()
    await executor.approve(an_approval(clock))
    protection = executor.working(an_approval(clock).intent_id)[0]

    for named in (an_approval(clock).intent_id, protection.intent_id):
        with pytest.raises(InvalidMessageError, match="not trailing"):
            await executor.hear_of_stop(a_move(clock).model_copy(update={"entry_intent_id": named}))

    assert resting(executor, clock) == {(STOP, HELD), (TARGET, HELD)}


async def test_a_forgotten_move_does_not_lower_what_was_placed_by_it(executor: Executor, exchange: FakeExchange, clock):
    await executor.hear_of_stop(a_move(clock))
    executor.tables.stops.clear()  # an earlier state of the database
    for order in executor.working(an_approval(clock).intent_id):
        exchange.orders[order.client_order_id] = replace(
            exchange.orders[order.client_order_id], status=OrderStatus.CANCELED
        )
        await executor.stream(order.client_order_id)

    assert resting(executor, clock) == {(MOVED, HELD), (TARGET, HELD)}
