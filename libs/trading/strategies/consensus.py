"""Weighted consensus: enter when enough of the other rules hold that the market rises, exit when too few do.

Each rule's stance is 1 (rising), 0 or -1 (falling); the score is their average by weight. The trend followers agree
often, the reversion objects to what is overbought: with equal weights and an entry at 0.5 three must be for it with
none against, or four with one against.
Source: combination of forecasts by weighted average (Bates and Granger, "The combination of forecasts", 1969).
Invariant: the score is a function of the stances alone; a rule without weight is not computed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import fsum

from libs.trading.market import Candle
from libs.trading.quality import QualityComponent, agreement_component
from libs.trading.strategies.bollinger_breakout import BollingerBreakoutParameters, BollingerBreakoutRule
from libs.trading.strategies.decisions import HoldReason
from libs.trading.strategies.donchian_trend import DonchianTrendParameters, DonchianTrendRule
from libs.trading.strategies.ema_cross import EmaCrossParameters, EmaCrossRule
from libs.trading.strategies.macd_trend import MacdTrendParameters, MacdTrendRule
from libs.trading.strategies.parameters import Numbers, parameter
from libs.trading.strategies.rsi_reversion import RsiReversionParameters, RsiReversionRule
from libs.trading.strategies.rule import Rule, RuleStrategy, Wish

_WEIGHTS = Numbers(0, 100, with_bounds=True)
_SCORE_PLACES = 9  # so that weights of 0.1 and 0.2 reach a threshold of 0.3


@dataclass(frozen=True, kw_only=True)
class ConsensusParameters(
    EmaCrossParameters,
    RsiReversionParameters,
    MacdTrendParameters,
    BollingerBreakoutParameters,
    DonchianTrendParameters,
):
    """The parameters of the strategy: weights and thresholds, and those of the rules."""

    weight_ema_cross: float = parameter(1.0, "Weight of the EMA cross; 0: not asked", _WEIGHTS)
    weight_rsi_reversion: float = parameter(1.0, "Weight of the RSI reversion; 0: not asked", _WEIGHTS)
    weight_macd_trend: float = parameter(1.0, "Weight of the MACD trend; 0: not asked", _WEIGHTS)
    weight_bollinger_breakout: float = parameter(1.0, "Weight of the Bollinger breakout; 0: not asked", _WEIGHTS)
    weight_donchian_trend: float = parameter(1.0, "Weight of the Donchian trend; 0: not asked", _WEIGHTS)
    entry_score: float = parameter(0.5, "Enter when the score rises to this", Numbers(0, 1, with_bounds=True))
    exit_score: float = parameter(0.0, "Exit when the score falls to this", Numbers(-1, 1, with_bounds=True))

    def require_relations(self) -> None:
        """Refuse thresholds in the wrong order, and weights that are all zero."""
        super().require_relations()
        self.require_less("exit_score", "entry_score")
        if not any(self.weights.values()):
            raise ValueError(f"{', '.join(self.weights)}: expected at least one above 0, found none")

    @property
    def weights(self) -> dict[str, float]:
        """The weights by the names of their parameters."""
        return {name: value for name, value in vars(self).items() if name.startswith("weight_")}


class Consensus(RuleStrategy):
    """The strategy for one symbol and interval."""

    name = "consensus"
    idle = HoldReason.NO_CONSENSUS

    def __init__(self, symbol: str, interval_s: int, parameters: ConsensusParameters | None = None) -> None:
        chosen = parameters or ConsensusParameters()
        super().__init__(symbol, interval_s, chosen, lambda: ConsensusRule(chosen))


class ConsensusRule(Rule):
    """The rules that are asked, with their weights, and their score."""

    __slots__ = ("_parameters", "_score", "_voices", "_weight_total")

    def __init__(self, parameters: ConsensusParameters) -> None:
        self._parameters = parameters
        voices: tuple[tuple[float, Callable[[ConsensusParameters], Rule]], ...] = (
            (parameters.weight_ema_cross, EmaCrossRule),
            (parameters.weight_rsi_reversion, RsiReversionRule),
            (parameters.weight_macd_trend, MacdTrendRule),
            (parameters.weight_bollinger_breakout, BollingerBreakoutRule),
            (parameters.weight_donchian_trend, DonchianTrendRule),
        )
        self._voices = [(weight, create(parameters)) for weight, create in voices if weight]
        self._weight_total = fsum(weight for weight, _ in self._voices)
        self._score = 0.0
        rules = [rule for _, rule in self._voices]
        super().__init__(window=max(rule.window for rule in rules) + 1, pace=max(rule.pace for rule in rules))

    def update(self, candle: Candle) -> None:
        """Take the next candle."""
        for _, rule in self._voices:
            rule.update(candle)
        before = self._score
        votes = fsum(weight * rule.stance for weight, rule in self._voices)
        self._score = now = round(votes / self._weight_total, _SCORE_PLACES)
        if before < self._parameters.entry_score <= now:
            self.wish = Wish.ENTER
        elif before > self._parameters.exit_score >= now:
            self.wish = Wish.EXIT
        else:
            self.wish = None

    @property
    def stance(self) -> int:
        """Return 1 from the score of an entry on, -1 down from the score of an exit."""
        return (self._score >= self._parameters.entry_score) - (self._score <= self._parameters.exit_score)

    def strength(self, atr: float) -> QualityComponent:  # noqa: ARG002 - votes have no unit
        """Return how much the rules agree."""
        return agreement_component(self._score if self.wish is Wish.ENTER else -self._score)

    def reason(self) -> str:
        """Return the score, and what each rule holds."""
        held = ", ".join(f"{type(rule).__name__.removesuffix('Rule')} {rule.stance:+d}" for _, rule in self._voices)
        return f"consensus {self._score:+.2f}: {held}"
