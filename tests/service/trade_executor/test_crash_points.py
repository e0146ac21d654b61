"""The crash points of the order protocol: whatever is lost, one order, every fill once, the position right."""

from decimal import Decimal

import pytest

from libs.common.contracts import vocabulary
from libs.common.contracts.events import AlertRaised, OrderFilled, OrderUpdated
from libs.common.contracts.vocabulary import AlertType
from libs.common.messaging.sealing import CommittedUnseenError
from libs.exchange.orders.port import NewOco, NewOrder
from libs.trading.orders import OrderStatus
from services.trade_executor.service.errands import Send
from tests.support.clock import FakeClock
from tests.support.executor import Executor, an_approval, an_exit
from tests.support.fake_exchange import Answer, FakeExchange

HELD = Decimal("0.00999")  # 0.01 BTC - 0.1 % fee


async def send_without_recording(executor: Executor) -> None:
    """The request is answered, and the process dies before it can write the answer down."""
    (errand,) = [errand for errand in executor.errands.waiting() if isinstance(errand, Send)]
    await executor.dispatcher._place(errand.orders)


async def test_cp1_a_crash_before_the_intent_commits_sends_nothing(executor: Executor, exchange: FakeExchange, clock):
    executor.transactions.failures = 1
    with pytest.raises(Exception, match="Postgres"):
        await executor.receive(an_approval(clock))

    successor = await executor.restarted()
    await successor.approve(an_approval(clock))  # redelivered

    assert len(exchange.sent(NewOrder)) == 1
    successor.check()


async def test_cp1_a_redelivered_approval_that_expired_is_answered(executor: Executor, exchange: FakeExchange, clock):
    approval = an_approval(clock)
    clock.advance(3)

    successor = await executor.restarted()
    await successor.approve(approval)

    (answer,) = successor.final_answers(approval.intent_id)
    assert (answer.status, answer.reason) == (vocabulary.OrderStatus.ABANDONED, "EXPIRED")
    assert not exchange.requests


