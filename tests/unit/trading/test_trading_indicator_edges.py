"""Where indicators have no value, stand still, or would drift."""

import random
from fractions import Fraction
from math import isnan, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.trading.indicators import Adx, Bollinger, Donchian, Macd, Obv, Rsi, Sma, Stochastic, Vwap
from libs.trading.indicators.rolling import RollingExtremes, RollingMoments, RollingSum

prices = st.floats(min_value=1e-3, max_value=1e6)
series = st.lists(prices, min_size=1, max_size=40)
periods = st.integers(min_value=1, max_value=7)


@given(values=series, period=periods)
def test_a_rolling_sum_is_the_sum_of_the_last_period(values, period):
    rolling = RollingSum(period)
    for count, value in enumerate(values, start=1):
        total = rolling.update(value)
        if count < period:
            assert total is None
        else:
            exact = sum(map(Fraction, values[count - period : count]))
            assert total == pytest.approx(float(exact), rel=1e-15)


@given(values=series, period=periods)
def test_rolling_moments_are_those_of_the_last_period(values, period):
    rolling = RollingMoments(period)
    for count, value in enumerate(values, start=1):
        rolling.update(value)
        assert rolling.is_warm is (count >= period)
        if count >= period:
            window = [Fraction(each) for each in values[count - period : count]]
            mean = sum(window) / period
            assert rolling.mean == pytest.approx(float(mean), rel=1e-14)
            squares = float(sum((each - mean) ** 2 for each in window))
            # What the rounding of a mean of this size costs, and nothing more.
            assert rolling.squares == pytest.approx(squares, rel=1e-12, abs=period * (1e-15 * float(max(window))) ** 2)
        else:
            assert isnan(rolling.mean)
            assert isnan(rolling.squares)


@given(values=series, period=periods)
def test_extremes_are_values_of_the_last_period(values, period):
    extremes = RollingExtremes(period)
    for count, value in enumerate(values, start=1):
        extremes.update(value, -value)
        assert extremes.is_warm is (count >= period)
        if count >= period:
            highest = max(values[count - period : count])
            assert (extremes.highest, extremes.lowest) == (highest, -highest)


def test_a_thousandfold_price_that_left_the_window_leaves_nothing_behind():
    bands = Bollinger(20)
    drawn = random.Random(1)
    quiet = [round(100 + drawn.gauss(0, 0.01), 4) for _ in range(20)]
    for price in (*quiet, 100_000.0, *quiet):
        bands.update(price)

    exact = [Fraction(price) for price in quiet]
    mean = sum(exact) / 20
    assert bands.middle == pytest.approx(float(mean), rel=1e-15)
    assert bands.deviation == pytest.approx(sqrt(sum((each - mean) ** 2 for each in exact) / 20), rel=1e-9)


def test_many_values_do_not_let_an_average_drift():
    sma = Sma(20)
    drawn = random.Random(2)
    values = [drawn.uniform(1e-5, 1e5) for _ in range(200_003)]
    for value in values:
        sma.update(value)

    assert sma.value == pytest.approx(float(sum(map(Fraction, values[-20:])) / 20), rel=1e-15)


@pytest.mark.parametrize("price", [0.1, 3.3, 61_234.57])
def test_bands_of_a_market_that_stands_still_have_no_width(price):
    bands = Bollinger(20)
    for _ in range(50):
        bands.update(price)

    assert bands.is_warm
    assert bands.upper == pytest.approx(price, rel=1e-15)
    assert bands.deviation <= 1e-15 * price


def test_bands_before_their_period_compare_with_nothing():
    bands = Bollinger(3)
    bands.update(1.0)

    assert not bands.is_warm
    assert (bands.lower <= 1.0, bands.upper >= 1.0) == (False, False)


def test_a_channel_before_its_period_compares_with_nothing():
    channel = Donchian(3)
    channel.update(2.0, 1.0)

    assert not channel.is_warm
    assert (channel.lower <= 2.0, channel.upper >= 1.0) == (False, False)
    assert channel.window == 3


