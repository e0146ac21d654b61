"""Moving averages.

Invariant: `value` is None until `period` values have come, and a number ever after.
"""

from math import fsum

# Values after which the seed weighs about (1 - 2/(period+1))^(4 x period) = e^-8 = 0.03 %.
_EMA_WINDOW_PERIODS = 5


class Ema:
    """Exponential moving average, seeded with the simple average of the first `period` values as TA-Lib does."""

    __slots__ = ("_count", "_period", "_rate", "_seed", "value", "window")

    def __init__(self, period: int) -> None:
        require_period(period, lowest=1)
        self._period = period
        self._rate = 2.0 / (period + 1)
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
            self.value += (value - self.value) * self._rate
        return self.value


class Sma:
    """Simple moving average of the last `period` values."""

    __slots__ = ("_next", "_period", "_sum", "_values", "value", "window")

    def __init__(self, period: int) -> None:
        require_period(period, lowest=1)
        self._period = period
        self._values: list[float] = []
        self._next = 0
        self._sum = 0.0
        self.value: float | None = None
        self.window = period

    @property
    def is_warm(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    def update(self, value: float) -> float | None:
        """Take the next value and return the average, None while there is none."""
        values = self._values
        if len(values) < self._period:
            values.append(value)
        else:
            self._sum += value - values[self._next]
            values[self._next] = value
        self._next += 1
        if self._next == self._period:
            # Once a round the sum is made anew, so that rounding errors cannot pile up: still O(1) a value on average.
            self._next = 0
            self._sum = fsum(values)
        if len(values) == self._period:
            self.value = self._sum / self._period
        return self.value


def require_period(period: int, *, lowest: int) -> None:
    """Refuse a period that no average can have.

    Raises:
        ValueError: `period` is less than `lowest`.
    """
    if period < lowest:
        raise ValueError(f"expected a period of at least {lowest}, found {period}")