async def test_cp2_a_crash_between_commit_and_send_ends_as_not_accepted(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    approval = an_approval(clock)
    await executor.receive(approval)

    successor = await executor.restarted()
    assert successor.order(approval.intent_id).status is OrderStatus.UNKNOWN
    await successor.advance(14)
    assert successor.order(approval.intent_id).status is OrderStatus.UNKNOWN  # the fence is at 15 s
    await successor.advance(10)
    assert successor.order(approval.intent_id).status is OrderStatus.QUARANTINED
    assert not successor.final_answers(approval.intent_id)
    await successor.advance(70, step_s=1)

    (answer,) = successor.final_answers(approval.intent_id)
    assert answer.status is vocabulary.OrderStatus.QUARANTINED
    assert not exchange.requests
    successor.check()


async def test_cp5_an_entry_whose_commit_is_not_answered_ends_the_process_and_the_next_one_protects_it(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    approval = an_approval(clock)
    await executor.receive(approval)
    executor.transactions.losses = 1

    with pytest.raises(CommittedUnseenError):
        await executor.settle()
    assert executor.order(approval.intent_id).status is OrderStatus.FILLED
    assert not exchange.sent(NewOco)
    successor = await executor.restarted()
    await successor.advance(120)

    assert exchange.sent(NewOco)
    assert [order.quantity for order in successor.working(approval.intent_id)] == [HELD - HELD % Decimal("0.00001")] * 2
    successor.check()


async def test_cp4_an_accepted_order_whose_answer_is_lost_is_adopted(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    exchange.answers.append(Answer.LOST)
    approval = an_approval(clock)
    await executor.approve(approval)
    assert executor.order(approval.intent_id).status is OrderStatus.UNKNOWN

    await executor.advance(2)

    assert executor.order(approval.intent_id).status is OrderStatus.FILLED
    assert exchange.sent(NewOco)[0].quantity == HELD
    assert len(exchange.sent(NewOrder)) == 1
    executor.check()


async def test_cp5_cp6_cp7_an_order_that_filled_before_the_crash_is_adopted_at_the_restart(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    approval = an_approval(clock)
    await executor.receive(approval)
    await send_without_recording(executor)

    successor = await executor.restarted()
    await successor.advance(2)

    assert successor.order(approval.intent_id).status is OrderStatus.FILLED
    assert exchange.sent(NewOco)[0].quantity == HELD
    assert len(exchange.sent(NewOrder)) == 1
    successor.check()


async def test_cp8_cp9_a_crash_after_the_result_commits_repeats_nothing(executor: Executor, clock: FakeClock):
    approval = an_approval(clock)
    await executor.approve(approval)
    events = len(executor.tables.events)

    successor = await executor.restarted()
    await successor.approve(approval)  # its offset was not committed by a predecessor
    await successor.advance(5)

    assert len(successor.tables.events) == events
    successor.check()


async def test_cp10_a_crash_between_two_fills_records_both_once(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    approval = an_approval(clock)
    await executor.approve(approval)
    (oco,) = exchange.sent(NewOco)
    exchange.execute(oco.above_client_order_id, quantity=Decimal("0.004"), price=Decimal(51_000))
    await executor.stream(oco.above_client_order_id)

    exchange.execute(oco.above_client_order_id, price=Decimal(51_000))
    successor = await executor.restarted()
    await successor.reconciler.reconcile()
    await successor.advance(2)

    assert [fill.quantity for fill in successor.events(OrderFilled)][2:] == [Decimal("0.004"), Decimal("0.00599")]
    assert not any(successor.tables.open_chains.values())
    successor.check()


@pytest.mark.parametrize("answer", [Answer.LOST, Answer.NEVER_ARRIVED])
async def test_cp11_a_cancel_without_an_answer_ends_in_the_true_state(
    executor: Executor, exchange: FakeExchange, clock: FakeClock, answer: Answer
):
    await executor.approve(an_approval(clock))
    exchange.cancel_answers.append(answer)
    leaving = an_exit(clock)

    await executor.approve(leaving)
    await executor.advance(2)

    assert executor.order(leaving.intent_id).status is OrderStatus.FILLED
    assert exchange.sent(NewOrder)[-1].quantity == HELD
    executor.check()


async def test_cp11_a_crash_in_an_exit_is_resumed(executor: Executor, clock: FakeClock):
    await executor.approve(an_approval(clock))
    leaving = an_exit(clock)
    await executor.receive(leaving)  # the list is to be cancelled, and the process dies
    clock.advance(5)  # longer than the approval lives

    successor = await executor.restarted()
    await successor.advance(2)

    assert successor.order(leaving.intent_id).status is OrderStatus.FILLED
    successor.check()


async def test_cp13_a_predecessor_that_wakes_up_does_not_send(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    approval = an_approval(clock)
    await executor.receive(approval)
    clock.advance(30)  # frozen
    await executor.halting.look_at_latch()

    await executor.settle()

    assert not exchange.requests
    assert executor.order(approval.intent_id).status is OrderStatus.ABANDONED


async def test_cp15_a_result_waits_for_the_database(executor: Executor, exchange: FakeExchange, clock: FakeClock):
    approval = an_approval(clock)
    await executor.receive(approval)
    executor.transactions.failures = 2

    await executor.settle()

    assert executor.order(approval.intent_id).status is OrderStatus.FILLED
    assert len(exchange.sent(NewOrder)) == 1
    executor.check()


async def test_cp18_fills_that_the_stream_missed_are_read_over_rest(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    await executor.approve(an_approval(clock))
    (oco,) = exchange.sent(NewOco)
    exchange.execute(oco.below_client_order_id, price=Decimal(49_500))

    await executor.reconciler.reconcile()
    await executor.settle()
    await executor.advance(1)

    assert executor.events(AlertRaised)[-1].alert_type is AlertType.STOP_LOSS_HIT
    assert not any(executor.tables.open_chains.values())
    executor.check()


async def test_cp19_repeated_and_reordered_reports_change_nothing(executor: Executor, clock: FakeClock):
    approval = an_approval(clock)
    await executor.approve(approval)
    events = list(executor.tables.events)

    for _ in range(3):
        await executor.stream(executor.order(approval.intent_id).client_order_id)

    assert executor.tables.events == events


async def test_cp21_an_expired_market_sale_with_a_part_filled_keeps_the_rest_on_the_books(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    await executor.approve(an_approval(clock))
    exchange.fill_rate = Decimal("0.25")
    await executor.receive(an_exit(clock))
    exchange.fill_rate = Decimal("0.25")

    await executor.settle()

    sold = sum(trade.quantity for trade in exchange.executions if trade.side == "SELL")
    assert Decimal(0) < sold <= HELD
    executor.check()


async def test_cp23_a_ban_leaves_unknown_orders_unknown(executor: Executor, exchange: FakeExchange, clock: FakeClock):
    exchange.answers.append(Answer.LOST)
    approval = an_approval(clock)
    await executor.receive(approval)
    await executor.settle()
    exchange.budget_wait_s = 60.0

    await executor.advance(30, step_s=1)
    assert executor.order(approval.intent_id).status is OrderStatus.UNKNOWN
    exchange.budget_wait_s = 0.0
    await executor.advance(5)

    assert executor.order(approval.intent_id).status is OrderStatus.FILLED
    executor.check()


async def test_an_unreachable_exchange_never_counts_as_not_found(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    exchange.answers.append(Answer.NEVER_ARRIVED)
    approval = an_approval(clock)
    await executor.approve(approval)
    exchange.reachable = False

    await executor.advance(120, step_s=2)

    assert executor.order(approval.intent_id).status is OrderStatus.UNKNOWN


async def test_an_order_that_shows_up_after_its_quarantine_is_adopted_protected_and_alarmed(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    exchange.answers.append(Answer.ARRIVES_LATE)
    approval = an_approval(clock)
    await executor.approve(approval)
    await executor.advance(100, step_s=1)
    assert executor.order(approval.intent_id).released_at is not None

    exchange.deliver_late()
    await executor.reconciler.reconcile()
    await executor.settle()

    assert executor.order(approval.intent_id).status is OrderStatus.FILLED
    assert exchange.sent(NewOco)[0].quantity == HELD
    assert AlertType.SYSTEM_ERROR in {alert.alert_type for alert in executor.events(AlertRaised)}
    executor.check()


async def test_a_symbol_with_an_unknown_order_refuses_entries(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    exchange.answers.append(Answer.NEVER_ARRIVED)
    await executor.approve(an_approval(clock))
    second = an_approval(clock, signal_id="second")

    await executor.approve(second)

    (answer,) = executor.final_answers(second.intent_id)
    assert answer.reason == "SYMBOL_HAS_UNKNOWN_ORDER"


async def test_a_protection_of_unknown_outcome_is_not_placed_twice(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    exchange.answers.extend([Answer.NORMAL, Answer.LOST])
    approval = an_approval(clock)

    await executor.approve(approval)
    await executor.advance(3)

    assert len(exchange.sent(NewOco)) == 1
    assert len(executor.working(approval.intent_id)) == 2
    executor.check()


async def test_a_protection_that_never_arrived_is_placed_anew_after_its_quarantine(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    exchange.answers.extend([Answer.NORMAL, Answer.NEVER_ARRIVED])
    approval = an_approval(clock)
    await executor.approve(approval)

    await executor.advance(60, step_s=1)
    assert len(exchange.sent(NewOco)) == 1
    await executor.advance(40, step_s=1)

    assert len(exchange.sent(NewOco)) == 2
    assert len(executor.working(approval.intent_id)) == 2
    executor.check()


async def test_no_update_is_published_twice_under_one_revision(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    exchange.answers.append(Answer.LOST)
    await executor.approve(an_approval(clock))
    await executor.advance(2)
    await executor.approve(an_exit(clock))
    successor = await executor.restarted()
    await successor.advance(2)

    revisions = [(event.client_order_id, event.revision) for event in successor.events(OrderUpdated)]
    assert len(revisions) == len(set(revisions))
