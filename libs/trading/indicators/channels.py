"""Channels: the extremes of the last candles.

Invariant: an extreme is one of the values that came, exactly; NaN before there are `period`, so that no comparison
holds.
"""

from math import nan

from libs.trading.indicators.rolling import Highest, Lowest


class Donchian:
    """Donchian channel: the highest high and the lowest low of the last `period` candles, the newest one included.

    A breakout is measured against the channel as it was before the candle that breaks out.
    """

    __slots__ = ("_highest", "_lowest", "lower", "middle", "upper", "window")

    def __init__(self, period: int = 20) -> None:
        self._highest = Highest(period)
        self._lowest = Lowest(period)
        self.upper = self.lower = self.middle = nan
        self.window = period

    @property
    def is_warm(self) -> bool:
        """Whether there is a channel."""
        return self._highest.value is not None

    def update(self, high: float, low: float) -> None:
        """Take the next candle."""
        highest = self._highest.update(high)
        lowest = self._lowest.update(low)
        if highest is not None and lowest is not None:
            self.upper, self.lower = highest, lowest
            self.middle = (highest + lowest) / 2.0
