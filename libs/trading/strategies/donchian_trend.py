"""Donchian trend: enter above the highest high of the last candles, exit below the lowest low of fewer.

Source: Donchian's four-week rule, in the form of the Turtles' first system, 20 and 10 periods (Faith, "Way of the
Turtle", 2007).
Invariant: the channel is the one before the candle that breaks it; a break is told on its first candle only.
"""

from dataclasses import dataclass
from math import nan

from libs.trading.indicators import Donchian
from libs.trading.market import Candle
from libs.trading.quality import QualityComponent, breakout_component
from libs.trading.strategies.decisions import HoldReason
from libs.trading.strategies.exits import ExitParameters
from libs.trading.strategies.parameters import period
from libs.trading.strategies.rule import Rule, RuleStrategy, Wish


@dataclass(frozen=True, kw_only=True)
class DonchianTrendParameters(ExitParameters):
    """The parameters of the strategy."""

    donchian_entry: int = period(20, "Candles whose highest high must be exceeded to enter", lowest=2)
    donchian_exit: int = period(10, "Candles whose lowest low must be undercut to exit")

    def require_relations(self) -> None:
        """Refuse an exit that is not sooner than the entry."""
        super().require_relations()
        self.require_less("donchian_exit", "donchian_entry")


class DonchianTrend(RuleStrategy):
    """The strategy for one symbol and interval."""

    name = "donchian_trend"
    idle = HoldReason.NO_BREAKOUT

    def __init__(self, symbol: str, interval_s: int, parameters: DonchianTrendParameters | None = None) -> None:
        chosen = parameters or DonchianTrendParameters()
        super().__init__(symbol, interval_s, chosen, lambda: DonchianTrendRule(chosen))


class DonchianTrendRule(Rule):
    """How far the close stands above the highest of the candles before it, and below the lowest of fewer."""

    __slots__ = ("_above", "_below", "_close", "_entry", "_exit", "_parameters")

    def __init__(self, parameters: DonchianTrendParameters) -> None:
        self._parameters = parameters
        self._entry = Donchian(parameters.donchian_entry)
        self._exit = Donchian(parameters.donchian_exit)
        self._above = self._below = self._close = nan
        super().__init__(window=parameters.donchian_entry + 2, pace=parameters.donchian_entry)

    def update(self, candle: Candle) -> None:
        """Take the next candle."""
        close = candle.close
        above_before, below_before = self._above, self._below
        self._above = close - self._entry.upper
        self._below = self._exit.lower - close
        self._close = close
        if above_before <= 0.0 < self._above:
            self.wish = Wish.ENTER
        elif below_before <= 0.0 < self._below:
            self.wish = Wish.EXIT
        else:
            self.wish = None
        self._entry.update(candle.high, candle.low)
        self._exit.update(candle.high, candle.low)

    @property
    def stance(self) -> int:
        """Return 1 while the close stands in the upper half of the channel, -1 in the lower half."""
        middle = self._entry.middle
        return (self._close > middle) - (self._close < middle)

    def strength(self, atr: float) -> QualityComponent:
        """Return how far beyond the channel the close stands."""
        beyond = self._above if self.wish is Wish.ENTER else self._below
        return breakout_component(beyond / atr if atr else 0.0)

    def reason(self) -> str:
        """Return what the close broke."""
        if self.wish is Wish.ENTER:
            return f"close above the highest high of the {self._parameters.donchian_entry} candles before"
        return f"close below the lowest low of the {self._parameters.donchian_exit} candles before"
