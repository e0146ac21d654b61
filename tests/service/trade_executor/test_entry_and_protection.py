from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from libs.common.contracts import vocabulary
from libs.common.contracts.events import AlertRaised, OrderFilled, OrderUpdated
from libs.common.contracts.vocabulary import AlertType
from libs.exchange.orders.port import NewOco, NewOrder
from libs.exchange.refusals import Reason
from libs.trading.market import OrderType, Side
from libs.trading.orders import OrderStatus
from libs.trading.risk import Role
from tests.support.clock import FakeClock
from tests.support.executor import Executor, an_approval, an_exit
from tests.support.fake_exchange import SYMBOL, FakeExchange, a_listing


async def test_an_approval_becomes_one_order_that_is_sent_once(executor: Executor, exchange: FakeExchange, clock):
    approval = an_approval(clock)

    await executor.approve(approval)

    (entry,) = exchange.sent(NewOrder)
    assert (entry.side, entry.order_type, entry.time_in_force) == (Side.BUY, OrderType.LIMIT, "IOC")
    assert (entry.quantity, entry.price) == (Decimal("0.01"), Decimal(50_050))
    assert entry.client_order_id.startswith("ctE-test00-")
    statuses = [event.status for event in executor.events(OrderUpdated) if event.intent_id == approval.intent_id]
    assert statuses == [vocabulary.OrderStatus.PREPARED, vocabulary.OrderStatus.FILLED]
    executor.check()


async def test_the_request_is_durable_before_it_is_sent(executor: Executor, exchange: FakeExchange, clock):
    await executor.receive(an_approval(clock))

    (order,) = executor.tables.orders.values()
    assert order.status is OrderStatus.PREPARED
    assert order.signed_at_ms is not None
    assert not exchange.requests


async def test_the_same_approval_again_changes_nothing(executor: Executor, exchange: FakeExchange, clock):
    approval = an_approval(clock)
    await executor.approve(approval)
    events = list(executor.tables.events)

    await executor.approve(approval)

    assert executor.tables.events == events
    assert len(exchange.sent(NewOrder)) == 1


async def test_a_filled_entry_is_protected_for_what_its_fee_left(executor: Executor, exchange: FakeExchange, clock):
    await executor.approve(an_approval(clock))

    (oco,) = exchange.sent(NewOco)
    # 0.01 BTC - 0.1 % fee = 0.00999, a multiple of the step
    assert oco.quantity == Decimal("0.00999")
    assert (oco.above_price, oco.below_stop_price, oco.below_price) == (Decimal(51_000), Decimal(49_500), None)
    assert len(executor.working(an_approval(clock).intent_id)) == 2


async def test_a_partly_filled_entry_is_protected_for_its_part(executor: Executor, exchange: FakeExchange, clock):
    exchange.fill_rate = Decimal("0.5")

    await executor.approve(an_approval(clock))

    (oco,) = exchange.sent(NewOco)
    assert oco.quantity == Decimal("0.00499")  # 0.005 x 0.999 = 0.004995, floored to the step of 0.00001
    executor.check()


async def test_an_entry_that_did_not_fill_leaves_nothing_open(executor: Executor, exchange: FakeExchange, clock):
    approval = an_approval(clock, limit_price=Decimal(49_000))

    await executor.approve(approval)

    (answer,) = executor.final_answers(approval.intent_id)
    assert answer.status is vocabulary.OrderStatus.EXPIRED
    assert not exchange.sent(NewOco)
    assert not any(executor.tables.open_chains.values())


async def test_a_reached_target_ends_the_position_with_an_alert(executor: Executor, exchange: FakeExchange, clock):
    approval = an_approval(clock)
    await executor.approve(approval)
    (oco,) = exchange.sent(NewOco)

    exchange.execute(oco.above_client_order_id, price=Decimal(51_000))
    await executor.stream(oco.above_client_order_id)
    await executor.stream(oco.below_client_order_id)

    assert [alert.alert_type for alert in executor.events(AlertRaised)] == [
        AlertType.TRADE_EXECUTED,
        AlertType.PROFIT_TARGET_HIT,
    ]
    assert not any(executor.tables.open_chains.values())
    executor.check()


async def test_a_target_that_fills_in_part_keeps_its_stop_though_the_fee_is_taken_in_coins(
    executor: Executor, exchange: FakeExchange, clock
):
    await executor.approve(an_approval(clock))
    (oco,) = exchange.sent(NewOco)

    exchange.execute(oco.above_client_order_id, quantity=Decimal("0.004"), price=Decimal(51_000))
    fee_in_quote, fee_in_coins = exchange.executions[-1], Decimal("0.000004")
    exchange.executions[-1] = replace(fee_in_quote, commission=fee_in_coins, commission_asset="BTC")
    exchange.held["USDT"] += fee_in_quote.commission
    exchange.held["BTC"] -= fee_in_coins
    await executor.stream(oco.above_client_order_id)

    assert len(executor.working(an_approval(clock).intent_id)) == 2
    assert len(exchange.sent(NewOco)) == 1
    executor.check()


