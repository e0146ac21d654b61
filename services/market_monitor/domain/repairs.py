"""Which periods the exchange must be asked for, because our own candles of them are missing or incomplete.

Invariant: what was needed stays needed until the exchange has told it or it has become too old to matter.
"""

from dataclasses import dataclass
from typing import Final

SETTLED_AFTER_MS: Final = 300
"""How long after its end a period is asked for: the exchange books its last trades first."""

PERIODS_PER_REQUEST_MAX: Final = 1_000
PATIENCE_MS: Final = 10_000
"""A period that the exchange still does not know this long after its end is given up."""


@dataclass(frozen=True, slots=True)
class Span:
    """Periods from the first to the last, by their opening times."""

    first_open_at_ms: int
    last_open_at_ms: int


class Repairs:
    """The open needs of one symbol and interval, as one span."""

    def __init__(self, interval_s: int, *, periods_max: int) -> None:
        self._interval_ms = interval_s * 1000
        self._periods_max = periods_max
        self._needed: Span | None = None

    def need(self, first_open_at_ms: int, last_open_at_ms: int) -> None:
        """Ask for these periods too, and for those between them and what is needed already."""
        if self._needed is not None:
            first_open_at_ms = min(first_open_at_ms, self._needed.first_open_at_ms)
            last_open_at_ms = max(last_open_at_ms, self._needed.last_open_at_ms)
        oldest_ms = last_open_at_ms - (self._periods_max - 1) * self._interval_ms
        self._needed = Span(max(first_open_at_ms, oldest_ms), last_open_at_ms)

    def due(self, now_ms: int) -> Span | None:
        """Return what can be asked for now: settled periods, no more than one answer holds."""
        if self._needed is None:
            return None
        first_ms = self._needed.first_open_at_ms
        settled_ms = (now_ms - SETTLED_AFTER_MS) // self._interval_ms * self._interval_ms - self._interval_ms
        answer_ms = first_ms + (PERIODS_PER_REQUEST_MAX - 1) * self._interval_ms
        last_ms = min(self._needed.last_open_at_ms, settled_ms, answer_ms)
        return Span(first_ms, last_ms) if first_ms <= last_ms else None

    def answered(self, asked: Span, *, known_until_ms: int | None, now_ms: int) -> None:
        """Take note of an answer.

        Args:
            asked: What `due` returned.
            known_until_ms: The last period in the answer; None where it was empty.
            now_ms: The exchange's time.
        """
        given_up_ms = now_ms - PATIENCE_MS - self._interval_ms
        until_ms = asked.last_open_at_ms
        if until_ms > given_up_ms and (known_until_ms is None or known_until_ms < until_ms):
            until_ms = max(asked.first_open_at_ms - self._interval_ms, known_until_ms or 0, given_up_ms)
        if self._needed is None:
            return
        # What came while the answer was under way has widened the span on either side, and stays needed.
        first_ms, last_ms = self._needed.first_open_at_ms, self._needed.last_open_at_ms
        if first_ms >= asked.first_open_at_ms:
            first_ms = until_ms + self._interval_ms
        self._needed = Span(first_ms, last_ms) if first_ms <= last_ms else None
