"""Volatility: how much returns scatter, and the bands that it draws around the price.

Invariant: never negative and never the residue of cancellation: nothing is subtracted from a sum.
"""

from math import isfinite, log, nan, sqrt

from libs.trading.indicators.rolling import RollingMoments, require_period


class RollingVolatility:
    """Realised volatility: sample standard deviation of the last `period` log returns, per candle (not annualised)."""

    __slots__ = ("_moments", "_period", "_previous_close", "value", "window")

    def __init__(self, period: int) -> None:
        require_period(period, lowest=2)
        self._period = period
        self._moments = RollingMoments(period)
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
        if previous is not None:
            self._moments.update(log(close / previous))
            if self._moments.is_warm:
                self.value = sqrt(self._moments.squares / (self._period - 1))
        return self.value


class Bollinger:
    """Bollinger bands: a simple average and, `deviations` standard deviations of the population off it, two bands.

    Source: Bollinger, "Bollinger on Bollinger Bands" (2001). NaN before `period` values, so that no comparison holds.
    """

    __slots__ = ("_deviations", "_moments", "_period", "deviation", "lower", "middle", "upper", "window")

    def __init__(self, period: int = 20, deviations: float = 2.0) -> None:
        require_period(period, lowest=2)
        if not (isfinite(deviations) and deviations > 0.0):
            raise ValueError(f"expected deviations above 0, found {deviations}")
        self._period = period
        self._deviations = deviations
        self._moments = RollingMoments(period)
        self.middle = self.upper = self.lower = self.deviation = nan
        self.window = period

    @property
    def is_warm(self) -> bool:
        """Whether there are bands."""
        return self._moments.is_warm

    def update(self, close: float) -> None:
        """Take the next close."""
        moments = self._moments
        moments.update(close)
        if moments.is_warm:
            self.middle = moments.mean
            self.deviation = sqrt(moments.squares / self._period)
            self.upper = self.middle + self._deviations * self.deviation
            self.lower = self.middle - self._deviations * self.deviation
