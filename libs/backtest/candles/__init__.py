"""Recorded candles: read from a file or from what ships with the project, checked, and kept in columns.

Invariant: what comes out of here is complete and believable: times rise and lie on the interval, prices are numbers
above zero with low <= open, close <= high. Missing candles stay missing; they are counted, never invented.
"""

from libs.backtest.candles.columns import Candles, Gap
from libs.backtest.candles.errors import CandlesError
from libs.backtest.candles.reading import read_candles
from libs.backtest.candles.shipped import shipped_candles

__all__ = ["Candles", "CandlesError", "Gap", "read_candles", "shipped_candles"]
