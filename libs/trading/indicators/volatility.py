"""Volatility: how much returns scatter.

Invariant: never negative and never the residue of cancellation: the moments are made anew once a round.
"""

from math import fsum, log, sqrt

from libs.trading.indicators.averages import require_period


class RollingVolatility:
    """Sample standard deviation of the last `period` log returns, per candle (not annualised)."""

    __slots__ = ("_mean", "_next", "_period", "_previous_close", "_returns", "_squares", "value", "window")

    def __init__(self, period: int) -> None:
        require_period(period, lowest=2)
        self._period = period
        self._returns: list[float] = []
        self._next = 0
        self._mean = 0.0
        self._squares = 0.0  # sum of squared distances from the mean
        self._previous_close: float | None = None
        self.value: float | None = None
        self.window = period + 1

    @property
    def is_warm(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    def update(self, close: float) -> float | None:
        """Take the next close, above zero, and return the volatility, None while there is none."""
        previous = self._previous_close
        self._previous_close = close
        if previous is None:
            return None
        self._add(log(close / previous))
        if len(self._returns) == self._period:
            self.value = sqrt(max(self._squares, 0.0) / (self._period - 1))
        return self.value

    def _add(self, log_return: float) -> None:
        if len(self._returns) < self._period:
            self._returns.append(log_return)
        else:
            # Welford's update with one value leaving for each that comes.
            leaving = self._returns[self._next]
            mean = self._mean + (log_return - leaving) / self._period
            self._squares += (log_return - leaving) * (log_return - mean + leaving - self._mean)
            self._mean = mean
            self._returns[self._next] = log_return
        self._next += 1
        if self._next == self._period:
            self._next = 0
            self._mean = fsum(self._returns) / self._period
            self._squares = fsum((value - self._mean) ** 2 for value in self._returns)
