"""An entry and its exits as one list: recorded together, protected by the exchange, mended where only part stands."""

from dataclasses import replace
from decimal import Decimal

import pytest

from libs.common.contracts import vocabulary
from libs.common.contracts.events import AlertRaised, OrderUpdated
from libs.common.contracts.vocabulary import AlertType
from libs.exchange.orders.port import NewBracket, NewOco, NewOrder
from libs.exchange.refusals import Reason
from libs.trading.market import OrderType, Side
from libs.trading.orders import OrderStatus
from libs.trading.risk import Role
from tests.support import fake_exchange
from tests.support.clock import FakeClock
from tests.support.executor import Executor, an_approval, an_exit
from tests.support.fake_exchange import Answer, FakeExchange, a_listing


@pytest.fixture
def exchange(clock: FakeClock) -> FakeExchange:
    return FakeExchange(clock, listing=replace(a_listing(), oto_allowed=True))


@pytest.fixture
async def executor(exchange: FakeExchange, clock: FakeClock) -> Executor:
    return await Executor(exchange=exchange, clock=clock).start()


def statuses(executor: Executor, clock: FakeClock) -> list[OrderStatus]:
    """Of the entry, then of its children by the time of their intents."""
    entry = executor.order(an_approval(clock).intent_id)
    return [entry.status, *(child.status for child in executor.children(entry.intent_id))]


def let_exits_expire(exchange: FakeExchange, bracket: NewBracket) -> None:
    """What the exchange does with exits that cannot be placed when they are due."""
    assert bracket.target is not None
    for name in (bracket.stop.client_order_id, bracket.target.client_order_id):
        exchange.orders[name] = replace(exchange.orders[name], status=OrderStatus.EXPIRED, reason="REJECTED")


async def test_an_approval_becomes_one_list_that_protects_what_its_entry_buys(executor, exchange, clock):
    await executor.approve(an_approval(clock))

    (bracket,) = exchange.requests
    assert (bracket.quantity, bracket.price) == (Decimal("0.01"), Decimal(50_050))
    assert bracket.exit_quantity == Decimal("0.00999")  # 0.01 BTC less 0.1 %, a multiple of the step
    assert (bracket.stop.stop_price, bracket.target.price) == (Decimal(49_500), Decimal(51_000))
    assert statuses(executor, clock) == [OrderStatus.FILLED, OrderStatus.ACCEPTED, OrderStatus.ACCEPTED]
    executor.check()


async def test_all_orders_of_a_list_are_durable_before_it_is_sent(executor, exchange, clock):
    await executor.receive(an_approval(clock))

    entry, *exits = executor.tables.orders.values()
    assert not exchange.requests
    assert (entry.time_in_force, entry.list_client_order_id) == ("FOK", None)
    assert {order.status for order in (entry, *exits)} == {OrderStatus.PREPARED}
    assert {order.signed_at_ms for order in exits} == {entry.signed_at_ms} != {None}
    assert {(order.role, order.side, order.approved) for order in exits} == {(Role.PROTECTION, Side.SELL, False)}
    assert len({order.list_client_order_id for order in exits}) == 1


async def test_exits_that_were_accepted_are_asked_for_once(executor, exchange, clock):
    await executor.approve(an_approval(clock))

    assert executor.resolver.unresolved == 2
    await executor.advance(1)

    assert executor.resolver.unresolved == 0
    assert len(exchange.requests) == 1
    executor.check()


async def test_exits_that_were_rejected_when_they_were_due_are_placed_again_as_a_pair(executor, exchange, clock):
    await executor.approve(an_approval(clock))
    (bracket,) = exchange.requests
    let_exits_expire(exchange, bracket)

    await executor.advance(1)

    (oco,) = exchange.sent(NewOco)
    assert (oco.quantity, oco.below_stop_price) == (Decimal("0.00999"), Decimal(49_500))
    assert len(executor.working(an_approval(clock).intent_id)) == 2
    executor.check()


async def test_exits_that_were_rejected_while_nobody_looked_are_found_by_the_restart(executor, exchange, clock):
    await executor.approve(an_approval(clock))
    (bracket,) = exchange.requests
    let_exits_expire(exchange, bracket)

    successor = await executor.restarted()
    await successor.advance(1)

    assert len(exchange.sent(NewOco)) == 1
    assert len(successor.working(an_approval(clock).intent_id)) == 2
    successor.check()


