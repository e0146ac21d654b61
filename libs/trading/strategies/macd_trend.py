"""MACD trend: enter when the MACD line crosses above its signal line, exit when it crosses below.

Source: Appel, "Technical Analysis: Power Tools for Active Investors" (2005), chapter 8.
Invariant: each cross is told once, on the candle that completes it.
"""

from dataclasses import dataclass

from libs.trading.indicators import Macd
from libs.trading.market import Candle
from libs.trading.quality import QualityComponent, momentum_component
from libs.trading.strategies.decisions import HoldReason
from libs.trading.strategies.exits import ExitParameters
from libs.trading.strategies.parameters import period
from libs.trading.strategies.rule import Rule, RuleStrategy, Wish


@dataclass(frozen=True, kw_only=True)
class MacdTrendParameters(ExitParameters):
    """The parameters of the strategy."""

    macd_fast: int = period(12, "Period of the fast average, in candles")
    macd_slow: int = period(26, "Period of the slow average, in candles")
    macd_signal: int = period(9, "Period of the signal line, in candles")

    def require_relations(self) -> None:
        """Refuse a fast average that is not faster."""
        super().require_relations()
        self.require_less("macd_fast", "macd_slow")


class MacdTrend(RuleStrategy):
    """The strategy for one symbol and interval."""

    name = "macd_trend"
    idle = HoldReason.NO_CROSS

    def __init__(self, symbol: str, interval_s: int, parameters: MacdTrendParameters | None = None) -> None:
        chosen = parameters or MacdTrendParameters()
        super().__init__(symbol, interval_s, chosen, lambda: MacdTrendRule(chosen))


class MacdTrendRule(Rule):
    """The MACD, whose histogram is the distance of the two lines."""

    __slots__ = ("_macd",)

    def __init__(self, parameters: MacdTrendParameters) -> None:
        self._macd = Macd(parameters.macd_fast, parameters.macd_slow, parameters.macd_signal)
        super().__init__(window=self._macd.window, pace=parameters.macd_slow)

    def update(self, candle: Candle) -> None:
        """Take the next candle."""
        before = self._macd.histogram
        self._macd.update(candle.close)
        now = self._macd.histogram
        if before <= 0.0 < now:
            self.wish = Wish.ENTER
        elif before >= 0.0 > now:
            self.wish = Wish.EXIT
        else:
            self.wish = None

    @property
    def stance(self) -> int:
        """Return 1 while the line is above its signal, -1 while it is below."""
        histogram = self._macd.histogram
        return (histogram > 0.0) - (histogram < 0.0)

    def strength(self, atr: float) -> QualityComponent:
        """Return how fast the lines part."""
        return momentum_component(self._macd.histogram / atr if atr else 0.0)

    def reason(self) -> str:
        """Return which way the lines crossed."""
        return f"MACD crossed {'above' if self._macd.histogram > 0.0 else 'below'} its signal line"
