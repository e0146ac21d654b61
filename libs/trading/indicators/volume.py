"""Volume: at which prices and in which direction it was traded.

Invariant: volumes are not negative; a window in which nothing was traded has no average price.
"""

from libs.trading.indicators.rolling import RollingSum


class Vwap:
    """Volume-weighted average of the typical prices, (high + low + close) / 3, of the last `period` candles.

    It rolls: a market that never closes has no session to begin anew with, and a day of seconds would be a window of
    86,400 candles.
    """

    __slots__ = ("_amount", "_volume", "value", "window")

    def __init__(self, period: int) -> None:
        self._amount = RollingSum(period)
        self._volume = RollingSum(period)
        self.value: float | None = None
        self.window = period

    @property
    def is_warm(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    def update(self, high: float, low: float, close: float, volume: float) -> float | None:
        """Take the next candle and return the average, None while there is none and where nothing was traded."""
        amount = self._amount.update((high + low + close) / 3.0 * volume)
        traded = self._volume.update(volume)
        self.value = None if amount is None or not traded else amount / traded
        return self.value


class Obv:
    """On-balance volume: volumes of rising closes less those of falling ones, from the first candle on (Granville).

    Where it started it keeps for ever, so only its changes mean anything, and it has no window.
    """

    __slots__ = ("_lost", "_previous_close", "_sum", "value")

    def __init__(self) -> None:
        self._previous_close: float | None = None
        self._sum = 0.0
        self._lost = 0.0  # what rounding took from the sum (Neumaier 1974): it would pile up over the years
        self.value: float | None = None

    @property
    def is_warm(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    def update(self, close: float, volume: float) -> float:
        """Take the next candle and return the balance; as in TA-Lib the first candle's volume counts as rising."""
        previous = self._previous_close
        self._previous_close = close
        if previous is None or close > previous:
            self._add(volume)
        elif close < previous:
            self._add(-volume)
        self.value = self._sum + self._lost
        return self.value

    def _add(self, volume: float) -> None:
        total = self._sum + volume
        if abs(self._sum) >= abs(volume):
            self._lost += (self._sum - total) + volume
        else:
            self._lost += (volume - total) + self._sum
        self._sum = total