async def test_exits_behind_the_price_by_then_become_a_sale(executor, exchange, clock):
    await executor.approve(an_approval(clock))
    (bracket,) = exchange.requests
    let_exits_expire(exchange, bracket)
    exchange.refusals.append(Reason.PRICE_ALREADY_CROSSED)

    await executor.advance(1)

    sale = exchange.sent(NewOrder)[-1]
    assert (sale.order_type, sale.side, sale.quantity) == (OrderType.MARKET, Side.SELL, Decimal("0.00999"))
    assert not any(executor.tables.open_chains.values())
    executor.check()


async def test_an_entry_that_does_not_fill_leaves_no_exit_and_nothing_open(executor, exchange, clock):
    approval = an_approval(clock, limit_price=Decimal(49_900))

    await executor.approve(approval)

    (answer,) = executor.final_answers(approval.intent_id)
    assert answer.status is vocabulary.OrderStatus.EXPIRED
    assert statuses(executor, clock) == [OrderStatus.EXPIRED] * 3
    assert not any(executor.tables.open_chains.values())
    assert len(exchange.requests) == 1
    executor.check()


async def test_an_entry_without_a_target_is_sent_with_its_stop_alone(executor, exchange, clock):
    await executor.approve(an_approval(clock, take_profit=None))

    (bracket,) = exchange.requests
    assert (bracket.target, bracket.orders) == (None, 2)
    (stop,) = executor.working(an_approval(clock).intent_id)
    assert (stop.order_type, stop.stop_price) == (OrderType.STOP_LOSS, Decimal(49_500))


async def test_a_stop_that_fills_ends_the_position(executor, exchange, clock):
    await executor.approve(an_approval(clock))
    (bracket,) = exchange.requests

    exchange.execute(bracket.stop.client_order_id, price=Decimal(49_500))
    await executor.stream(bracket.stop.client_order_id)
    await executor.stream(bracket.target.client_order_id)

    assert executor.events(AlertRaised)[-1].alert_type is AlertType.STOP_LOSS_HIT
    assert not any(executor.tables.open_chains.values())
    executor.check()


async def test_an_approved_exit_cancels_the_list_and_sells(executor, exchange, clock):
    await executor.approve(an_approval(clock))
    (bracket,) = exchange.requests

    await executor.approve(an_exit(clock))

    (sale,) = exchange.sent(NewOrder)
    assert exchange.orders[bracket.stop.client_order_id].status is OrderStatus.CANCELED
    assert (sale.side, sale.quantity) == (Side.SELL, Decimal("0.00999"))
    assert not any(executor.tables.open_chains.values())
    executor.check()


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_list_whose_answer_was_lost_is_found_order_by_order(executor, exchange, clock, restarts):
    exchange.answers.append(Answer.LOST)
    await executor.approve(an_approval(clock))
    assert statuses(executor, clock) == [OrderStatus.UNKNOWN] * 3

    executor = await executor.restarted() if restarts else executor
    await executor.advance(2)

    assert statuses(executor, clock) == [OrderStatus.FILLED, OrderStatus.ACCEPTED, OrderStatus.ACCEPTED]
    assert len(exchange.requests) == 1
    executor.check()


async def test_a_list_that_never_arrived_is_given_up_whole_and_never_sent_again(executor, exchange, clock):
    exchange.answers.append(Answer.NEVER_ARRIVED)
    await executor.approve(an_approval(clock))

    await executor.advance(20)
    assert statuses(executor, clock) == [OrderStatus.QUARANTINED] * 3
    await executor.advance(70)

    assert all(order.is_over for order in executor.tables.orders.values())
    assert not any(executor.tables.open_chains.values())
    assert len(exchange.requests) == 1


async def test_a_list_that_arrives_after_its_quarantine_is_adopted_with_its_exits(executor, exchange, clock):
    exchange.answers.append(Answer.ARRIVES_LATE)
    await executor.approve(an_approval(clock))
    await executor.advance(20)

    exchange.deliver_late()
    await executor.advance(10)

    assert statuses(executor, clock) == [OrderStatus.FILLED, OrderStatus.ACCEPTED, OrderStatus.ACCEPTED]
    assert len(exchange.requests) == 1
    executor.check()