async def test_a_stop_that_fills_in_part_is_completed_at_the_market(executor: Executor, exchange: FakeExchange, clock):
    approval = an_approval(clock)
    await executor.approve(approval)
    (oco,) = exchange.sent(NewOco)

    report = exchange.execute(oco.below_client_order_id, quantity=Decimal("0.004"), price=Decimal(49_400))
    exchange.orders[report.client_order_id] = replace(report, status=OrderStatus.EXPIRED, trades=())
    await executor.stream(oco.below_client_order_id)
    await executor.stream(oco.above_client_order_id)

    sale = exchange.sent(NewOrder)[-1]
    assert (sale.order_type, sale.side, sale.quantity) == (OrderType.MARKET, Side.SELL, Decimal("0.00599"))
    assert AlertType.STOP_LOSS_HIT in {alert.alert_type for alert in executor.events(AlertRaised)}
    executor.check()


async def test_protection_behind_the_price_is_an_immediate_exit(executor: Executor, exchange: FakeExchange, clock):
    approval = an_approval(clock)
    await executor.receive(approval)
    exchange.refusals.clear()
    await executor.dispatcher.do(executor.errands.waiting()[0])
    exchange.refusals.append(Reason.PRICE_ALREADY_CROSSED)

    await executor.settle()

    sale = exchange.sent(NewOrder)[-1]
    assert (sale.order_type, sale.quantity) == (OrderType.MARKET, Decimal("0.00999"))
    assert executor.children(approval.intent_id)[-1].role is Role.PROTECTION
    executor.check()


async def test_a_refused_protection_is_tried_again_and_the_third_time_sold(
    executor: Executor, exchange: FakeExchange, clock
):
    approval = an_approval(clock)
    await executor.receive(approval)
    await executor.dispatcher.do(executor.errands.waiting()[0])
    exchange.refusals.extend([Reason.REJECTED] * 3)

    await executor.settle()
    await executor.advance(5)

    assert len(exchange.sent(NewOco)) == 3
    assert exchange.sent(NewOrder)[-1].order_type is OrderType.MARKET
    executor.check()


@pytest.mark.parametrize(
    "reason",
    [Reason.RATE_LIMITED, Reason.CLOCK_SKEW, Reason.NOT_SENT, Reason.MARKET_CLOSED, Reason.CREDENTIALS],
)
async def test_a_protection_that_is_refused_for_what_is_not_its_own_is_placed_in_the_end(
    executor: Executor, exchange: FakeExchange, clock, reason: Reason
):
    approval = an_approval(clock)
    await executor.receive(approval)
    await executor.dispatcher.do(executor.errands.waiting()[0])
    exchange.refusals.extend([reason] * 4)

    await executor.settle()
    await executor.advance(10)

    assert len(exchange.sent(NewOco)) == 5
    assert all(request.side is Side.BUY for request in exchange.sent(NewOrder))
    assert len(executor.working(approval.intent_id)) == 2
    executor.check()


