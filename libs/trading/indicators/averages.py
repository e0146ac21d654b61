"""Moving averages.

Invariant: `value` is None until `period` values have come, and a number ever after.
"""

from collections.abc import Iterable

from libs.trading.indicators.rolling import RollingSum, require_period

# Values after which the seed weighs about (1 - 2/(period+1))^(4 x period) = e^-8 = 0.03 %.
_EMA_WINDOW_PERIODS = 5


class Ema:
    """Exponential moving average, seeded with the simple average of the first `period` values as TA-Lib does."""

    __slots__ = ("_count", "_period", "_seed", "rate", "value", "window")

    def __init__(self, period: int) -> None:
        require_period(period, lowest=1)
        self._period = period
        self.rate = 2.0 / (period + 1)  # what a new value weighs
        self._count = 0
        self._seed = 0.0
        self.value: float | None = None
        self.window = _EMA_WINDOW_PERIODS * period

    @property
    def is_warm(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    def update(self, value: float) -> float | None:
        """Take the next value and return the average, None while there is none."""
        if self.value is None:
            self._count += 1
            self._seed += value
            if self._count == self._period:
                self.value = self._seed / self._period
        else:
            self.value += (value - self.value) * self.rate
        return self.value

    def update_all(self, values: Iterable[float]) -> None:
        """Take the next values: the same as one by one, in a third of the time."""
        rest, rate = iter(values), self.rate
        for first in rest:
            average = self.update(first)
            if average is None:
                continue
            for value in rest:
                average += (value - average) * rate
            self.value = average


class Sma:
    """Simple moving average of the last `period` values."""

    __slots__ = ("_period", "_sum", "value", "window")

    def __init__(self, period: int) -> None:
        self._period = period
        self._sum = RollingSum(period)
        self.value: float | None = None
        self.window = period

    @property
    def is_warm(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    def update(self, value: float) -> float | None:
        """Take the next value and return the average, None while there is none."""
        total = self._sum.update(value)
        if total is not None:
            self.value = total / self._period
        return self.value