def test_a_market_that_never_moved_is_neutral():
    rsi, stochastic, adx = Rsi(3), Stochastic(3, 2, 2), Adx(3)
    for _ in range(10):
        rsi.update(100.0)
        stochastic.update(100.0, 100.0, 100.0)
        adx.update(100.0, 100.0, 100.0)

    assert rsi.value == 50.0  # TA-Lib: 0
    assert (stochastic.k, stochastic.d) == (50.0, 50.0)  # TA-Lib: 0
    assert adx.value == 0.0
    assert isnan(adx.plus)


def test_a_trend_index_keeps_its_value_while_nothing_moves():
    adx = Adx(2)
    for price in (1.0, 2.0, 3.0, 4.0):
        adx.update(price, price, price)
    moving = adx.value
    for _ in range(5000):  # until the digits of the averages have run out
        adx.update(4.0, 4.0, 4.0)

    assert moving == adx.value == 100.0


def test_a_candle_that_gains_on_both_sides_has_no_direction():
    adx = Adx(2)
    for reach in (1.0, 2.0, 3.0, 4.0):
        adx.update(100.0 + reach, 100.0 - reach, 100.0)

    assert (adx.plus, adx.minus, adx.value) == (0.0, 0.0, 0.0)


def test_rsi_is_100_when_every_close_rises_and_0_when_every_close_falls():
    rising, falling = Rsi(3), Rsi(3)
    for number in range(5):
        rising.update(100.0 + number)
        falling.update(100.0 - number)

    assert (rising.value, falling.value) == (100.0, 0.0)


def test_rsi_matches_wilders_smoothing():
    rsi = Rsi(2)
    values = [rsi.update(close) for close in (10.0, 12.0, 11.0, 14.0)]

    # Gains 2, 0 and losses 0, 1 average 1 and 0.5; then (1 + 3) / 2 = 2 and (0.5 + 0) / 2 = 0.25.
    assert values == [None, None, pytest.approx(200 / 3), pytest.approx(100 * 2 / 2.25)]


def test_a_window_without_volume_has_no_volume_weighted_price():
    vwap = Vwap(2)

    assert vwap.update(3.0, 1.0, 2.0, 5.0) is None
    assert vwap.update(6.0, 3.0, 3.0, 5.0) == 3.0  # (2 x 5 + 4 x 5) / 10
    assert vwap.is_warm
    assert vwap.update(6.0, 3.0, 3.0, 0.0) == 4.0
    assert vwap.update(6.0, 3.0, 3.0, 0.0) is None
    assert not vwap.is_warm


def test_on_balance_volume_loses_no_digit_between_large_and_small_volumes():
    obv = Obv()
    obv.update(1.0, 1e16)
    for number in range(1000):
        obv.update(2.0 + number, 0.5)
    assert obv.update(0.5, 1e16) == 500.0  # 1000 x 0.5

    assert obv.update(0.5, 7.0) == 500.0  # an unchanged close changes nothing
    assert obv.is_warm


def test_a_fast_macd_that_is_not_faster_is_refused():
    with pytest.raises(ValueError, match=r"below the slow one \(12\), found 12"):
        Macd(12, 12)


@pytest.mark.parametrize("deviations", [0.0, -1.0, float("nan"), float("inf")])
def test_bands_without_a_width_are_refused(deviations):
    with pytest.raises(ValueError, match="expected deviations above 0"):
        Bollinger(20, deviations)


@pytest.mark.parametrize("make", [Rsi, Adx, Bollinger])
def test_a_period_of_one_is_refused_where_it_means_nothing(make):
    with pytest.raises(ValueError, match="at least 2, found 1"):
        make(1)


def test_indicators_tell_when_they_are_warm_and_how_much_they_remember():
    macd, stochastic, adx, rsi = Macd(2, 3, 2), Stochastic(2, 2, 2), Adx(2), Rsi(2)
    warm = []
    for number in range(6):
        macd.update(number)
        stochastic.update(number, number, number)
        adx.update(number, number, number)
        rsi.update(number)
        warm.append((macd.is_warm, stochastic.is_warm, adx.is_warm, rsi.is_warm))

    assert [column.index(True) for column in zip(*warm, strict=True)] == [3, 3, 3, 2]
    assert (macd.window, stochastic.window, adx.window, rsi.window) == (25, 4, 37, 19)
    assert (Vwap(5).window, Bollinger(5).window) == (5, 5)
