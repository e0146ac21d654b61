"""RSI reversion: enter when the index climbs back out of oversold, exit when it has come to overbought.

Source: Wilder, "New Concepts in Technical Trading Systems" (1978), section VI: a bottom is where the index turns back
above 30. The exit does not wait for the index to fall back below 70: what was bought for the way back has then come.
Invariant: each crossing is told once, on the candle that completes it.
"""

from dataclasses import dataclass
from math import nan

from libs.trading.indicators import Rsi
from libs.trading.market import Candle
from libs.trading.quality import QualityComponent, reversal_component
from libs.trading.strategies.decisions import HoldReason
from libs.trading.strategies.exits import ExitParameters
from libs.trading.strategies.parameters import Numbers, parameter, period
from libs.trading.strategies.rule import Rule, RuleStrategy, Wish


@dataclass(frozen=True, kw_only=True)
class RsiReversionParameters(ExitParameters):
    """The parameters of the strategy."""

    rsi_period: int = period(14, "Period of the index, in candles", lowest=2)
    rsi_oversold: float = parameter(30.0, "The index below which the market is oversold", Numbers(0, 100))
    rsi_overbought: float = parameter(70.0, "The index above which the market is overbought", Numbers(0, 100))

    def require_relations(self) -> None:
        """Refuse levels in the wrong order."""
        super().require_relations()
        self.require_less("rsi_oversold", "rsi_overbought")


class RsiReversion(RuleStrategy):
    """The strategy for one symbol and interval."""

    name = "rsi_reversion"
    idle = HoldReason.NO_REVERSAL

    def __init__(self, symbol: str, interval_s: int, parameters: RsiReversionParameters | None = None) -> None:
        chosen = parameters or RsiReversionParameters()
        super().__init__(symbol, interval_s, chosen, lambda: RsiReversionRule(chosen))


class RsiReversionRule(Rule):
    """The index now and a candle ago."""

    __slots__ = ("_before", "_now", "_parameters", "_rsi")

    def __init__(self, parameters: RsiReversionParameters) -> None:
        self._parameters = parameters
        self._rsi = Rsi(parameters.rsi_period)
        self._before = self._now = nan
        super().__init__(window=self._rsi.window, pace=parameters.rsi_period)

    def update(self, candle: Candle) -> None:
        """Take the next candle."""
        self._before = self._now
        value = self._rsi.update(candle.close)
        self.wish = None
        if value is None:
            return
        self._now = value
        if self._before < self._parameters.rsi_overbought <= value:
            self.wish = Wish.EXIT  # also when it jumped through both levels: there is no way back left
        elif self._before < self._parameters.rsi_oversold <= value:
            self.wish = Wish.ENTER

    @property
    def stance(self) -> int:
        """Return 1 while the market is oversold, -1 while it is overbought."""
        return (self._now < self._parameters.rsi_oversold) - (self._now >= self._parameters.rsi_overbought)

    def strength(self, atr: float) -> QualityComponent:  # noqa: ARG002 - the index has no unit
        """Return how far beyond its level the index was: before it climbed back, or now that it is overbought."""
        if self.wish is Wish.ENTER:
            return reversal_component(self._parameters.rsi_oversold - self._before)
        return reversal_component(self._now - self._parameters.rsi_overbought)

    def reason(self) -> str:
        """Return which level the index crossed."""
        way = "back above oversold" if self.wish is Wish.ENTER else "above overbought"
        level = self._parameters.rsi_oversold if self.wish is Wish.ENTER else self._parameters.rsi_overbought
        return f"RSI {self._parameters.rsi_period} crossed {way} {level:g}: {self._before:.1f}, now {self._now:.1f}"
