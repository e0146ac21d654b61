"""Channels: the extremes of the last candles.

Invariant: an extreme is one of the values that came, exactly; NaN before there are `period`, so that no comparison
holds.
"""

from math import nan

from libs.trading.indicators.rolling import RollingExtremes


class Donchian:
    """Donchian channel: the highest high and the lowest low of the last `period` candles, the newest one included.

    A breakout is measured against the channel as it was before the candle that breaks out.
    """

    __slots__ = ("_extremes", "lower", "middle", "upper", "window")

    def __init__(self, period: int = 20) -> None:
        self._extremes = RollingExtremes(period)
        self.upper = self.lower = self.middle = nan
        self.window = period

    @property
    def is_warm(self) -> bool:
        """Whether there is a channel."""
        return self._extremes.is_warm

    def update(self, high: float, low: float) -> None:
        """Take the next candle."""
        extremes = self._extremes
        extremes.update(high, low)
        self.upper, self.lower = extremes.highest, extremes.lowest
        self.middle = (self.upper + self.lower) / 2.0
