"""Bollinger breakout: enter when the close breaks out above the upper band, exit when it falls below the middle.

Source: Bollinger, "Bollinger on Bollinger Bands" (2001), method I (volatility breakout).
Invariant: each break is told once, on the candle that makes it; the bands are those that include that candle.
"""

from dataclasses import dataclass
from math import nan

from libs.trading.indicators import Bollinger
from libs.trading.market import Candle
from libs.trading.quality import QualityComponent, breakout_component
from libs.trading.strategies.decisions import HoldReason
from libs.trading.strategies.exits import ExitParameters
from libs.trading.strategies.parameters import Numbers, parameter, period
from libs.trading.strategies.rule import Rule, RuleStrategy, Wish


@dataclass(frozen=True, kw_only=True)
class BollingerBreakoutParameters(ExitParameters):
    """The parameters of the strategy."""

    bollinger_period: int = period(20, "Period of the bands, in candles", lowest=2)
    bollinger_deviations: float = parameter(
        2.0, "Distance of the bands from their middle, in standard deviations", Numbers(0, 10)
    )


class BollingerBreakout(RuleStrategy):
    """The strategy for one symbol and interval."""

    name = "bollinger_breakout"
    idle = HoldReason.NO_BREAKOUT

    def __init__(self, symbol: str, interval_s: int, parameters: BollingerBreakoutParameters | None = None) -> None:
        chosen = parameters or BollingerBreakoutParameters()
        super().__init__(symbol, interval_s, chosen, lambda: BollingerBreakoutRule(chosen))


class BollingerBreakoutRule(Rule):
    """How far the close stands above the upper band, above the middle and below the lower band."""

    __slots__ = ("_above_middle", "_above_upper", "_bands", "_below_lower")

    def __init__(self, parameters: BollingerBreakoutParameters) -> None:
        self._bands = Bollinger(parameters.bollinger_period, parameters.bollinger_deviations)
        self._above_upper = self._above_middle = self._below_lower = nan
        super().__init__(window=parameters.bollinger_period + 1, pace=parameters.bollinger_period)

    def update(self, candle: Candle) -> None:
        """Take the next candle."""
        close, bands = candle.close, self._bands
        upper_before, middle_before = self._above_upper, self._above_middle
        bands.update(close)
        self._above_upper = close - bands.upper
        self._above_middle = close - bands.middle
        self._below_lower = bands.lower - close
        if upper_before <= 0.0 < self._above_upper:
            self.wish = Wish.ENTER
        elif middle_before >= 0.0 > self._above_middle:
            self.wish = Wish.EXIT
        else:
            self.wish = None

    @property
    def stance(self) -> int:
        """Return 1 while the close is above the upper band, -1 while it is below the lower one."""
        return (self._above_upper > 0.0) - (self._below_lower > 0.0)

    def strength(self, atr: float) -> QualityComponent:
        """Return how far beyond the band, or below the middle, the close stands."""
        beyond = self._above_upper if self.wish is Wish.ENTER else -self._above_middle
        return breakout_component(beyond / atr if atr else 0.0)

    def reason(self) -> str:
        """Return what the close broke."""
        if self.wish is Wish.ENTER:
            return f"close broke out above the upper Bollinger band {self._bands.upper:.8g}"
        return f"close fell below the middle of the Bollinger bands {self._bands.middle:.8g}"
