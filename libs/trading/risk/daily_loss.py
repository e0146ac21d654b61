"""The day's loss against its limit.

    loss  = max(equity at the day's start, highest equity of the last 24 h) - equity now, at least 0
    limit = equity at the day's start x daily_loss_limit_pct / 100

The peak stands in the formula so that midnight, which sets a new start, grants no second allowance.

Invariant: trading stops at exactly the limit, not a cent beyond it.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from libs.trading.money import exact, is_positive

_PERCENT = Decimal("0.01")


class DailyLossLevel(StrEnum):
    """How close the loss is to its limit."""

    NORMAL = "NORMAL"
    WARNING = "WARNING"
    EXCEEDED = "EXCEEDED"


@dataclass(frozen=True, slots=True)
class DailyLoss:
    """The loss and its limit in quote currency, and what follows from them."""

    loss: Decimal
    limit: Decimal
    level: DailyLossLevel

    @property
    def fraction(self) -> Decimal:
        """The part of the limit that is used up; 1 is the stop."""
        return self.loss / self.limit


def daily_loss(
    equity: Decimal,
    day_start_equity: Decimal,
    peak_24h_equity: Decimal,
    daily_loss_limit_pct: Decimal,
    warning_fraction: Decimal = Decimal("0.8"),
) -> DailyLoss:
    """Return the day's loss and its level.

    Args:
        equity: Now, marked to market; may be zero or below.
        day_start_equity: The day's baseline, above zero.
        peak_24h_equity: The highest equity of the last 24 hours, transfers excluded.
        daily_loss_limit_pct: In percent of the baseline, above zero.
        warning_fraction: The part of the limit from which on the level is WARNING.

    Raises:
        ValueError: The baseline or the limit is not a number above zero.
    """
    if not (is_positive(day_start_equity) and is_positive(daily_loss_limit_pct)):
        raise ValueError(
            f"expected a baseline and a limit above zero, found {day_start_equity} and {daily_loss_limit_pct} %"
        )
    with exact():
        loss = max(day_start_equity - equity, peak_24h_equity - equity, Decimal(0))
        limit = day_start_equity * daily_loss_limit_pct * _PERCENT
        if loss >= limit:
            level = DailyLossLevel.EXCEEDED
        elif loss >= limit * warning_fraction:
            level = DailyLossLevel.WARNING
        else:
            level = DailyLossLevel.NORMAL
    return DailyLoss(loss, limit, level)
