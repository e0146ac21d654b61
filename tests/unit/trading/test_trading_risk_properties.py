"""What holds for every approval, whatever the case; the states and the daily loss."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.trading.risk import Approved, DailyLossLevel, Role, TradingState, assess, daily_loss, may_send, strictest
from tests.unit.trading.trading_builders import NOW, a_market, an_entry, an_exit, an_exposure, holding, limits

amounts = st.decimals(min_value=0, max_value=20_000, places=2)


@given(equity=amounts, free=amounts, reserved=amounts, percent=st.decimals(min_value=0, max_value=100, places=2))
def test_no_approved_entry_breaks_any_amount(equity, free, reserved, percent):
    exposure = an_exposure(equity=equity, free_quote=free, reserved={"ETH/USDT": reserved})
    allowed = limits(position_size_pct=percent, daily_loss_limit_pct=Decimal(100))

    result = assess(an_entry(), exposure, a_market(), allowed, TradingState.ACTIVE, NOW)

    if isinstance(result, Approved):
        assert result.limit_price is not None
        assert result.notional == result.quantity * result.limit_price
        assert result.notional <= min(equity * percent / 100, free - reserved, allowed.order_notional_max)
        assert result.notional + reserved <= allowed.exposure_notional_max
        assert a_market().quote.ask <= result.limit_price < Decimal(51_000)


@given(held=st.decimals(min_value=0, max_value=300, places=8), state=st.sampled_from(TradingState))
def test_no_approved_exit_sells_more_than_is_held(held, state):
    result = assess(an_exit(), holding(str(held)), a_market(), limits(), state, NOW)

    if isinstance(result, Approved):
        assert state is not TradingState.HALTED
        assert 0 < result.quantity <= held


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.ENTRY, (True, False, False)),
        (Role.CANCEL, (True, True, True)),
        (Role.PROTECTION, (True, True, True)),
        (Role.EXIT, (True, True, False)),
        (Role.LIQUIDATION, (True, True, True)),
    ],
)
def test_the_table_of_what_may_be_sent_when(role, allowed):
    states = (TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED)

    assert tuple(may_send(role, state) for state in states) == allowed


def test_of_several_states_the_strictest_holds():
    assert strictest([TradingState.ACTIVE, TradingState.HALTED, TradingState.REDUCING]) is TradingState.HALTED
    assert strictest([TradingState.ACTIVE, TradingState.REDUCING]) is TradingState.REDUCING
    assert strictest([]) is TradingState.ACTIVE


@pytest.mark.parametrize(
    ("equity", "peak", "loss", "level"),
    [
        ("10000", "10000", "0", DailyLossLevel.NORMAL),
        ("10100", "10100", "0", DailyLossLevel.NORMAL),
        ("9760.01", "10000", "239.99", DailyLossLevel.NORMAL),
        ("9760", "10000", "240", DailyLossLevel.WARNING),  # 80 % of 300
        ("9700.01", "10000", "299.99", DailyLossLevel.WARNING),
        ("9700", "10000", "300", DailyLossLevel.EXCEEDED),
        ("10000", "10300", "300", DailyLossLevel.EXCEEDED),  # from the peak: midnight grants nothing
        ("-5", "9000", "10005", DailyLossLevel.EXCEEDED),
    ],
)
def test_the_daily_loss_warns_at_four_fifths_and_stops_at_the_limit(equity, peak, loss, level):
    today = daily_loss(Decimal(equity), Decimal(10_000), Decimal(peak), Decimal(3))

    assert (today.loss, today.limit, today.level) == (Decimal(loss), Decimal(300), level)
    assert today.fraction == Decimal(loss) / 300


@given(equity=amounts, start=st.decimals(min_value=1, max_value=20_000, places=2), peak=amounts)
def test_a_daily_loss_is_never_negative_and_stops_exactly_from_its_limit_on(equity, start, peak):
    today = daily_loss(equity, start, peak, Decimal(3))

    assert today.loss >= 0
    assert (today.level is DailyLossLevel.EXCEEDED) == (today.fraction >= 1)


@pytest.mark.parametrize(("start", "percent"), [("0", "3"), ("NaN", "3"), ("10000", "0"), ("10000", "NaN")])
def test_a_daily_loss_without_baseline_or_limit_is_an_error(start, percent):
    with pytest.raises(ValueError, match="expected a baseline and a limit above zero"):
        daily_loss(Decimal(10_000), Decimal(start), Decimal(10_000), Decimal(percent))
