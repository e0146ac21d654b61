"""Indicators that take one value at a time: constant work and memory for each.

Invariant: an indicator is a pure function of the values it was fed since it was made, bit for bit; inputs are finite.
`value` is None until there is one; indicators of several parts have NaN in their place, which no comparison holds for.
`window` is the number of candles after which what came before no longer matters for practical purposes.
"""

from libs.trading.indicators.averages import Ema, Sma
from libs.trading.indicators.channels import Donchian
from libs.trading.indicators.direction import Adx
from libs.trading.indicators.momentum import Macd, Rsi, Stochastic
from libs.trading.indicators.ranges import Atr, TrueRange
from libs.trading.indicators.volatility import Bollinger, RollingVolatility
from libs.trading.indicators.volume import Obv, Vwap

__all__ = [
    "Adx",
    "Atr",
    "Bollinger",
    "Donchian",
    "Ema",
    "Macd",
    "Obv",
    "RollingVolatility",
    "Rsi",
    "Sma",
    "Stochastic",
    "TrueRange",
    "Vwap",
]