async def test_what_is_more_than_one_order_may_carry_is_protected_by_several(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    executor.venues.listings[SYMBOL] = a_listing(market_quantity_max=Decimal("0.004"))
    approval = an_approval(clock)
    await executor.receive(approval)

    for _ in range(20):  # a few errands, not errands for ever
        for errand in executor.errands.waiting():
            await executor.dispatcher.do(errand)

    quantities = [Decimal("0.004"), Decimal("0.004"), Decimal("0.00199")]
    assert [oco.quantity for oco in exchange.sent(NewOco)] == quantities
    assert [order.quantity for order in executor.working(approval.intent_id) if order.is_stop] == quantities
    executor.check()


async def test_a_clock_that_is_set_back_does_not_put_a_retry_off(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    approval = an_approval(clock)
    await executor.receive(approval)
    await executor.dispatcher.do(executor.errands.waiting()[0])
    exchange.refusals.append(Reason.RATE_LIMITED)
    await executor.settle()

    clock.step_wall(-3_600)
    await executor.dispatcher.plan(approval.intent_id)
    await executor.settle()

    assert executor.looks[-1].at - clock.now() == timedelta(seconds=0.25)


async def test_dust_is_left(executor: Executor, exchange: FakeExchange, clock: FakeClock):
    # 0.0001 BTC x 50 000 = 5 USDT, the exchange's minimum; after the fee it is below
    await executor.approve(an_approval(clock, quantity=Decimal("0.0001")))

    assert not exchange.sent(NewOco)
    assert not any(executor.tables.open_chains.values())


async def test_an_exit_cancels_the_protection_and_sells_the_rest(executor: Executor, exchange: FakeExchange, clock):
    await executor.approve(an_approval(clock))
    leaving = an_exit(clock)

    await executor.approve(leaving)

    sale = exchange.sent(NewOrder)[-1]
    assert (sale.side, sale.order_type, sale.quantity) == (Side.SELL, OrderType.MARKET, Decimal("0.00999"))
    assert sale.client_order_id.startswith("ctX-test00-")
    (answer,) = executor.final_answers(leaving.intent_id)
    assert (answer.status, answer.filled_quantity) == (vocabulary.OrderStatus.FILLED, Decimal("0.00999"))
    assert not any(executor.tables.open_chains.values())
    executor.check()


async def test_an_exit_after_the_stop_filled_is_answered_without_a_sale(
    executor: Executor, exchange: FakeExchange, clock
):
    await executor.approve(an_approval(clock))
    (oco,) = exchange.sent(NewOco)
    exchange.execute(oco.below_client_order_id, price=Decimal(49_500))  # nobody has told us yet
    leaving = an_exit(clock)

    await executor.approve(leaving)
    await executor.advance(2)

    (answer,) = executor.final_answers(leaving.intent_id)
    assert (answer.status, answer.reason) == (vocabulary.OrderStatus.ABANDONED, "NOTHING_TO_SELL")
    assert len(exchange.sent(NewOrder)) == 1
    executor.check()


async def test_an_exit_that_sold_only_a_part_goes_on(executor: Executor, exchange: FakeExchange, clock):
    await executor.approve(an_approval(clock))
    exchange.fill_rate = Decimal("0.5")

    await executor.approve(an_exit(clock))

    assert len(exchange.sent(NewOrder)) > 2
    assert len(exchange.sent(NewOco)) == 1
    executor.check()


async def test_an_exit_without_a_position_is_answered_at_once(executor: Executor, exchange: FakeExchange, clock):
    leaving = an_exit(clock)

    await executor.approve(leaving)

    (answer,) = executor.final_answers(leaving.intent_id)
    assert answer.reason == "NO_POSITION"
    assert not exchange.requests


async def test_a_second_entry_of_a_symbol_is_refused(executor: Executor, clock):
    await executor.approve(an_approval(clock))
    second = an_approval(clock, signal_id="second")

    await executor.approve(second)

    (answer,) = executor.final_answers(second.intent_id)
    assert (answer.status, answer.reason) == (vocabulary.OrderStatus.ABANDONED, "POSITION_OPEN")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"role": vocabulary.Role.EXIT}, "UNSUPPORTED"),
        ({"limit_price": None}, "NO_LIMIT_PRICE"),
        ({"quantity": Decimal("0.000001")}, "FILTER_LOT_SIZE"),
        ({"account": "other"}, "UNKNOWN_ACCOUNT"),
    ],
)
async def test_what_cannot_be_sent_is_answered(executor: Executor, clock, changes, reason):
    approval = an_approval(clock, **changes)

    await executor.approve(approval)

    (answer,) = executor.final_answers(approval.intent_id)
    assert (answer.status, answer.reason) == (vocabulary.OrderStatus.ABANDONED, reason)


async def test_every_fill_is_published_with_the_positions_exits(executor: Executor, clock):
    await executor.approve(an_approval(clock))

    fills = executor.events(OrderFilled)
    assert [fill.quantity for fill in fills] == [Decimal("0.005"), Decimal("0.005")]
    assert {(fill.stop_loss, fill.take_profit) for fill in fills} == {(Decimal(49_500), Decimal(51_000))}


async def test_an_exit_also_sells_what_earlier_positions_left(executor: Executor, clock: FakeClock):
    # An entry of 0.00995 leaves 0.00995 x 0.999 = 0.00994005: each trip leaves 0.00000005 BTC behind.
    for trip in range(3):
        await executor.approve(
            an_approval(clock, quantity=Decimal("0.00995"), signal_id=f"entry {trip}", strategy=f"strategy {trip}")
        )
        await executor.approve(an_exit(clock, signal_id=f"exit {trip}"))

    left = sum(executor.tables.leftover.values())
    assert left == Decimal("0.00000015")
    assert len([leftover for leftover in executor.tables.leftover.values() if leftover]) == 1
    executor.check()


async def test_dust_that_was_taken_over_is_not_found_again_when_its_position_is_looked_at(
    executor: Executor, clock: FakeClock
):
    for trip in range(2):
        await executor.approve(
            an_approval(clock, quantity=Decimal("0.00995"), signal_id=f"entry {trip}", strategy=f"strategy {trip}")
        )
        await executor.approve(an_exit(clock, signal_id=f"exit {trip}"))
    giver, taker = executor.tables.open_chains

    for chain_id in (giver, taker):
        await executor.dispatcher.plan(chain_id)  # as a belated look does

    assert executor.tables.leftover[giver] == 0
    assert executor.tables.leftover[taker] == Decimal("0.0000001")


async def test_enough_dust_of_closed_positions_is_sold_by_an_exit(executor: Executor, exchange: FakeExchange, clock):
    await executor.approve(an_approval(clock))
    await executor.approve(an_exit(clock))
    (chain_id,) = [chain for chain, is_open in executor.tables.open_chains.items() if not is_open][:1]
    executor.tables.leftover[chain_id] = Decimal("0.001")
    executor.tables.carried[chain_id] = Decimal("0.001")

    await executor.approve(an_exit(clock, signal_id="a later exit"))

    assert exchange.sent(NewOrder)[-1].quantity == Decimal("0.001")
    assert executor.tables.leftover[chain_id] == 0
