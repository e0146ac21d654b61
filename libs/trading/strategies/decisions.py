"""What a strategy can say about a candle.

Invariant: every decision carries its reasons; prices are floats here; `libs.trading.money.to_decimal` makes them money.
"""

from dataclasses import dataclass
from enum import StrEnum

from libs.trading.market import Side
from libs.trading.quality import QualityScore


class HoldReason(StrEnum):
    """Why a strategy does nothing."""

    WARMING_UP = "warming_up"
    AFTER_GAP = "after_gap"
    PAST_CANDLE = "past_candle"
    PARTIAL_CANDLE = "partial_candle"
    IMPLAUSIBLE_CANDLE = "implausible_candle"
    NO_CROSS = "no_cross"
    NO_REVERSAL = "no_reversal"
    NO_BREAKOUT = "no_breakout"
    NO_CONSENSUS = "no_consensus"
    STOPS_ARE_IMPOSSIBLE = "stops_are_impossible"


@dataclass(frozen=True, slots=True)
class Enter:
    """Buy, and protect what was bought with these exits.

    `trailing_distance` is how far below the highest price since the entry the stop follows it (see
    `libs.trading.trailing`); None: it stays where it is.
    """

    symbol: str
    side: Side
    price: float
    stop_loss: float
    take_profit: float
    quality: QualityScore
    reasons: tuple[str, ...]
    trailing_distance: float | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """Close the position if there is one."""

    symbol: str
    price: float
    quality: QualityScore
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hold:
    """Do nothing."""

    reasons: tuple[HoldReason, ...]


Decision = Enter | Exit | Hold
