"""What makes a market unfit to be traded on, from its trades, quotes and candles.

Invariant: a condition begins at once and ends only after it has been absent for the whole calm time; what cannot be
judged for lack of data is judged by its age alone.
"""

from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from libs.common.contracts.vocabulary import MarketCondition
from libs.trading.indicators import RollingVolatility

VOLATILITY_MINUTES: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """From when on a market is not calm; rates are fractions."""

    data_age_ms_max: int
    volatility_rate_max: Decimal
    spread_rate_max: Decimal
    jump_rate_max: Decimal
    jump_window_s: int
    clock_skew_ms_max: int
    calm_after_s: int


class PriceRange:
    """Lowest and highest price of the last seconds, in one bucket a second."""

    def __init__(self, window_s: int) -> None:
        self._buckets: deque[tuple[int, Decimal, Decimal]] = deque(maxlen=window_s + 1)

    def over(self, window_s: int) -> "PriceRange":
        """Return the same prices over another window."""
        resized = PriceRange(window_s)
        resized._buckets.extend(self._buckets)
        return resized

    def on_price(self, price: Decimal, at_ms: int) -> None:
        """Take the next price."""
        second = at_ms // 1000
        if self._buckets and self._buckets[-1][0] >= second:
            last, low, high = self._buckets[-1]
            self._buckets[-1] = (last, min(low, price), max(high, price))
        else:
            self._buckets.append((second, price, price))

    def move_rate(self, now_ms: int, window_s: int) -> Decimal:
        """Return the greatest move within the window as a fraction of its lowest price; 0 without prices."""
        oldest = now_ms // 1000 - window_s
        seen = [(low, high) for second, low, high in self._buckets if second >= oldest]
        if not seen:
            return Decimal(0)
        lowest = min(low for low, _ in seen)
        return (max(high for _, high in seen) - lowest) / lowest


class AnomalyDetector:
    """Watches one symbol."""

    def __init__(self, thresholds: Thresholds, *, now_ms: int) -> None:
        self._thresholds = thresholds
        self._range = PriceRange(thresholds.jump_window_s)
        self._volatility = RollingVolatility(VOLATILITY_MINUTES)
        self._minute_ms = -1
        self._bid: Decimal | None = None
        self._ask: Decimal | None = None
        self._arrived_at_ms = now_ms
        self._seen_at_ms: dict[MarketCondition, int] = {}

    def configure(self, thresholds: Thresholds) -> None:
        """Judge by new thresholds from now on; a longer window fills as prices come."""
        if thresholds.jump_window_s != self._thresholds.jump_window_s:
            self._range = self._range.over(thresholds.jump_window_s)
        self._thresholds = thresholds

    @property
    def bid(self) -> Decimal | None:
        """The best bid, once known."""
        return self._bid

    @property
    def ask(self) -> Decimal | None:
        """The best ask, once known."""
        return self._ask

    @property
    def spread_rate(self) -> Decimal | None:
        """The spread as a fraction of the mid, rounded to 10^-8; None until a quote came."""
        if self._bid is None or self._ask is None:
            return None
        return ((self._ask - self._bid) * 2 / (self._ask + self._bid)).quantize(_RATE_STEP)

    @property
    def volatility_rate(self) -> Decimal | None:
        """Standard deviation of one-minute log returns, rounded to 10^-8; None until there are enough minutes."""
        value = self._volatility.value
        return None if value is None else Decimal(repr(value)).quantize(_RATE_STEP)

    def data_age_ms(self, now_ms: int) -> int:
        """Return the age of the newest trade or quote; before the first, the time waited for one."""
        return max(0, now_ms - self._arrived_at_ms)

    def on_trade(self, price: Decimal, now_ms: int) -> None:
        """Take a trade that has just arrived."""
        self._arrived_at_ms = now_ms
        self._range.on_price(price, now_ms)

    def on_quote(self, bid: Decimal, ask: Decimal, now_ms: int) -> None:
        """Take a quote that has just arrived."""
        self._arrived_at_ms = now_ms
        self._bid, self._ask = bid, ask

    def on_minute(self, open_at_ms: int, close: Decimal) -> None:
        """Take a closed candle of one minute; one that is not newer than the last is passed over."""
        if open_at_ms > self._minute_ms:
            self._minute_ms = open_at_ms
            self._volatility.update(float(close))

    def miss_trades(self, now_ms: int) -> None:
        """Take note that trades were missed."""
        self._seen_at_ms[MarketCondition.TRADES_MISSED] = now_ms

    def conditions(self, now_ms: int, *, skew_ms: int) -> tuple[MarketCondition, ...]:
        """Return what keeps the market from being calm, in the order of the vocabulary."""
        for condition, is_present in self._present(now_ms, skew_ms):
            if is_present:
                self._seen_at_ms[condition] = now_ms
        calm_after_ms = self._thresholds.calm_after_s * 1000
        seen_at_ms = self._seen_at_ms
        return tuple(
            condition
            for condition in MarketCondition
            if condition in seen_at_ms and now_ms - seen_at_ms[condition] < calm_after_ms
        )

    def _present(self, now_ms: int, skew_ms: int) -> tuple[tuple[MarketCondition, bool], ...]:
        limits = self._thresholds
        spread_rate = self.spread_rate
        volatility_rate = self.volatility_rate
        move_rate = self._range.move_rate(now_ms, limits.jump_window_s)
        return (
            (MarketCondition.STALE_DATA, self.data_age_ms(now_ms) > limits.data_age_ms_max),
            (MarketCondition.PRICE_JUMP, move_rate > limits.jump_rate_max),
            (
                MarketCondition.HIGH_VOLATILITY,
                volatility_rate is not None and volatility_rate > limits.volatility_rate_max,
            ),
            (MarketCondition.WIDE_SPREAD, spread_rate is not None and spread_rate > limits.spread_rate_max),
            (MarketCondition.CROSSED_BOOK, spread_rate is not None and spread_rate <= 0),
            (MarketCondition.CLOCK_SKEW, abs(skew_ms) > limits.clock_skew_ms_max),
        )


_RATE_STEP: Final = Decimal("0.00000001")
