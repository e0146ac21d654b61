"""What each rule wishes on every candle, against the same rule written over TA-Lib's columns."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import talib

from libs.trading.market import Candle
from libs.trading.strategies.bollinger_breakout import BollingerBreakoutParameters, BollingerBreakoutRule
from libs.trading.strategies.consensus import ConsensusParameters, ConsensusRule
from libs.trading.strategies.donchian_trend import DonchianTrendParameters, DonchianTrendRule
from libs.trading.strategies.ema_cross import EmaCrossParameters, EmaCrossRule
from libs.trading.strategies.macd_trend import MacdTrendParameters, MacdTrendRule
from libs.trading.strategies.rsi_reversion import RsiReversionParameters, RsiReversionRule
from libs.trading.strategies.rule import Rule, Wish
from tests.unit.trading.trading_series import random_walk, recorded

pytestmark = pytest.mark.sweep

SERIES: dict[str, Callable[[], Sequence[Candle]]] = {"recorded": recorded, "walk": lambda: random_walk(3)}


@pytest.fixture(params=SERIES, scope="module")
def candles(request) -> Sequence[Candle]:
    return SERIES[str(request.param)]()


@pytest.fixture(scope="module")
def close(candles) -> np.ndarray:
    return np.array([candle.close for candle in candles])


@pytest.fixture(scope="module")
def high(candles) -> np.ndarray:
    return np.array([candle.high for candle in candles])


@pytest.fixture(scope="module")
def low(candles) -> np.ndarray:
    return np.array([candle.low for candle in candles])


def before(column: np.ndarray) -> np.ndarray:
    """Return each candle's predecessor."""
    return np.concatenate(([np.nan], column[:-1]))


def crosses_above(column: np.ndarray, level: float = 0.0) -> np.ndarray:
    return (before(column) <= level) & (column > level)


def assert_wishes(rule: Rule, candles: Sequence[Candle], enters: np.ndarray, exits: np.ndarray) -> None:
    wishes = []
    for candle in candles:
        rule.update(candle)
        wishes.append(rule.wish)

    assert enters.sum() > 50, "a rule that never speaks proves nothing"
    assert exits.sum() > 50
    assert [number for number, wish in enumerate(wishes) if wish is Wish.ENTER] == np.flatnonzero(enters).tolist()
    assert [number for number, wish in enumerate(wishes) if wish is Wish.EXIT] == np.flatnonzero(exits).tolist()


def test_ema_cross(candles, close):
    separation = talib.EMA(close, 9) - talib.EMA(close, 21)
    separation[20 - 1] = 0.0  # before its first value the rule takes the averages for equal

    assert_wishes(EmaCrossRule(EmaCrossParameters()), candles, crosses_above(separation), crosses_above(-separation))


def test_macd_trend(candles, close):
    _, _, histogram = talib.MACD(close, 12, 26, 9)

    assert_wishes(MacdTrendRule(MacdTrendParameters()), candles, crosses_above(histogram), crosses_above(-histogram))


def test_rsi_reversion(candles, close):
    rsi = talib.RSI(close, 14)

    assert_wishes(
        RsiReversionRule(RsiReversionParameters()),
        candles,
        (before(rsi) < 30) & (rsi >= 30) & (rsi < 70),
        (before(rsi) < 70) & (rsi >= 70),
    )


def test_bollinger_breakout(candles, close):
    upper, middle, _ = talib.BBANDS(close, 20, 2.0, 2.0)

    assert_wishes(
        BollingerBreakoutRule(BollingerBreakoutParameters()),
        candles,
        crosses_above(close - upper),
        crosses_above(middle - close),
    )


def test_donchian_trend(candles, close, high, low):
    upper, lower = before(talib.MAX(high, 20)), before(talib.MIN(low, 10))

    assert_wishes(
        DonchianTrendRule(DonchianTrendParameters()),
        candles,
        crosses_above(close - upper),
        crosses_above(lower - close),
    )


def test_consensus(candles, close, high, low):
    rsi = talib.RSI(close, 14)
    upper_band, _, lower_band = talib.BBANDS(close, 20, 2.0, 2.0)
    stances = {
        1.0: np.sign(talib.EMA(close, 9) - talib.EMA(close, 21)),
        0.5: (rsi < 30).astype(int) - (rsi >= 70),
        2.0: np.sign(talib.MACD(close, 12, 26, 9)[2]),
        0.25: (close > upper_band).astype(int) - (close < lower_band),
        0.75: np.sign(close - (talib.MAX(high, 20) + talib.MIN(low, 20)) / 2),
    }
    votes = sum(weight * np.nan_to_num(stance) for weight, stance in stances.items())
    score = votes / sum(stances)
    parameters = ConsensusParameters(
        weight_ema_cross=1,
        weight_rsi_reversion=0.5,
        weight_macd_trend=2,
        weight_bollinger_breakout=0.25,
        weight_donchian_trend=0.75,
        entry_score=0.6,
        exit_score=-0.2,
    )

    assert_wishes(
        ConsensusRule(parameters),
        candles,
        (before(score) < 0.6) & (score >= 0.6),
        (before(score) > -0.2) & (score <= -0.2),
    )
