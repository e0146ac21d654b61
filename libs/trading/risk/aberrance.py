"""The breaker of whoever sends: an exchange that refuses order after order says that it is us who are wrong.

Invariant: it trips at exactly so many refusals among the last so many orders of the window, and once for them.
"""

from collections import deque

from libs.trading.risk.case import Refused
from libs.trading.risk.limits import RiskLimits
from libs.trading.risk.missing import missing_limit
from libs.trading.risk.reasons import RefusalReason


class RefusalBreaker:
    """The answers to what one account sent."""

    def __init__(self) -> None:
        self._answers: deque[tuple[int, bool]] = deque()

    def answered(self, limits: RiskLimits, *, refused: bool, now_ms: int) -> Refused | None:
        """Take note of an answer; return why nothing more may be sent, or None.

        Args:
            limits: Those of its account.
            refused: Whether the exchange refused the order for what it was.
            now_ms: Monotonic time.
        """
        if (missing := missing_limit(limits, "refusals_max", "refusals_of", "refusals_window_s")) is not None:
            return missing
        self._answers.append((now_ms, refused))
        while len(self._answers) > limits.refusals_of:
            self._answers.popleft()
        while self._answers[0][0] <= now_ms - limits.refusals_window_s * 1000:
            self._answers.popleft()
        refusals = sum(1 for _, was_refused in self._answers if was_refused)
        if refusals < limits.refusals_max:
            return None
        sent = len(self._answers)
        self._answers.clear()  # whoever starts it again starts with a clean slate
        return Refused(
            RefusalReason.ORDERS_ARE_REFUSED,
            f"fewer than {limits.refusals_max} of {limits.refusals_of} orders in {limits.refusals_window_s} s",
            f"{refusals} of {sent} refused by the exchange",
        )
