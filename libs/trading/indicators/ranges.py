"""Ranges of candles: how far the price travels.

Invariant: as in TA-Lib, the first candle has no true range, because nothing closed before it.
"""

from collections.abc import Iterable

from libs.trading.indicators.rolling import require_period

# Values after which the seed weighs about (1 - 1/period)^(8 x period) = e^-8 = 0.03 %.
_ATR_WINDOW_PERIODS = 9


class TrueRange:
    """The range of a candle, the gap from the previous close included (Wilder 1978)."""

    __slots__ = ("previous_close", "value", "window")

    def __init__(self) -> None:
        self.previous_close: float | None = None
        self.value: float | None = None
        self.window = 2

    @property
    def is_warm(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    def update(self, high: float, low: float, close: float) -> float | None:
        """Take the next candle and return its true range, None for the first."""
        previous = self.previous_close
        self.previous_close = close
        if previous is not None:
            # max() and min() of two would read better and cost three times as much on the busiest path of a backtest.
            top = high if high > previous else previous  # noqa: FURB136 - speed, see above
            bottom = low if low < previous else previous  # noqa: FURB136 - speed, see above
            self.value = top - bottom
        return self.value


class Atr:
    """Average true range in Wilder's smoothing, seeded with the simple average of the first `period` true ranges."""

    __slots__ = ("_count", "_period", "_seed", "true_range", "value", "window")

    def __init__(self, period: int) -> None:
        require_period(period, lowest=1)
        self._period = period
        self._count = 0
        self._seed = 0.0
        self.true_range = TrueRange()
        self.value: float | None = None
        self.window = _ATR_WINDOW_PERIODS * period + 1

    @property
    def is_warm(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    def update(self, high: float, low: float, close: float) -> float | None:
        """Take the next candle and return the average, None while there is none."""
        true_range = self.true_range.update(high, low, close)
        if self.value is not None and true_range is not None:
            self.value += (true_range - self.value) / self._period
        elif true_range is not None:
            self._count += 1
            self._seed += true_range
            if self._count == self._period:
                self.value = self._seed / self._period
        return self.value

    def update_all(self, highs: Iterable[float], lows: Iterable[float], closes: Iterable[float]) -> None:
        """Take the next candles: the same as one by one, in a third of the time."""
        rest, period = zip(highs, lows, closes, strict=True), self._period
        for first in rest:
            average = self.update(*first)
            if average is None:
                continue
            previous, true_range = first[2], self.true_range.value
            for high, low, close in rest:
                top = high if high > previous else previous  # noqa: FURB136 - speed, as in TrueRange
                bottom = low if low < previous else previous  # noqa: FURB136 - speed, as in TrueRange
                true_range = top - bottom
                average += (true_range - average) / period
                previous = close
            self.value = average
            self.true_range.value, self.true_range.previous_close = true_range, previous
