"""What the executor does when it cannot know: no clock, no answer, answers that overtake each other."""

import asyncio
import uuid
from dataclasses import replace
from decimal import Decimal

import pytest

from libs.common.contracts import vocabulary
from libs.common.contracts.events import AlertRaised, OrderUpdated, TradingStateChanged
from libs.common.contracts.vocabulary import AlertType
from libs.common.errors import RetryableError
from libs.exchange.orders.port import NewOco, NewOrder
from libs.exchange.refusals import Reason
from libs.trading.market import OrderType, Side
from libs.trading.orders import OrderStatus
from services.trade_executor.service.errands import LookLater, Send
from tests.support.clock import FakeClock
from tests.support.executor import Executor, an_approval, an_envelope, an_exit
from tests.support.executor_records import ACCOUNT
from tests.support.fake_exchange import SYMBOL, Answer, FakeExchange, a_listing, a_signing

HELD = Decimal("0.00999")  # 0.01 BTC - 0.1 % fee


def by_hand(clock: FakeClock, number: int = 0) -> NewOrder:
    """Somebody else's purchase at the market."""
    return NewOrder(
        symbol=SYMBOL,
        side=Side.BUY,
        order_type=OrderType.MARKET,
        quantity=Decimal("0.0002"),
        client_order_id=f"by-hand-{number}",
        signing=a_signing(clock),
    )


async def enter_without_protection(executor: Executor, clock: FakeClock) -> uuid.UUID:
    """Send an entry, which fills; the errand that protects it waits."""
    approval = an_approval(clock)
    await executor.receive(approval)
    (errand,) = executor.errands.waiting()
    await executor.dispatcher.do(errand)
    return approval.intent_id


