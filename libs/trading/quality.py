"""How good a rule's signal looks, in points that anyone can add up.

Invariant: a score is the share of the points that its named, bounded components earned. It is a rule's own number: not
a probability, not calibrated, and never stored or shown as a confidence.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QualityComponent:
    """One aspect of a signal: its points out of the most it can earn, and what they were given for."""

    name: str
    points: float
    points_max: float
    observed: str

    def __str__(self) -> str:
        return f"{self.name} {self.points:.0f}/{self.points_max:.0f}: {self.observed}"


@dataclass(frozen=True, slots=True)
class QualityScore:
    """A whole number from 0 to 100, and one reason for each component of it."""

    value: int
    reasons: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 100:  # noqa: PLR2004 - the scale is the definition
            raise ValueError(f"expected a quality score from 0 to 100, found {self.value}")

    @classmethod
    def of(cls, components: Sequence[QualityComponent]) -> "QualityScore":
        """Return the score of `components`: 100 x points earned / points that could be earned."""
        earned = sum(component.points for component in components)
        possible = sum(component.points_max for component in components)
        return cls(round(100 * earned / possible), tuple(map(str, components)))


def trend_component(separation_atr: float) -> QualityComponent:
    """Score how far the averages have parted: 0 at none, 30 points from a quarter of an average true range on."""
    points = 30 * _ramp(abs(separation_atr), 0.0, 0.25)
    return QualityComponent("trend", points, 30, f"averages {separation_atr:+.2f} ATR apart")


def momentum_component(histogram_atr: float) -> QualityComponent:
    """Score how fast the MACD leaves its signal line: 0 at none, 30 points from a tenth of an average range on."""
    points = 30 * _ramp(abs(histogram_atr), 0.0, 0.1)
    return QualityComponent("momentum", points, 30, f"MACD {histogram_atr:+.3f} ATR from its signal line")


def reversal_component(beyond: float) -> QualityComponent:
    """Score how far beyond its level an index of 0 to 100 went: 0 at none, 30 points from 10 on."""
    return QualityComponent("reversal", 30 * _ramp(beyond, 0.0, 10.0), 30, f"RSI {beyond:.1f} beyond its level")


def breakout_component(beyond_atr: float) -> QualityComponent:
    """Score how far beyond its bound the price broke out: 0 at none, 30 points from half an average range on."""
    return QualityComponent("breakout", 30 * _ramp(beyond_atr, 0.0, 0.5), 30, f"{beyond_atr:.2f} ATR beyond the bound")


def agreement_component(score: float) -> QualityComponent:
    """Score how much the rules agree: 0 at a score of 0, 30 points when all do."""
    return QualityComponent("agreement", 30 * _ramp(score, 0.0, 1.0), 30, f"score {score:+.2f}")


def volatility_component(true_range_atr: float) -> QualityComponent:
    """Score the calm of the deciding candle: 25 points up to 1.5 average true ranges, 0 from 4 on (a shock)."""
    points = 25 * (1 - _ramp(true_range_atr, 1.5, 4.0))
    return QualityComponent("volatility", points, 25, f"candle of {true_range_atr:.2f} ATR")


def reward_component(reward_rate: float, cost_rate: float) -> QualityComponent:
    """Score the hoped-for move against fees and spread of the round trip: 0 at their size, 25 points from 3 x on."""
    ratio = reward_rate / cost_rate
    return QualityComponent(
        "reward", 25 * _ramp(ratio, 1.0, 3.0), 25, f"target {ratio:.2f} x the costs of a round trip"
    )


def volume_component(volume_ratio: float) -> QualityComponent:
    """Score the volume behind the candle: 0 at half of the average, 20 points from 1.5 x on."""
    points = 20 * _ramp(volume_ratio, 0.5, 1.5)
    return QualityComponent("volume", points, 20, f"volume {volume_ratio:.2f} x its average")


def _ramp(value: float, lowest: float, highest: float) -> float:
    """Map `value` to 0..1: 0 up to `lowest`, 1 from `highest` on, a straight line between."""
    return min(max((value - lowest) / (highest - lowest), 0.0), 1.0)
