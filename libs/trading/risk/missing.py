"""What every rule asks of its limits first.

Invariant: a limit that nobody set is no permission.
"""

from libs.trading.risk.case import Refused
from libs.trading.risk.limits import RiskLimits
from libs.trading.risk.reasons import RefusalReason


def missing_limit(limits: RiskLimits, *names: str) -> Refused | None:
    """Return the refusal for the first of these limits that is not there, not a number or not above zero, or None."""
    for name in names:
        if not limits.is_set(name):
            return Refused(RefusalReason.LIMIT_IS_MISSING, f"{name} above zero", f"{getattr(limits, name)}")
    return None
