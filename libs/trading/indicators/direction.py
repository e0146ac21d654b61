"""Direction: whether there is a trend, and which.

Invariant: as in TA-Lib: the sums that are smoothed begin with `period - 1` candles, the index with the average of
`period` movements.
"""

from math import nan

from libs.trading.indicators.ranges import TrueRange
from libs.trading.indicators.rolling import NOTHING, require_period

# Wilder's smoothing twice, one after the other: both seeds must have lost their weight (see `Atr`).
_ADX_WINDOW_PERIODS = 18


class Adx:
    """Average directional index, 0 to 100: how strong a trend is, whichever its direction (Wilder 1978).

    `plus` and `minus` are the directional indicators behind it, NaN before there are any.
    """

    __slots__ = (
        "_count",
        "_minus_movement",
        "_period",
        "_plus_movement",
        "_previous_high",
        "_previous_low",
        "_range",
        "_seed",
        "_true_range",
        "minus",
        "plus",
        "value",
        "window",
    )

    def __init__(self, period: int = 14) -> None:
        require_period(period, lowest=2)
        self._period = period
        self._true_range = TrueRange()
        self._count = 0
        self._previous_high = 0.0
        self._previous_low = 0.0
        self._plus_movement = 0.0
        self._minus_movement = 0.0
        self._range = 0.0
        self._seed = 0.0
        self.plus = self.minus = nan
        self.value: float | None = None
        self.window = _ADX_WINDOW_PERIODS * period + 1

    @property
    def is_warm(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    def update(self, high: float, low: float, close: float) -> float | None:
        """Take the next candle and return the index, None while there is none."""
        true_range = self._true_range.update(high, low, close)
        up, down = high - self._previous_high, self._previous_low - low
        self._previous_high, self._previous_low = high, low
        if true_range is None:
            return None
        self._count += 1
        keep = 1.0 if self._count < self._period else 1.0 - 1.0 / self._period
        self._plus_movement = self._plus_movement * keep + (up if up > down and up > 0.0 else 0.0)
        self._minus_movement = self._minus_movement * keep + (down if down > up and down > 0.0 else 0.0)
        self._range = self._range * keep + true_range
        if self._count >= self._period:
            self._average(self._movement())
        return self.value

    def _movement(self) -> float | None:
        """Return how one-sided the movements are, 0 to 100; None where nothing moved."""
        if self._range <= NOTHING:
            return None
        self.plus = 100.0 * self._plus_movement / self._range
        self.minus = 100.0 * self._minus_movement / self._range
        both = self.plus + self.minus
        return 100.0 * abs(self.plus - self.minus) / both if both > NOTHING else None

    def _average(self, movement: float | None) -> None:
        if self.value is not None:
            if movement is not None:
                self.value += (movement - self.value) / self._period
            return
        self._seed += movement or 0.0
        if self._count == 2 * self._period - 1:
            self.value = self._seed / self._period
