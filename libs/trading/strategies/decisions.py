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
    STOPS_ARE_IMPOSSIBLE = "stops_are_impossible"


@dataclass(frozen=True, slots=True)
class Enter:
    """Buy, and protect what was bought with these exits."""

    symbol: str
    side: Side
    price: float
    stop_loss: float
    take_profit: float
    quality: QualityScore
    reasons: tuple[str, ...]


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
