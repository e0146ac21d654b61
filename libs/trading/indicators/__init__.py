"""Indicators that take one value at a time: constant work and memory for each.

Invariant: an indicator is a pure function of the values it was fed since it was made, bit for bit; inputs are finite.
`window` is the number of candles after which what came before no longer matters for practical purposes.
"""

from libs.trading.indicators.averages import Ema, Sma
from libs.trading.indicators.ranges import Atr, TrueRange
from libs.trading.indicators.volatility import RollingVolatility

__all__ = ["Atr", "Ema", "RollingVolatility", "Sma", "TrueRange"]