async def test_a_process_that_dies_before_it_sends_leaves_nothing_that_is_sent(executor, exchange, clock):
    await executor.receive(an_approval(clock))

    executor = await executor.restarted()
    await executor.advance(90)

    assert not exchange.requests
    assert all(order.is_over for order in executor.tables.orders.values())


async def test_a_withheld_list_is_abandoned_whole(executor, exchange, clock):
    executor.permits.granted = False

    await executor.approve(an_approval(clock))

    assert statuses(executor, clock) == [OrderStatus.ABANDONED] * 3
    assert not exchange.requests
    assert not any(executor.tables.open_chains.values())


@pytest.mark.parametrize("reason", [Reason.REJECTED, Reason.PARAMETERS, Reason.INSUFFICIENT_BALANCE])
async def test_after_a_list_was_refused_as_such_the_next_exits_follow_their_entry(executor, exchange, clock, reason):
    exchange.refusals.append(reason)
    await executor.approve(an_approval(clock))
    (answer,) = executor.final_answers(an_approval(clock).intent_id)
    assert (answer.status, answer.reason) == (vocabulary.OrderStatus.REJECTED, reason.value)
    assert statuses(executor, clock) == [OrderStatus.NOT_ACCEPTED] * 3

    await executor.advance(2)  # the same again at once would be a duplicate
    await executor.approve(an_approval(clock, signal_id="next"))

    _, entry, oco = exchange.requests
    assert (entry.time_in_force, oco.quantity) == ("IOC", Decimal("0.00999"))
    executor.check()


async def test_a_refusal_for_the_moment_says_nothing_about_lists(executor, exchange, clock):
    exchange.refusals.append(Reason.RATE_LIMITED)
    await executor.approve(an_approval(clock))

    await executor.advance(2)  # the same again at once would be a duplicate
    await executor.approve(an_approval(clock, signal_id="next"))

    assert len(exchange.sent(NewBracket)) == 2


async def test_exits_of_more_than_the_commission_left_are_replaced_by_smaller_ones(
    executor, exchange, clock, monkeypatch
):
    monkeypatch.setattr(fake_exchange, "FEE_RATE", Decimal("0.01"))  # ten times what was reckoned with

    await executor.approve(an_approval(clock))

    (bracket,), (oco,) = exchange.sent(NewBracket), exchange.sent(NewOco)
    assert (bracket.exit_quantity, oco.quantity) == (Decimal("0.00999"), Decimal("0.0099"))
    assert exchange.orders[bracket.stop.client_order_id].status is OrderStatus.CANCELED
    executor.check()


@pytest.mark.parametrize(
    "changes", [{"oto_allowed": False}, {"order_types": frozenset({OrderType.LIMIT, OrderType.STOP_LOSS_LIMIT})}]
)
async def test_a_symbol_decides_whether_and_with_which_stop_a_list_is_sent(executor, exchange, clock, changes):
    executor.venues.listings[fake_exchange.SYMBOL] = replace(exchange.listing, **changes)

    await executor.approve(an_approval(clock))

    sent = exchange.sent(NewBracket)
    assert len(sent) == (0 if "oto_allowed" in changes else 1)
    if sent:
        assert sent[0].stop.price == Decimal(48_510)  # 2 % below 49 500
    assert len(executor.working(an_approval(clock).intent_id)) == 2


async def test_what_is_too_little_to_sell_is_not_sent_as_a_list(executor, exchange, clock):
    await executor.approve(an_approval(clock, quantity=Decimal("0.0001")))  # 5 USDT, and less after the commission

    (entry,) = exchange.requests
    assert entry.time_in_force == "IOC"


async def test_with_lists_switched_off_the_exits_follow_their_entry(exchange, clock):
    executor = await Executor(exchange=exchange, clock=clock, entry_lists=False).start()

    await executor.approve(an_approval(clock))

    assert (len(exchange.sent(NewOrder)), len(exchange.sent(NewOco))) == (1, 1)


async def test_every_step_of_a_lists_orders_is_published(executor, clock):
    await executor.approve(an_approval(clock))

    told = [(event.role.value, event.status.value) for event in executor.events(OrderUpdated)]
    assert told == [
        ("ENTRY", "PREPARED"),
        ("PROTECTION", "PREPARED"),
        ("PROTECTION", "PREPARED"),
        ("ENTRY", "FILLED"),
        ("PROTECTION", "ACCEPTED"),
        ("PROTECTION", "ACCEPTED"),
    ]
