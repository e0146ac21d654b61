"""Momentum: how one-sided and how fast the price moves.

Invariant: as in TA-Lib, save that a market which did not move at all is neutral (50), where TA-Lib says 0: in a rule
that buys what fell too far, 0 would be the strongest wish to buy.
"""

from math import nan

from libs.trading.indicators.averages import Ema, Sma
from libs.trading.indicators.rolling import NOTHING, RollingExtremes, require_period

_NEUTRAL = 50.0

# Values after which the seed weighs about (1 - 1/period)^(8 x period) = e^-8 = 0.03 %.
_RSI_WINDOW_PERIODS = 9


class Rsi:
    """Relative strength index: the share of the gains in all moves, 0 to 100 (Wilder 1978, with his smoothing)."""

    __slots__ = ("_count", "_gain", "_loss", "_period", "_previous_close", "value", "window")

    def __init__(self, period: int = 14) -> None:
        require_period(period, lowest=2)
        self._period = period
        self._count = 0
        self._gain = 0.0
        self._loss = 0.0
        self._previous_close: float | None = None
        self.value: float | None = None
        self.window = _RSI_WINDOW_PERIODS * period + 1

    @property
    def is_warm(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    def update(self, close: float) -> float | None:
        """Take the next close and return the index, None while there is none."""
        previous = self._previous_close
        self._previous_close = close
        if previous is None:
            return None
        change = close - previous
        gain, loss = (change, 0.0) if change > 0.0 else (0.0, -change)
        period = self._period
        if self._count < period:
            self._count += 1
            self._gain += gain / period
            self._loss += loss / period
            if self._count < period:
                return None
        else:
            self._gain += (gain - self._gain) / period
            self._loss += (loss - self._loss) / period
        moves = self._gain + self._loss
        self.value = 100.0 * self._gain / moves if moves > NOTHING else _NEUTRAL
        return self.value


class Macd:
    """Moving average convergence/divergence: fast less slow average, its own average, and the two's difference.

    Source: Appel, "Technical Analysis: Power Tools for Active Investors" (2005). As in TA-Lib the fast average is
    seeded with the values just before the slow one has its first, so that both begin together. NaN until `is_warm`.
    """

    __slots__ = ("_fast", "_late", "_signal", "_slow", "histogram", "line", "signal", "window")

    def __init__(self, fast: int = 12, slow: int = 26, signal: int = 9) -> None:
        require_period(fast, lowest=1)
        if fast >= slow:
            raise ValueError(f"expected a fast period below the slow one ({slow}), found {fast}")
        self._fast = Ema(fast)
        self._slow = Ema(slow)
        self._signal = Ema(signal)
        self._late = slow - fast
        self.line = self.signal = self.histogram = nan
        self.window = self._slow.window + self._signal.window

    @property
    def is_warm(self) -> bool:
        """Whether there is a histogram."""
        return self._signal.is_warm

    def update(self, close: float) -> None:
        """Take the next close."""
        if self._late:
            self._late -= 1
            fast = None
        else:
            fast = self._fast.update(close)
        slow = self._slow.update(close)
        if fast is None or slow is None:
            return
        self.line = fast - slow
        signal = self._signal.update(self.line)
        if signal is not None:
            self.signal = signal
            self.histogram = self.line - signal


class Stochastic:
    """Slow stochastic oscillator: where in the range of the last candles the close stands, 0 to 100 (Lane 1984).

    `k` is that place averaged over `k_smoothing` candles, `d` the average of `d_period` values of `k`; NaN until
    `is_warm`.
    """

    __slots__ = ("_d", "_extremes", "_k", "d", "k", "window")

    def __init__(self, k_period: int = 5, k_smoothing: int = 3, d_period: int = 3) -> None:
        self._extremes = RollingExtremes(k_period)
        self._k = Sma(k_smoothing)
        self._d = Sma(d_period)
        self.k = self.d = nan
        self.window = k_period + k_smoothing + d_period - 2

    @property
    def is_warm(self) -> bool:
        """Whether there are values."""
        return self._d.is_warm

    def update(self, high: float, low: float, close: float) -> None:
        """Take the next candle."""
        extremes = self._extremes
        extremes.update(high, low)
        if not extremes.is_warm:
            return
        spread = extremes.highest - extremes.lowest
        k = self._k.update(100.0 * (close - extremes.lowest) / spread if spread > 0.0 else _NEUTRAL)
        if k is None:
            return
        d = self._d.update(k)
        if d is not None:
            self.k, self.d = k, d
