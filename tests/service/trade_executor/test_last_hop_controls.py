"""What is proved where an order leaves, whoever approved it; and how the executor stops itself."""

import uuid
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.configuration import TradingConfiguration
from libs.common.contracts.event import event_id_of
from libs.common.contracts.events import AlertRaised
from libs.exchange.orders.port import NewOco, NewOrder, TradeReport
from libs.exchange.outcomes import Outcome, Verdict
from libs.exchange.refusals import Reason
from libs.trading.market import OrderType, Side
from libs.trading.orders import OrderStatus
from libs.trading.risk import RefusalReason, Role, TradingState
from services.trade_executor.domain.chains import Chain
from services.trade_executor.domain.holding import sale_is_within_holding
from services.trade_executor.domain.orders import Authority, ExecutorOrder, RecordedFill
from services.trade_executor.service.errands import Cancel, Send
from tests.support.clock import FakeClock
from tests.support.executor import Executor, an_approval
from tests.support.executor_records import ACCOUNT
from tests.support.fake_exchange import FakeExchange


def calls_for_a_halt(executor: Executor) -> list[AlertRaised]:
    return [event for event in executor.events(AlertRaised) if "halt" in event.parameters]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"quantity": Decimal("1.99")}, ""),  # 1.99 x 50 050 = 99 599.5
        ({"quantity": Decimal(2)}, "ORDER_NOTIONAL_IS_ABOVE_LIMIT"),  # 100 100
        ({"limit_price": Decimal("50050.01")}, "PRICE_IS_OUTSIDE_COLLAR"),  # 50 000 + 0.1 %
        ({"reference_price": Decimal(49_999)}, "PRICE_IS_OUTSIDE_COLLAR"),
    ],
)
async def test_an_entry_beyond_the_executors_own_limits_does_not_leave(
    executor: Executor, exchange: FakeExchange, clock: FakeClock, changes: dict[str, Any], reason: str
):
    exchange.held["USDT"] = Decimal(1_000_000)
    executor.tables.ledger["USDT"] = Decimal(1_000_000)
    approval = an_approval(clock, **changes)

    await executor.approve(approval)

    order = executor.order(approval.intent_id)
    assert (order.status is OrderStatus.ABANDONED, order.reason) == (bool(reason), reason)
    assert bool(exchange.sent(NewOrder)) is not bool(reason)
    assert order.reference_price == approval.reference_price


@pytest.mark.parametrize(("account", "reason"), [(ACCOUNT, "ORDER_NOTIONAL_IS_ABOVE_LIMIT"), ("second", "")])
async def test_an_entry_is_held_to_the_limits_of_its_own_account(
    exchange: FakeExchange, clock: FakeClock, account: str, reason: str
):
    own = {"exchange": {"accounts": [ACCOUNT, "second"]}, "accounts": {account: {"safety": {"order_notional_max": 10}}}}
    configuration = TradingConfiguration.model_validate(own)
    executor = await Executor(exchange=exchange, clock=clock, configuration=configuration).start()
    approval = an_approval(clock)

    await executor.approve(approval)

    assert executor.order(approval.intent_id).reason == reason


async def test_the_same_order_again_within_the_window_does_not_leave(executor: Executor, exchange, clock: FakeClock):
    exchange.fill_rate = Decimal(0)  # nothing is bought, so that nothing else stands in the way
    await executor.approve(an_approval(clock))
    again, other = an_approval(clock, signal_id="again"), an_approval(clock, signal_id="other", strategy="rsi")

    await executor.approve(again)
    await executor.approve(other)

    assert executor.order(again.intent_id).reason == "ENTRY_IS_A_DUPLICATE"
    assert len(exchange.sent(NewOrder)) == 2


