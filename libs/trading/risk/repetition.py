"""Repeated execution: a strategy that enters and is thrown out again before it could decide anything.

A round trip is a repetition if it opened and closed within one decision candle: the strategy made no decision between
its entry and its exit. A few in a row are bad luck; many are a loop that pays fees for ever, and only a person lets the
strategy enter again (Commission Delegated Regulation (EU) 2017/589, Article 15(3)).

Invariant: a round trip in which the strategy had its say ends the row.
"""

from datetime import datetime, timedelta

from libs.trading.risk.case import Refused
from libs.trading.risk.limits import RiskLimits
from libs.trading.risk.missing import missing_limit
from libs.trading.risk.reasons import RefusalReason


def repetitions_after(repetitions: int, *, opened_at: datetime, closed_at: datetime, decision_interval_s: int) -> int:
    """Return how many round trips in a row were repetitions, with one more that closed.

    Args:
        repetitions: Those before it.
        opened_at: When its position opened.
        closed_at: When its position closed.
        decision_interval_s: Length of the candles on which the strategy decides.
    """
    is_repetition = closed_at - opened_at < timedelta(seconds=decision_interval_s)
    return repetitions + 1 if is_repetition else 0


def execution_is_not_repeated(repetitions: int, limits: RiskLimits) -> Refused | None:
    """Fewer round trips in a row than the limit were repetitions."""
    if (missing := missing_limit(limits, "repeated_trips_max")) is not None:
        return missing
    if repetitions < limits.repeated_trips_max:
        return None
    return Refused(
        RefusalReason.EXECUTION_IS_REPEATED,
        f"fewer than {limits.repeated_trips_max} round trips in a row without a decision between entry and exit",
        f"{repetitions}",
    )
