"""Nothing that is fed to a strategy, as a parameter or as a candle, makes it do anything but refuse, hold or decide."""

from dataclasses import fields
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.trading.market import Candle
from libs.trading.strategies import STRATEGIES, Enter, Exit, create_strategy, parameters_of
from tests.unit.trading.trading_builders import a_candle

pytestmark = pytest.mark.sweep

anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(10**400), 0, 1, 1000, 1001]),
    st.floats(),
    st.decimals(),
    st.sampled_from([Decimal("sNaN"), Decimal("1e-400"), Decimal("1e400")]),
    st.text(max_size=10),
    st.sampled_from(["atr", "percent"]),
)


@given(name=st.sampled_from(STRATEGIES), draw=st.data())
def test_any_value_of_any_parameter_is_taken_as_declared_or_refused_by_name(name, draw):
    kind = parameters_of(name)
    declared = draw.draw(st.sampled_from(fields(kind)))
    value = draw.draw(anything)

    try:
        strategy = create_strategy(name, "BTC/USDT", 60, {declared.name: value})
    except ValueError as error:
        assert declared.name in str(error)  # noqa: PT017 - either outcome is right, and each has its proof
    else:
        taken = getattr(strategy.parameters, declared.name)
        assert declared.metadata["range"].checked(declared.name, taken) == taken


prices = st.one_of(
    st.floats(min_value=1e-9, max_value=1e9),
    st.sampled_from([5e-324, 1e-300, 1e-9, 1.0, 1e9, 9.9e29, 1e30, 1e308, 0.0, -1.0, float("nan"), float("inf")]),
)
volumes = st.one_of(
    st.floats(min_value=0, max_value=1e9),
    st.sampled_from([0.0, 5e-324, 9.9e29, 1e308, -1.0, float("nan"), float("inf")]),
)


@st.composite
def series(draw) -> list[Candle]:
    """Draw candles mostly one after the other, of any price, some inside out, partial, repeated or late."""
    number, candles = draw(st.integers(min_value=0, max_value=10**6)), []
    level = draw(st.sampled_from([1e-300, 1e-8, 100.0, 5e29]))
    for _ in range(draw(st.integers(min_value=1, max_value=120))):
        number += draw(st.sampled_from([1] * 30 + [0, 2, -1]))
        is_strange = draw(st.integers(min_value=0, max_value=20)) == 0
        close = draw(prices) if is_strange else level * draw(st.floats(min_value=0.5, max_value=1.5))
        reach = draw(st.floats(min_value=0.0, max_value=0.5))
        candles.append(
            a_candle(
                number,
                close,
                high=draw(prices) if is_strange else close * (1 + reach),
                low=close * (1 - reach),
                volume=draw(volumes),
                partial=draw(st.integers(min_value=0, max_value=30)) == 0,
            )
        )
    return candles


SHORT: dict[str, dict[str, float]] = {
    "ema_cross": {"ema_fast": 1, "ema_slow": 2},
    "rsi_reversion": {"rsi_period": 2, "rsi_oversold": 45, "rsi_overbought": 55},
    "macd_trend": {"macd_fast": 1, "macd_slow": 2, "macd_signal": 1},
    "bollinger_breakout": {"bollinger_period": 2, "bollinger_deviations": 0.5},
    "donchian_trend": {"donchian_entry": 2, "donchian_exit": 1},
    "consensus": {"ema_fast": 1, "ema_slow": 2, "rsi_period": 2, "macd_fast": 1, "macd_slow": 2, "macd_signal": 1}
    | {"bollinger_period": 2, "donchian_entry": 2, "donchian_exit": 1, "entry_score": 0.2},
}


@pytest.mark.parametrize("stops", ["atr", "percent"])
@pytest.mark.parametrize("name", STRATEGIES)
@settings(max_examples=40)
@given(candles=series())
def test_whatever_candles_come_each_is_answered_with_a_decision_that_can_be(name, stops, candles):
    strategy = create_strategy(
        name, "BTC/USDT", 60, {**SHORT[name], "atr_period": 1, "stops": stops, "trailing_stop_pct": 1}
    )

    for candle in candles:
        decision = strategy.on_candle(candle)
        if isinstance(decision, Enter):
            assert 0 < decision.stop_loss < decision.price < decision.take_profit < float("inf")
            assert Decimal(decision.take_profit).is_finite()
            assert (decision.trailing_distance is None) is (stops == "atr")
        if isinstance(decision, Enter | Exit):
            assert 0 <= decision.quality.value <= 100
            assert decision.price == candle.close