async def test_a_sale_of_more_than_was_bought_does_not_leave_and_halts_the_account(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    approval = an_approval(clock)
    await executor.approve(approval)
    stop, *_ = executor.working(approval.intent_id)
    requests = len(exchange.requests)
    wrong = replace(
        stop,
        intent_id=uuid.uuid4(),
        client_order_id="wrong",
        list_client_order_id=None,
        quantity=Decimal("0.00001"),
        signed_at_ms=executor.venues.exchange_ms(ACCOUNT),
    )

    executor.errands.put(Send((wrong,)))
    await executor.settle()

    assert len(exchange.requests) == requests
    (alert,) = calls_for_a_halt(executor)
    assert alert.parameters["reason"] == "SALE_EXCEEDS_HOLDING"
    assert executor.brake.state(ACCOUNT) is TradingState.HALTED


async def test_refusals_of_our_own_making_halt_the_account_and_the_risk_managers_word_ends_it(
    exchange: FakeExchange, clock: FakeClock
):
    configuration = TradingConfiguration.model_validate({"safety": {"refusals_max": 2, "refusals_of": 3}})
    executor = await Executor(exchange=exchange, clock=clock, configuration=configuration).start()
    approval = an_approval(clock)
    await executor.approve(approval)
    order = executor.order(approval.intent_id)
    last_hop = executor.last_hop

    async def answered(reason: Reason | None) -> None:
        verdict = Verdict.ACCEPTED if reason is None else Verdict.NOT_ACCEPTED
        await last_hop.answered(order, Outcome(verdict=verdict, reason=reason, detail="400 -2010"))

    for harmless in (Reason.RATE_LIMITED, Reason.PRICE_ALREADY_CROSSED, Reason.CLOCK_SKEW, Reason.PARAMETERS, None):
        await answered(harmless)
    await last_hop.answered(order, Outcome(verdict=Verdict.UNKNOWN))
    assert executor.brake.state(ACCOUNT) is TradingState.ACTIVE

    await answered(Reason.INSUFFICIENT_BALANCE)

    (alert,) = calls_for_a_halt(executor)
    assert (alert.parameters["halt"], alert.parameters["reason"]) == ("account", "ORDERS_ARE_REFUSED")
    assert "trader resume" in alert.message
    assert executor.brake.state(ACCOUNT) is TradingState.HALTED
    await answered(Reason.FILTER)
    await answered(Reason.FILTER)
    assert len(calls_for_a_halt(executor)) == 1  # it is halted already
    halt_id = f"alert-{event_id_of(alert, cause=None, ordinal=0)}"
    await executor.set_state("HALTED", revision=2, halts=(halt_id,))
    await executor.set_state("ACTIVE", revision=3)
    assert executor.brake.state(ACCOUNT) is TradingState.ACTIVE


async def test_a_flood_of_messages_leaves_room_for_protection(exchange: FakeExchange, clock: FakeClock):
    limits = {"messages_per_minute_max": 10, "strategy_messages_per_minute_max": 10, "messages_kept_rate": "0.9"}
    configuration = TradingConfiguration.model_validate({"safety": limits})
    executor = await Executor(exchange=exchange, clock=clock, configuration=configuration).start()
    approval, late = an_approval(clock), an_approval(clock, signal_id="late", strategy="rsi")
    await executor.approve(approval)  # an entry and its protection
    executor.errands.put(Cancel(executor.working(approval.intent_id)))
    await executor.settle()

    await executor.receive(late)
    await executor.settle()

    assert len(exchange.sent(NewOco)) >= 1
    assert executor.order(late.intent_id).status is OrderStatus.ABANDONED
    controls = executor.controls
    assert controls.wait_s(ACCOUNT) == 0
    order = executor.order(approval.intent_id)
    waits = [controls.claim_s(order) for _ in range(11)]
    assert waits[0] == 0
    assert waits[-1] == 60  # the eleventh waits for a minute after the first


async def test_a_sale_that_cannot_be_proved_is_not_sent_and_planned_anew(executor: Executor, clock: FakeClock):
    approval = an_approval(clock)
    await executor.approve(approval)
    stop, *_ = executor.working(approval.intent_id)
    unsent = replace(stop, signed_at_ms=executor.venues.exchange_ms(ACCOUNT))

    executor.transactions.failures = 1  # the books do not answer

    assert await executor.last_hop.objection(unsent) == "NO_PROOF"
    assert await executor.last_hop.objection(replace(unsent, chain_id=uuid.uuid4())) == "NO_PROOF"
    assert await executor.last_hop.objection(unsent) is None


async def test_a_sale_among_too_many_messages_waits_for_room_and_is_planned_anew(
    exchange: FakeExchange, clock: FakeClock
):
    configuration = TradingConfiguration.model_validate({"safety": {"messages_per_minute_max": 10}})
    executor = await Executor(exchange=exchange, clock=clock, configuration=configuration).start()
    approval = an_approval(clock)
    await executor.approve(approval)
    for _ in range(10):
        executor.controls.claim_s(executor.order(approval.intent_id))
    clock.advance(59.95)
    stop, *_ = executor.working(approval.intent_id)

    objection = await executor.last_hop.objection(replace(stop, signed_at_ms=executor.venues.exchange_ms(ACCOUNT)))

    assert objection == "MESSAGE_RATE_LIMIT_IS_REACHED"  # on a clock that stands there is still no room


async def test_an_entry_without_its_symbols_rules_is_a_bug(executor: Executor, clock: FakeClock):
    approval = an_approval(clock)
    await executor.approve(approval)
    executor.venues.listings.clear()

    with pytest.raises(LookupError, match="rules of BTC/USDT"):
        executor.controls.objection(executor.order(approval.intent_id))


CHAIN = uuid.UUID(int=1)


def a_sale(number: int, quantity: int, **changes: Any) -> ExecutorOrder:
    fields: dict[str, Any] = {
        "intent_id": uuid.UUID(int=number + 1),
        "chain_id": CHAIN,
        "account": ACCOUNT,
        "symbol": "BTC/USDT",
        "side": Side.SELL,
        "role": Role.EXIT,
        "approved": False,
        "strategy": "ema_cross",
        "signal_id": "signal",
        "client_order_id": f"order-{number}",
        "order_type": OrderType.MARKET,
        "quantity": Decimal(quantity),
        "authority": Authority(halt_epoch=0, risk_epoch=1, configuration_version=1, configuration_hash="hash", epoch=1),
        "created_at": FakeClock().now(),
        "updated_at": FakeClock().now(),
        "signed_at_ms": 1,
    }
    return ExecutorOrder(**(fields | changes))


def an_execution(order: ExecutorOrder, quantity: int, *, fee: int = 0) -> RecordedFill:
    return RecordedFill(
        order.intent_id,
        TradeReport(
            symbol=order.symbol,
            trade_id=order.intent_id.int,
            exchange_order_id="1",
            client_order_id=order.client_order_id,
            side=order.side,
            quantity=Decimal(quantity),
            price=Decimal(50_000),
            commission=Decimal(fee),
            commission_asset="BTC",
            maker=False,
            at_ms=1,
        ),
    )


ENTRY = a_sale(0, 100, side=Side.BUY, role=Role.ENTRY, status=OrderStatus.FILLED)
BOUGHT = an_execution(ENTRY, 100, fee=1)


@pytest.mark.parametrize(
    ("others", "recorded", "left"),
    [
        ([], {}, 99),
        ([a_sale(1, 40, status=OrderStatus.FILLED, filled_quantity=Decimal(40))], {1: 40}, 59),
        ([a_sale(1, 40, status=OrderStatus.FILLED, filled_quantity=Decimal(40))], {}, 59),  # told, not yet recorded
        ([a_sale(1, 40, status=OrderStatus.UNKNOWN)], {}, 59),
        ([a_sale(1, 40, status=OrderStatus.PARTIALLY_FILLED, filled_quantity=Decimal(10))], {1: 10}, 59),
        ([a_sale(1, 40, status=OrderStatus.CANCELED, filled_quantity=Decimal(10))], {1: 10}, 89),
        ([a_sale(1, 40, status=OrderStatus.REJECTED), a_sale(2, 9, signed_at_ms=None)], {}, 99),
        (
            [
                a_sale(1, 40, list_client_order_id="list", status=OrderStatus.ACCEPTED),
                a_sale(2, 40, list_client_order_id="list", status=OrderStatus.ACCEPTED),
            ],
            {},
            59,  # the legs of a list sell once
        ),
        (
            [
                a_sale(
                    1, 40, list_client_order_id="l", status=OrderStatus.PARTIALLY_FILLED, filled_quantity=Decimal(15)
                ),
                a_sale(2, 40, list_client_order_id="l", status=OrderStatus.ACCEPTED),
            ],
            {1: 15},
            59,
        ),
    ],
)
def test_a_sale_is_covered_by_what_others_left_to_the_last_coin(
    others: list[ExecutorOrder], recorded: dict[int, int], left: int
):
    sold = [an_execution(other, recorded[number]) for number, other in enumerate(others, 1) if number in recorded]
    chain = Chain([ENTRY, *others, a_sale(9, left)], [BOUGHT, *sold], "BTC")

    assert sale_is_within_holding(a_sale(9, left), chain) is None
    refused = sale_is_within_holding(a_sale(9, left + 1), chain)
    assert refused is not None
    assert (refused.reason, refused.limit, refused.observed) == (
        RefusalReason.SALE_EXCEEDS_HOLDING,
        f"at most {left}",
        f"{left + 1}",
    )


@given(st.lists(st.tuples(st.integers(1, 60), st.sampled_from(("fill", "lose", "cancel", "reject"))), max_size=8))
def test_whatever_becomes_of_the_sales_that_pass_they_never_sell_more_than_was_bought(steps):
    orders, fills = [ENTRY], [BOUGHT]
    worst = Decimal(0)
    for number, (quantity, outcome) in enumerate(steps, 1):
        sale = a_sale(number, quantity)
        if sale_is_within_holding(sale, Chain([*orders, sale], fills, "BTC")) is not None:
            continue
        if outcome == "fill":
            sale = replace(sale, status=OrderStatus.FILLED, filled_quantity=sale.quantity)
            fills.append(an_execution(sale, quantity))
        elif outcome == "lose":
            sale = replace(sale, status=OrderStatus.UNKNOWN)
        else:
            sale = replace(sale, status=OrderStatus.CANCELED if outcome == "cancel" else OrderStatus.REJECTED)
        orders.append(sale)
        worst += sale.quantity if outcome in {"fill", "lose"} else 0

    assert worst <= 99
