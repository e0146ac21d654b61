"""How many messages may go to the exchange: a sliding window, with a part of it kept for leaving.

Everything sent counts: orders, order lists and cancels. Entries are refused while cancels, protection and exits still
pass, so that no flood of entries can keep a position from being left.

Invariant: no window of its length, wherever it begins, holds more messages than its limit.
"""

from collections import deque
from decimal import Decimal

from libs.trading.risk.case import Refused
from libs.trading.risk.limits import RiskLimits
from libs.trading.risk.missing import missing_limit
from libs.trading.risk.reasons import RefusalReason
from libs.trading.risk.states import Role

WINDOW_MS = 60_000


class MessageThrottle:
    """The messages of one account; whoever sends asks first and notes what was sent."""

    def __init__(self) -> None:
        self._sent: deque[tuple[int, str]] = deque()

    def objection(self, role: Role, strategy: str, limits: RiskLimits, *, now_ms: int) -> Refused | None:
        """Return why a message must not be sent now, or None.

        Args:
            role: What it is for.
            strategy: Whose it is.
            limits: Those of its account; more than these are never kept in mind.
            now_ms: Monotonic time.
        """
        missing = missing_limit(
            limits, "messages_per_minute_max", "strategy_messages_per_minute_max", "messages_kept_rate"
        )
        if missing is not None:
            return missing
        self._forget(now_ms)
        allowed = limits.messages_per_minute_max
        if role is not Role.ENTRY:
            return _within(len(self._sent), allowed, "in a minute")
        of_strategy = sum(1 for _, whose in self._sent if whose == strategy)
        return _within(
            len(self._sent), _for_entries(allowed, limits.messages_kept_rate), "in a minute, entries included"
        ) or _within(of_strategy, limits.strategy_messages_per_minute_max, f"in a minute by {strategy}")

    def note(self, strategy: str, *, now_ms: int) -> None:
        """Count a message that is being sent."""
        self._forget(now_ms)
        self._sent.append((now_ms, strategy))

    def claim(self, strategy: str, limits: RiskLimits, *, now_ms: int) -> int:
        """Count a message that is no entry, and return when it may be sent: `now_ms` or as soon as there is room."""
        at_ms = self.room_at_ms(limits, now_ms=now_ms)
        self._sent.append((at_ms, strategy))
        return at_ms

    def room_at_ms(self, limits: RiskLimits, *, now_ms: int) -> int:
        """Return when the next message that is no entry may be sent; `now_ms` if it may now."""
        self._forget(now_ms)
        excess = len(self._sent) - limits.messages_per_minute_max
        return now_ms if excess < 0 else self._sent[excess][0] + WINDOW_MS

    def _forget(self, now_ms: int) -> None:
        while self._sent and self._sent[0][0] <= now_ms - WINDOW_MS:
            self._sent.popleft()


def _for_entries(allowed: int, kept_rate: Decimal) -> int:
    return int(allowed * (1 - kept_rate))


def _within(count: int, allowed: int, where: str) -> Refused | None:
    if count < allowed:
        return None
    return Refused(RefusalReason.MESSAGE_RATE_LIMIT_IS_REACHED, f"fewer than {allowed} {where}", f"{count}")
