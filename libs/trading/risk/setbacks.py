"""What an account has lost since it was started last: from its peak, and in a row.

Where a day's loss ends trading, a setback only ends entering: the strategy is not what it was, and a person decides
whether it goes on. Their start counts both anew.

Invariant: a setback is reached at exactly its limit; a limit that is not set is reached at once.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from libs.trading.money import exact, is_positive, plain
from libs.trading.risk.case import Refused
from libs.trading.risk.limits import RiskLimits
from libs.trading.risk.missing import missing_limit
from libs.trading.risk.reasons import RefusalReason

_PERCENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setbacks:
    """What is counted of one account.

    Attributes:
        peak: Its highest confirmed equity; zero before the first.
        losing_trips: Round trips in a row that lost, fees included.
    """

    peak: Decimal = Decimal(0)
    losing_trips: int = 0

    def marked(self, equity: Decimal) -> "Setbacks":
        """Return it with one more confirmed equity."""
        return replace(self, peak=equity) if equity > self.peak else self

    def closed(self, pnl: Decimal) -> "Setbacks":
        """Return it with one more round trip; one that neither won nor lost ends no row and lengthens none."""
        if pnl == 0:
            return self
        return replace(self, losing_trips=self.losing_trips + 1 if pnl < 0 else 0)


def drawdown_is_within_limit(setbacks: Setbacks, equity: Decimal, limits: RiskLimits) -> Refused | None:
    """The equity is less than the limit below its peak; before there is a peak, nothing is known to be lost."""
    if (missing := missing_limit(limits, "drawdown_pct_max")) is not None:
        return missing
    if not is_positive(setbacks.peak):
        return None
    with exact():
        drawdown = setbacks.peak - equity
        drawdown_max = setbacks.peak * limits.drawdown_pct_max * _PERCENT
    if drawdown < drawdown_max:
        return None
    return Refused(
        RefusalReason.DRAWDOWN_LIMIT_IS_REACHED,
        f"less than {plain(drawdown_max)} below the peak of {plain(setbacks.peak)}",
        plain(drawdown),
    )


def loss_streak_is_within_limit(setbacks: Setbacks, limits: RiskLimits) -> Refused | None:
    """Fewer round trips in a row than the limit have lost."""
    if (missing := missing_limit(limits, "loss_streak_max")) is not None:
        return missing
    if setbacks.losing_trips < limits.loss_streak_max:
        return None
    return Refused(
        RefusalReason.LOSS_STREAK_LIMIT_IS_REACHED,
        f"fewer than {limits.loss_streak_max} losing round trips in a row",
        f"{setbacks.losing_trips}",
    )
