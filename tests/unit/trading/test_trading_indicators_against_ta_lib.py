"""Indicators against TA-Lib, over 50,000 candles of the recorded market and of random walks."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pytest
import talib

from libs.trading.indicators import (
    Adx,
    Atr,
    Bollinger,
    Donchian,
    Ema,
    Macd,
    Obv,
    RollingVolatility,
    Rsi,
    Sma,
    Stochastic,
    Vwap,
)
from libs.trading.market import Candle
from tests.unit.trading.trading_series import random_walk, recorded

pytestmark = pytest.mark.sweep

SERIES: dict[str, Callable[[], Sequence[Candle]]] = {
    "recorded": recorded,
    "walk of a quiet coin": lambda: random_walk(1, price=50_000.0, deviation=0.0002),
    "walk of a wild coin": lambda: random_walk(2, price=0.5, deviation=0.01),
}

SIMPLE = talib.MA_Type.SMA  # type: ignore[attr-defined] # exported, though its stub does not say so


class Market(NamedTuple):
    """A series as TA-Lib takes it."""

    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray


@pytest.fixture(params=SERIES, scope="module")
def candles(request) -> Sequence[Candle]:
    return SERIES[str(request.param)]()


@pytest.fixture(scope="module")
def market(candles) -> Market:
    rows = [(candle.high, candle.low, candle.close, candle.volume) for candle in candles]
    return Market(*(np.array(column) for column in zip(*rows, strict=True)))


def outputs(candles: Sequence[Candle], update: Callable[[Candle], tuple[float | None, ...]]) -> Iterator[np.ndarray]:
    """Yield each part of an indicator as a column, NaN where there is none yet."""
    rows = [update(candle) for candle in candles]
    return (np.array(column, dtype=float) for column in zip(*rows, strict=True))


def assert_equal(ours: np.ndarray, theirs: np.ndarray, scale: np.ndarray | float) -> None:
    """Both begin with the same candle, and differ by at most 1e-9 of the scale on which the indicator is read."""
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    assert np.nanmax(np.abs(ours - theirs) / scale) <= 1e-9


@pytest.mark.parametrize("period", [9, 21, 200])
def test_averages(candles, market, period):
    ema, sma = Ema(period), Sma(period)

    (ours,) = outputs(candles, lambda candle: (ema.update(candle.close),))
    assert_equal(ours, talib.EMA(market.close, period), market.close)
    (ours,) = outputs(candles, lambda candle: (sma.update(candle.close),))
    assert_equal(ours, talib.SMA(market.close, period), market.close)


def test_rsi(candles, market):
    rsi = Rsi(14)

    (ours,) = outputs(candles, lambda candle: (rsi.update(candle.close),))

    assert_equal(ours, talib.RSI(market.close, 14), 100.0)


def test_macd(candles, market):
    macd = Macd(12, 26, 9)

    def update(candle: Candle) -> tuple[float, ...]:
        macd.update(candle.close)
        return macd.line, macd.signal, macd.histogram

    line, signal, histogram = outputs(candles, update)
    their_line, their_signal, their_histogram = talib.MACD(market.close, 12, 26, 9)
    assert_equal(signal, their_signal, market.close)
    assert_equal(histogram, their_histogram, market.close)
    assert np.nanmax(np.abs(line - their_line) / market.close) <= 1e-9  # ours is there before the signal line is


def test_bollinger_bands(candles, market):
    bands = Bollinger(20, 2.5)

    def update(candle: Candle) -> tuple[float, ...]:
        bands.update(candle.close)
        return bands.upper, bands.middle, bands.lower

    for ours, theirs in zip(outputs(candles, update), talib.BBANDS(market.close, 20, 2.5, 2.5), strict=True):
        assert_equal(ours, theirs, market.close)


def test_average_true_range(candles, market):
    atr = Atr(14)

    (ours,) = outputs(candles, lambda candle: (atr.update(candle.high, candle.low, candle.close),))

    theirs = talib.ATR(market.high, market.low, market.close, 14)
    assert_equal(ours, theirs, theirs)


def test_average_directional_index(candles, market):
    adx = Adx(14)
    high, low, close, _ = market

    ours, plus, minus = outputs(
        candles, lambda candle: (adx.update(candle.high, candle.low, candle.close), adx.plus, adx.minus)
    )

    assert_equal(ours, talib.ADX(high, low, close, 14), 100.0)
    assert_equal(plus, talib.PLUS_DI(high, low, close, 14), 100.0)
    assert_equal(minus, talib.MINUS_DI(high, low, close, 14), 100.0)


def test_donchian_channel_bit_for_bit(candles, market):
    channel = Donchian(20)

    def update(candle: Candle) -> tuple[float, ...]:
        channel.update(candle.high, candle.low)
        return channel.upper, channel.lower, channel.middle

    upper, lower, middle = outputs(candles, update)
    highest, lowest = talib.MAX(market.high, 20), talib.MIN(market.low, 20)
    assert np.array_equal(upper, highest, equal_nan=True)
    assert np.array_equal(lower, lowest, equal_nan=True)
    assert np.array_equal(middle, (highest + lowest) / 2, equal_nan=True)


def test_stochastic(candles, market):
    stochastic = Stochastic(14, 3, 3)
    high, low, close, _ = market

    def update(candle: Candle) -> tuple[float, ...]:
        stochastic.update(candle.high, candle.low, candle.close)
        return stochastic.k, stochastic.d

    for ours, theirs in zip(
        outputs(candles, update), talib.STOCH(high, low, close, 14, 3, SIMPLE, 3, SIMPLE), strict=True
    ):
        assert_equal(ours, theirs, 100.0)


def test_on_balance_volume(candles, market):
    obv = Obv()

    (ours,) = outputs(candles, lambda candle: (obv.update(candle.close, candle.volume),))

    theirs = talib.OBV(market.close, market.volume)
    assert_equal(ours, theirs, np.maximum(np.abs(theirs), market.volume.mean()))


def test_realised_volatility(candles, market):
    volatility = RollingVolatility(30)

    (ours,) = outputs(candles, lambda candle: (volatility.update(candle.close),))

    returns = np.log(market.close[1:] / market.close[:-1])
    theirs = talib.STDDEV(returns, 30) * np.sqrt(30 / 29)  # TA-Lib's is the population's
    assert_equal(ours, np.concatenate(([np.nan], theirs)), np.concatenate(([np.nan], theirs)))


def test_rolling_volume_weighted_price(candles, market):
    vwap = Vwap(30)

    (ours,) = outputs(candles, lambda candle: (vwap.update(candle.high, candle.low, candle.close, candle.volume),))

    amounts = (market.high + market.low + market.close) / 3 * market.volume
    theirs = talib.SUM(amounts, 30) / talib.SUM(market.volume, 30)  # TA-Lib's own VWAP never forgets
    assert_equal(ours, theirs, market.close)
