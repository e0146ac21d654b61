"""Indicators against the definitions written out."""

from itertools import pairwise
from math import isclose, log
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.trading.indicators import Atr, Ema, RollingVolatility, Sma, TrueRange

prices = st.floats(min_value=1.0, max_value=1e6)
periods = st.integers(min_value=1, max_value=8)


def close_to(value: float | None, expected: float) -> bool:
    return value is not None and isclose(value, expected, rel_tol=1e-9, abs_tol=1e-9)


@given(values=st.lists(prices, min_size=1, max_size=60), period=periods)
def test_an_ema_is_seeded_with_the_average_of_its_first_period(values, period):
    ema = Ema(period)
    outputs = [ema.update(value) for value in values]

    expected = None
    for count, (value, output) in enumerate(zip(values, outputs, strict=True), start=1):
        if count < period:
            assert output is None
            continue
        rate = 2 / (period + 1)
        expected = fmean(values[:period]) if expected is None else value * rate + expected * (1 - rate)
        assert close_to(output, expected)
    assert ema.is_warm is (len(values) >= period)


def test_an_ema_matches_the_worked_example():
    ema = Ema(3)

    assert [ema.update(value) for value in (1.0, 2.0, 3.0, 5.0)] == [None, None, 2.0, 3.5]  # 2 + (5 - 2) x 0.5


def test_after_its_window_the_start_of_an_ema_no_longer_matters():
    one, other = Ema(10), Ema(10)
    for _ in range(10):
        one.update(100.0)
        other.update(200.0)
    for _ in range(one.window):
        one.update(150.0)
        other.update(150.0)

    assert one.value == pytest.approx(other.value, rel=1e-3)


@given(values=st.lists(prices, min_size=1, max_size=60), period=periods)
def test_an_sma_is_the_average_of_the_last_period(values, period):
    sma = Sma(period)
    for count, value in enumerate(values, start=1):
        output = sma.update(value)
        if count < period:
            assert output is None
        else:
            assert close_to(output, fmean(values[count - period : count]))
    assert sma.is_warm is (len(values) >= period)
    assert sma.window == period


def test_an_sma_forgets_a_spike_exactly():
    sma = Sma(4)
    for value in (1e15, *[0.1] * 8):
        sma.update(value)

    assert sma.value == 0.1


@given(closes=st.lists(prices, min_size=1, max_size=60), period=periods, reach=st.floats(min_value=0.0, max_value=9.0))
def test_an_atr_is_wilders_average_of_true_ranges(closes, period, reach):
    atr = Atr(period)
    true_ranges = []
    expected = None
    for number, close in enumerate(closes):
        output = atr.update(close + reach, close - reach / 2, close)
        if number == 0:
            assert output is None
            continue
        previous = closes[number - 1]
        high, low = close + reach, close - reach / 2
        true_ranges.append(max(high - low, abs(high - previous), abs(low - previous)))
        if len(true_ranges) == period:
            expected = fmean(true_ranges)
        elif expected is not None:
            expected = (expected * (period - 1) + true_ranges[-1]) / period
        assert (output is None) if expected is None else close_to(output, expected)
    assert atr.is_warm is (len(closes) > period)
    assert atr.window > period


def test_the_first_candle_has_no_true_range():
    true_range = TrueRange()

    assert true_range.update(12.0, 10.0, 11.0) is None
    assert not true_range.is_warm
    assert true_range.update(15.0, 14.0, 14.5) == 4.0  # 15 - 11, the gap from the previous close included
    assert true_range.update(13.0, 12.0, 12.5) == 2.5  # 14.5 - 12
    assert true_range.is_warm
    assert true_range.window == 2


@given(closes=st.lists(prices, min_size=1, max_size=60), period=st.integers(min_value=2, max_value=8))
def test_volatility_is_the_sample_deviation_of_the_last_log_returns(closes, period):
    volatility = RollingVolatility(period)
    returns = [log(later / earlier) for earlier, later in pairwise(closes)]
    outputs = [volatility.update(close) for close in closes]

    for count, output in enumerate(outputs):
        if count < period:
            assert output is None
        else:
            assert output == pytest.approx(stdev(returns[count - period : count]), rel=1e-6, abs=1e-6)
    assert volatility.is_warm is (len(closes) > period)
    assert volatility.window == period + 1


def test_the_volatility_of_a_steady_trend_is_zero_and_never_below():
    volatility = RollingVolatility(5)
    outputs = [volatility.update(100.0 * 1.01**number) for number in range(200)]

    assert all(0.0 <= output < 1e-7 for output in outputs if output is not None)


@pytest.mark.parametrize("indicator", [Ema, Sma, Atr])
def test_a_period_below_one_is_refused(indicator):
    with pytest.raises(ValueError, match="at least 1, found 0"):
        indicator(0)


def test_a_volatility_of_one_return_is_refused():
    with pytest.raises(ValueError, match="at least 2, found 1"):
        RollingVolatility(1)
