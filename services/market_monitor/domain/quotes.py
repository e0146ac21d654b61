"""Best quotes at a bounded pace.

Invariant: the newest quote is never lost, only delayed, by at most the pace.
"""

from typing import Generic, TypeVar

QuoteT = TypeVar("QuoteT")


class QuotePace(Generic[QuoteT]):
    """Lets at most one quote through every `interval_ms`; the latest wins."""

    def __init__(self, interval_ms: int) -> None:
        self._interval_ms = interval_ms
        self._passed_at_ms: int | None = None
        self._held: QuoteT | None = None

    def on_quote(self, quote: QuoteT, now_ms: int) -> QuoteT | None:
        """Return the quote if it may pass now; otherwise hold it, in place of an older one."""
        self._held = quote
        return self.on_time(now_ms)

    def on_time(self, now_ms: int) -> QuoteT | None:
        """Return the held quote once its time has come."""
        if self._held is None or not self._may_pass(now_ms):
            return None
        quote, self._held = self._held, None
        self._passed_at_ms = now_ms
        return quote

    def _may_pass(self, now_ms: int) -> bool:
        passed_at_ms = self._passed_at_ms
        # A wall clock that was set back must not hold quotes until it has caught up.
        return passed_at_ms is None or not 0 <= now_ms - passed_at_ms < self._interval_ms
