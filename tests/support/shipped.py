"""The shipped candles, read once: every test that wants them wants the same."""

from functools import cache

from libs.backtest.candles import Candles, shipped_candles


@cache
def the_shipped_candles() -> Candles:
    """Return three months of one-minute candles; not to be changed."""
    return shipped_candles()
