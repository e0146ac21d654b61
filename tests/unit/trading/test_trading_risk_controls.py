"""The controls that count: setbacks, repetitions, messages, refusals, and what is proved where an order leaves."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.trading.market import Side
from libs.trading.risk import (
    MessageThrottle,
    Outgoing,
    RefusalBreaker,
    RefusalReason,
    Refused,
    RiskLimits,
    Role,
    SentOrders,
    Setbacks,
    drawdown_is_within_limit,
    execution_is_not_repeated,
    loss_streak_is_within_limit,
    price_is_near_reference,
    repetitions_after,
    size_is_within_limit,
)
from libs.trading.risk.throttle import WINDOW_MS
from tests.unit.trading.trading_builders import NOW, an_instrument, limits

R = RefusalReason
UNSET = (Decimal(0), Decimal("NaN"), Decimal(-1), None)


def reason(refused: Refused | None) -> RefusalReason | None:
    return None if refused is None else refused.reason


def outgoing(**changes: Any) -> Outgoing:
    values: dict[str, Any] = {
        "strategy": "ema_cross",
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "quantity": Decimal("0.01"),
        "price": Decimal(50_000),
        "reference_price": Decimal(50_000),
    }
    return Outgoing(**(values | changes))


@pytest.mark.parametrize(
    ("equity", "refused"),
    [("9000.01", None), ("9000", R.DRAWDOWN_LIMIT_IS_REACHED), ("-1", R.DRAWDOWN_LIMIT_IS_REACHED)],
)
def test_a_drawdown_is_reached_at_exactly_its_limit(equity, refused):
    setbacks = Setbacks().marked(Decimal(9_500)).marked(Decimal(10_000)).marked(Decimal(9_800))

    assert reason(drawdown_is_within_limit(setbacks, Decimal(equity), limits())) is refused  # 10 % of 10 000


def test_before_there_is_a_peak_nothing_is_known_to_be_lost():
    assert drawdown_is_within_limit(Setbacks(), Decimal(1), limits()) is None


def test_a_row_of_losses_is_reached_at_exactly_its_limit_and_a_gain_ends_it():
    lost, won, even = Decimal("-0.01"), Decimal("0.01"), Decimal(0)
    setbacks = Setbacks()
    for pnl in (lost, lost, lost, won, lost, lost, even, lost):
        setbacks = setbacks.closed(pnl)

    assert setbacks.losing_trips == 3
    assert loss_streak_is_within_limit(setbacks, limits(loss_streak_max=4)) is None
    assert reason(loss_streak_is_within_limit(setbacks.closed(lost), limits(loss_streak_max=4))) is (
        R.LOSS_STREAK_LIMIT_IS_REACHED
    )


@pytest.mark.parametrize(("held_s", "repetitions"), [(59.999, 3), (60, 0)])
def test_a_round_trip_within_one_decision_candle_is_a_repetition_and_any_other_ends_the_row(held_s, repetitions):
    closed_at = NOW + timedelta(seconds=held_s)

    assert repetitions_after(2, opened_at=NOW, closed_at=closed_at, decision_interval_s=60) == repetitions


@pytest.mark.parametrize(("repetitions", "refused"), [(2, None), (3, R.EXECUTION_IS_REPEATED)])
def test_repetitions_are_reached_at_exactly_their_limit(repetitions, refused):
    assert reason(execution_is_not_repeated(repetitions, limits(repeated_trips_max=3))) is refused


@pytest.mark.parametrize("value", UNSET)
def test_without_its_limit_every_control_refuses_and_names_it(value):
    def without(name: str) -> RiskLimits:
        return limits(**{name: value})

    throttle = MessageThrottle()
    found: dict[str, Refused | None] = {
        "drawdown_pct_max": drawdown_is_within_limit(Setbacks(), Decimal(1), without("drawdown_pct_max")),
        "loss_streak_max": loss_streak_is_within_limit(Setbacks(), without("loss_streak_max")),
        "repeated_trips_max": execution_is_not_repeated(0, without("repeated_trips_max")),
        "order_notional_max": size_is_within_limit(outgoing(), an_instrument(), without("order_notional_max")),
        "price_collar_rate": price_is_near_reference(outgoing(), without("price_collar_rate")),
        "duplicate_window_s": SentOrders().objection(outgoing(), without("duplicate_window_s"), now_ms=0),
    }
    for name in ("messages_per_minute_max", "strategy_messages_per_minute_max", "messages_kept_rate"):
        found[name] = throttle.objection(Role.CANCEL, "ema_cross", without(name), now_ms=0)
    for name in ("refusals_max", "refusals_of", "refusals_window_s"):
        found[name] = RefusalBreaker().answered(without(name), refused=False, now_ms=0)

    assert {name: refused and (refused.reason, refused.limit) for name, refused in found.items()} == {
        name: (R.LIMIT_IS_MISSING, f"{name} above zero") for name in found
    }


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"quantity": Decimal("0.02")}, None),  # 0.02 x 50 000 = 1 000
        ({"quantity": Decimal("0.02001")}, R.ORDER_NOTIONAL_IS_ABOVE_LIMIT),
        ({"quantity": Decimal("NaN")}, R.ORDER_NOTIONAL_IS_ABOVE_LIMIT),
        ({"quantity": Decimal(0)}, R.ORDER_NOTIONAL_IS_ABOVE_LIMIT),
        ({"price": None}, R.ORDER_NOTIONAL_IS_ABOVE_LIMIT),
        ({"price": Decimal("0.01"), "quantity": Decimal(9_000)}, None),
        ({"price": Decimal("0.01"), "quantity": Decimal("9000.00001")}, R.EXCHANGE_FILTER_FAILS),
    ],
)
def test_an_order_that_leaves_is_bounded_in_coins_and_money(changes, refused):
    assert reason(size_is_within_limit(outgoing(**changes), an_instrument(), limits())) is refused


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"price": Decimal(50_500)}, None),  # 50 000 + 1 %
        ({"price": Decimal("50500.01")}, R.PRICE_IS_OUTSIDE_COLLAR),
        ({"price": Decimal(1)}, None),
        ({"price": None}, R.PRICE_IS_OUTSIDE_COLLAR),
        ({"price": Decimal("NaN")}, R.PRICE_IS_OUTSIDE_COLLAR),
        ({"side": Side.SELL, "price": Decimal(49_500)}, None),
        ({"side": Side.SELL, "price": Decimal("49499.99")}, R.PRICE_IS_OUTSIDE_COLLAR),
        ({"reference_price": None}, R.REFERENCE_PRICE_IS_MISSING),
        ({"reference_price": Decimal(0)}, R.REFERENCE_PRICE_IS_MISSING),
        ({"reference_price": Decimal("NaN")}, R.REFERENCE_PRICE_IS_MISSING),
    ],
)
def test_an_order_that_leaves_pays_no_more_than_the_collar_around_a_known_reference(changes, refused):
    assert reason(price_is_near_reference(outgoing(**changes), limits())) is refused


@pytest.mark.parametrize(
    ("changes", "after_ms", "refused"),
    [
        ({}, 9_999, R.ENTRY_IS_A_DUPLICATE),
        ({}, 10_000, None),
        ({"strategy": "rsi"}, 0, None),
        ({"symbol": "ETH/USDT"}, 0, None),
        ({"side": Side.SELL}, 0, None),
        ({"quantity": Decimal("0.011")}, 0, None),
        ({"price": Decimal(50_001)}, 0, None),
        ({"reference_price": Decimal(49_000)}, 0, R.ENTRY_IS_A_DUPLICATE),
    ],
)
def test_an_order_of_the_same_strategy_symbol_side_quantity_and_price_does_not_leave_twice(changes, after_ms, refused):
    sent = SentOrders()
    sent.note(outgoing(), now_ms=5)

    assert reason(sent.objection(outgoing(**changes), limits(), now_ms=5 + after_ms)) is refused


def test_entries_leave_a_part_of_the_messages_to_cancels_and_exits():
    throttle = MessageThrottle()
    for number in range(10):
        assert throttle.objection(Role.ENTRY, f"strategy {number}", limits(), now_ms=number) is None
        throttle.note(f"strategy {number}", now_ms=number)

    assert reason(throttle.objection(Role.ENTRY, "another", limits(), now_ms=10)) is R.MESSAGE_RATE_LIMIT_IS_REACHED
    for number in range(10, 20):
        assert throttle.objection(Role.EXIT, "another", limits(), now_ms=number) is None
        throttle.note("another", now_ms=number)
    assert reason(throttle.objection(Role.CANCEL, "another", limits(), now_ms=20)) is R.MESSAGE_RATE_LIMIT_IS_REACHED
    assert throttle.room_at_ms(limits(), now_ms=20) == WINDOW_MS
    assert throttle.objection(Role.CANCEL, "another", limits(), now_ms=WINDOW_MS) is None
    assert throttle.room_at_ms(limits(), now_ms=WINDOW_MS) == WINDOW_MS


def test_a_strategy_has_a_limit_of_its_own():
    throttle = MessageThrottle()
    for number in range(8):
        throttle.note("busy", now_ms=number)

    assert reason(throttle.objection(Role.ENTRY, "busy", limits(), now_ms=9)) is R.MESSAGE_RATE_LIMIT_IS_REACHED
    assert throttle.objection(Role.ENTRY, "quiet", limits(), now_ms=9) is None
    assert throttle.objection(Role.EXIT, "busy", limits(), now_ms=9) is None


@given(
    wishes=st.lists(
        st.tuples(st.integers(0, 9_000), st.sampled_from((Role.ENTRY, Role.EXIT, Role.CANCEL)), st.sampled_from("ab")),
        max_size=120,
    )
)
def test_no_window_ever_holds_more_messages_than_its_limit(wishes):
    throttle, now_ms = MessageThrottle(), 0
    sent: list[tuple[int, Role, str]] = []
    for after_ms, role, strategy in wishes:
        now_ms += after_ms
        if role is Role.CANCEL:  # they wait for their turn
            sent.append((throttle.claim(strategy, limits(), now_ms=now_ms), role, strategy))
        elif throttle.objection(role, strategy, limits(), now_ms=now_ms) is None:
            throttle.note(strategy, now_ms=now_ms)
            sent.append((now_ms, role, strategy))

    for begin_ms, role, strategy in sent:
        window = [(at_ms, whose) for at_ms, _, whose in sent if begin_ms - WINDOW_MS < at_ms <= begin_ms]
        assert len(window) <= 20
        if role is Role.ENTRY:
            before = sent.index((begin_ms, role, strategy))
            earlier = [(at_ms, whose) for at_ms, _, whose in sent[:before] if at_ms > begin_ms - WINDOW_MS]
            assert len(earlier) < 10  # half is kept
            assert sum(whose == strategy for _, whose in earlier) < 8
    assert sum(role is Role.CANCEL for _, role, _ in sent) == sum(role is Role.CANCEL for _, role, _ in wishes)


def test_the_breaker_trips_at_exactly_so_many_refusals_of_so_many_orders():
    breaker = RefusalBreaker()
    answers = [True, True, False, False, False, True]  # of the last five only two

    found = [breaker.answered(limits(), refused=refused, now_ms=at) for at, refused in enumerate(answers)]
    tripped = breaker.answered(limits(), refused=True, now_ms=7)

    assert found == [None] * 6
    assert tripped is None  # false, false, false, true, true
    assert reason(breaker.answered(limits(), refused=True, now_ms=8)) is R.ORDERS_ARE_REFUSED
    assert breaker.answered(limits(), refused=True, now_ms=9) is None  # counted anew


def test_refusals_are_forgotten_after_their_window():
    breaker = RefusalBreaker()
    for at_ms in (0, 1):
        breaker.answered(limits(), refused=True, now_ms=at_ms)

    assert breaker.answered(limits(), refused=True, now_ms=60_000) is None
    assert reason(breaker.answered(limits(), refused=True, now_ms=60_000)) is R.ORDERS_ARE_REFUSED