async def test_without_the_exchanges_clock_an_unknown_order_is_given_up_by_our_own(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    exchange.answers.append(Answer.NEVER_ARRIVED)
    approval = an_approval(clock)
    await executor.approve(approval)
    exchange.offset_ms = None

    await executor.advance(15)  # the receive window of 1 s and the fence of 14 s
    assert executor.order(approval.intent_id).status is OrderStatus.UNKNOWN
    await executor.advance(6)

    assert executor.order(approval.intent_id).status is OrderStatus.QUARANTINED


async def test_an_order_that_the_stream_told_is_not_given_up_by_a_query_that_lags(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    exchange.answers.append(Answer.ARRIVES_LATE)
    approval = an_approval(clock)
    await executor.approve(approval)
    name = executor.order(approval.intent_id).client_order_id
    exchange.deliver_late()
    await executor.stream(name)
    told = exchange.orders.pop(name)  # as the query still sees it

    await executor.advance(30)

    assert executor.order(approval.intent_id).status is OrderStatus.FILLED
    assert executor.resolver.unresolved == 0
    exchange.orders[name] = told
    executor.check()


async def test_an_answer_that_is_lost_takes_nothing_back_from_what_the_stream_told(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    exchange.answers.append(Answer.LOST)
    approval = an_approval(clock)
    await executor.receive(approval)
    (errand,) = executor.errands.waiting()
    assert isinstance(errand, Send)
    placement = await executor.dispatcher._place(errand.orders)
    await executor.stream(errand.orders[0].client_order_id)

    await executor.transactions.apply(
        lambda records: executor.bookkeeper.placed(records, errand.orders, placement, clock.now())
    )
    await executor.settle()

    assert executor.order(approval.intent_id).status is OrderStatus.FILLED
    assert executor.resolver.unresolved == 0
    executor.check()


async def test_an_order_that_filled_cannot_be_abandoned(executor: Executor, clock: FakeClock):
    approval = an_approval(clock)
    await executor.approve(approval)
    filled = executor.order(approval.intent_id)

    await executor.transactions.apply(lambda records: executor.bookkeeper.abandon(records, [filled], "LATE"))

    assert executor.order(approval.intent_id) == filled


async def test_an_unknown_order_is_looked_for_once_and_said_once_however_often_the_process_starts(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    exchange.answers.append(Answer.NEVER_ARRIVED)
    approval = an_approval(clock)
    await executor.approve(approval)

    successor = await executor.restarted()
    successor.resolver.watch(successor.order(approval.intent_id))

    assert successor.resolver.unresolved == 1
    told = [event.status for event in successor.events(OrderUpdated) if event.intent_id == approval.intent_id]
    assert told.count(vocabulary.OrderStatus.UNKNOWN) == 1


async def test_an_intent_of_an_earlier_epoch_is_not_sent(executor: Executor, exchange: FakeExchange, clock: FakeClock):
    approval = an_approval(clock)
    await executor.receive(approval)
    executor.transactions.epoch += 1

    await executor.settle()

    assert executor.final_answers(approval.intent_id)[0].reason == "EPOCH"
    assert not exchange.requests


async def test_nothing_is_sent_once_the_exchanges_clock_is_lost(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    approval = an_approval(clock)
    await executor.receive(approval)
    exchange.offset_ms = None

    await executor.settle()

    assert executor.final_answers(approval.intent_id)[0].reason == "NO_EXCHANGE_CLOCK"
    assert not exchange.requests


@pytest.mark.parametrize("lost", ["clock", "budget"])
async def test_protection_waits_for_the_clock_and_the_budget_and_is_placed_then(
    executor: Executor, exchange: FakeExchange, clock: FakeClock, lost: str
):
    approval = an_approval(clock)
    await executor.receive(approval)
    (errand,) = executor.errands.waiting()
    assert isinstance(errand, Send)
    placement = await executor.dispatcher._place(errand.orders)
    if lost == "clock":
        exchange.offset_ms = None
    else:
        exchange.budget_wait_s = 3.0

    await executor.transactions.apply(
        lambda records: executor.bookkeeper.placed(records, errand.orders, placement, clock.now())
    )
    await executor.advance(1)
    assert not exchange.sent(NewOco)
    exchange.offset_ms, exchange.budget_wait_s = 0, 0.0
    await executor.advance(4)

    assert [oco.quantity for oco in exchange.sent(NewOco)] == [HELD]
    executor.check()


async def test_executions_that_cannot_be_read_are_asked_for_again(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    approval = an_approval(clock)
    await executor.receive(approval)
    (errand,) = executor.errands.waiting()
    assert isinstance(errand, Send)
    placement = await executor.dispatcher._place(errand.orders)
    bare = replace(placement, reports=tuple(replace(report, trades=()) for report in placement.reports))
    exchange.reachable = False

    await executor.transactions.apply(
        lambda records: executor.bookkeeper.placed(records, errand.orders, bare, clock.now())
    )
    await executor.advance(2)
    assert not executor.tables.fills
    exchange.reachable = True
    await executor.advance(2)

    assert len(executor.working(approval.intent_id)) == 2
    executor.check()


async def test_refused_credentials_are_alarmed(executor: Executor, exchange: FakeExchange, clock: FakeClock):
    exchange.refusals.append(Reason.CREDENTIALS)

    await executor.approve(an_approval(clock))

    (alert,) = executor.events(AlertRaised)
    assert alert.alert_type is AlertType.SYSTEM_ERROR
    assert "orders are refused" in alert.message


async def test_an_exit_that_a_halt_forbids_is_answered_and_leaves_the_protection(executor: Executor, clock: FakeClock):
    approval = an_approval(clock)
    await executor.approve(approval)
    await executor.set_state("HALTED", revision=2)
    leaving = an_exit(clock)

    await executor.approve(leaving)

    assert executor.final_answers(leaving.intent_id)[0].reason == "HALTED"
    assert len(executor.working(approval.intent_id)) == 2


async def test_a_symbol_that_the_exchange_does_not_trade_is_not_entered(executor: Executor, clock: FakeClock):
    executor.venues.listings[SYMBOL] = a_listing(trading=False)
    approval = an_approval(clock)

    await executor.approve(approval)

    assert executor.final_answers(approval.intent_id)[0].reason == "SYMBOL_NOT_TRADING"


@pytest.mark.parametrize("part", [{"symbols_halted": (SYMBOL,)}, {"strategies_halted": ("ema_cross",)}])
async def test_what_the_state_halts_in_part_is_not_entered(
    executor: Executor, clock: FakeClock, part: dict[str, tuple[str, ...]]
):
    state = TradingStateChanged(
        occurred_at=clock.now(),
        account=ACCOUNT,
        state=vocabulary.TradingState.ACTIVE,
        halt_epoch=0,
        revision=2,
        **part,
    )
    await executor.halting.on_state(an_envelope(state, clock))
    approval = an_approval(clock)

    await executor.approve(approval)

    assert executor.final_answers(approval.intent_id)[0].reason == "HALTED_IN_PART"


@pytest.mark.parametrize(
    ("order_types", "expected"),
    [
        (frozenset(OrderType), (OrderType.STOP_LOSS, Decimal(49_500), None, None)),
        (
            frozenset(OrderType) - {OrderType.STOP_LOSS},
            # 2 % below the stop: 49 500 x 0.98
            (OrderType.STOP_LOSS_LIMIT, Decimal(49_500), Decimal(48_510), "GTC"),
        ),
    ],
)
async def test_where_lists_are_not_allowed_the_stop_stands_alone(
    executor: Executor,
    exchange: FakeExchange,
    clock: FakeClock,
    order_types: frozenset[OrderType],
    expected: tuple[object, ...],
):
    executor.venues.listings[SYMBOL] = replace(a_listing(oco_allowed=False), order_types=order_types)

    await executor.approve(an_approval(clock))

    stop = exchange.sent(NewOrder)[-1]
    assert (stop.order_type, stop.stop_price, stop.price, stop.time_in_force) == expected
    assert stop.quantity == HELD
    assert not exchange.sent(NewOco)
    executor.check()


async def test_before_the_rules_are_known_executions_are_recorded_and_nothing_is_sized(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    approval = an_approval(clock)
    await executor.approve(approval)
    stop = next(order for order in executor.working(approval.intent_id) if order.is_stop)
    executor.venues.listings.clear()
    sent = len(exchange.requests)

    exchange.execute(stop.client_order_id, Decimal("0.004"), Decimal(49_400))
    exchange.orders[stop.client_order_id] = replace(exchange.orders[stop.client_order_id], status=OrderStatus.EXPIRED)
    await executor.stream(stop.client_order_id)
    assert len(executor.tables.fills) == len(exchange.executions)
    assert len(exchange.requests) == sent
    successor = await executor.restarted()  # its first reconciliation reads the rules

    assert exchange.sent(NewOrder)[-1].quantity == Decimal("0.00599")  # 0.00999 - 0.004
    successor.check()


async def test_a_sale_refused_as_too_small_is_left_as_dust(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    chain_id = await enter_without_protection(executor, clock)
    exchange.refusals.extend([Reason.PRICE_ALREADY_CROSSED, Reason.FILTER_SIZE])
    for _ in range(2):
        clock.advance(0.05)
        await executor.dispatcher.do(executor.errands.waiting()[0])

    await executor.advance(30, step_s=1)

    assert len(exchange.requests) == 3  # the entry, its protection, the sale
    assert executor.tables.open_chains[chain_id]  # a later exit may still sell it


async def test_an_execution_that_comes_late_makes_the_protection_larger(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    exchange.fill_rate = Decimal("0.6")
    approval = an_approval(clock)
    await executor.approve(approval)
    assert exchange.sent(NewOco)[-1].quantity == Decimal("0.00599")  # 0.006 less the fee of 0.1 %, in whole steps
    name = executor.order(approval.intent_id).client_order_id
    exchange._filled(
        exchange.orders[name],
        [exchange._trade(exchange.orders[name], Decimal("0.002"), exchange.price)],
        rest=OrderStatus.EXPIRED,
    )

    await executor.stream(name)
    await executor.advance(2)

    assert exchange.sent(NewOco)[-1].quantity == Decimal("0.00799")
    assert sum(order.quantity for order in executor.working(approval.intent_id) if order.is_stop) == Decimal("0.00799")
    executor.check()


async def test_two_looks_at_a_position_at_one_time_are_one(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    approval = an_approval(clock)
    await executor.receive(approval)
    (entry,) = executor.errands.waiting()
    exchange.budget_wait_s = 3.0
    await executor.dispatcher.do(entry)
    (look,) = executor.errands.waiting()
    assert isinstance(look, LookLater)
    exchange.budget_wait_s = 0.0
    clock.advance(3)

    await asyncio.gather(executor.dispatcher.do(look), executor.dispatcher.do(look))
    await executor.settle()

    assert [oco.quantity for oco in exchange.sent(NewOco)] == [HELD]
    executor.check()


async def test_a_question_that_is_not_answered_about_a_strangers_trade_is_asked_again(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    exchange._accept(by_hand(clock))
    exchange.lookups_answered = False
    with pytest.raises(RetryableError, match="of a trade"):
        await executor.reconciler.reconcile()
    cursor = executor.tables.cursor
    exchange.lookups_answered = True

    clock.advance(11)  # beyond the moment in which trades may appear out of order
    await executor.reconciler.reconcile()

    assert cursor == 0
    assert executor.tables.cursor == len(exchange.executions) + 1
    assert not executor.tables.fills


async def test_a_resting_order_that_cannot_be_asked_for_is_no_difference(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    approval = an_approval(clock)
    await executor.approve(approval)
    for leg in executor.working(approval.intent_id):
        del exchange.orders[leg.client_order_id]
    exchange.lookups_answered = False

    await executor.reconciler.reconcile()

    assert not executor.tables.differences


async def test_more_trades_than_a_page_holds_are_all_read(executor: Executor, exchange: FakeExchange, clock: FakeClock):
    for number in range(600):
        exchange._accept(by_hand(clock, number))  # two trades each
    approval = an_approval(clock)
    exchange.answers.append(Answer.LOST)
    await executor.approve(approval)
    clock.advance(11)

    await executor.reconciler.reconcile()

    assert executor.tables.cursor == 1_203  # 600 x 2 strange ones, 2 of the entry
    assert executor.order(approval.intent_id).status is OrderStatus.FILLED


async def test_a_day_after_its_quarantine_an_order_is_over(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    exchange.answers.append(Answer.NEVER_ARRIVED)
    approval = an_approval(clock)
    await executor.approve(approval)
    await executor.advance(100, step_s=1)

    await executor.reconciler.reconcile()
    assert executor.order(approval.intent_id).status is OrderStatus.QUARANTINED
    clock.advance(24 * 3_600)
    await executor.reconciler.reconcile()

    assert executor.order(approval.intent_id).status is OrderStatus.NOT_ACCEPTED
    executor.check()


async def test_an_order_that_was_given_up_for_good_and_shows_up_is_adopted_and_told_of(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    exchange.answers.append(Answer.ARRIVES_LATE)
    approval = an_approval(clock)
    await executor.approve(approval)
    name = executor.order(approval.intent_id).client_order_id
    await executor.transactions.apply(
        lambda records: executor.bookkeeper.end(
            records, executor.order(approval.intent_id), OrderStatus.NOT_ACCEPTED, "a refusal that proved nothing"
        )
    )

    exchange.deliver_late()
    await executor.stream(name)

    assert executor.order(approval.intent_id).status is OrderStatus.FILLED
    (told,) = [alert for alert in executor.events(AlertRaised) if alert.alert_type is AlertType.SYSTEM_ERROR]
    assert told.message == f"{name} showed up FILLED, given up as NOT_ACCEPTED: adopted"
    executor.check()
