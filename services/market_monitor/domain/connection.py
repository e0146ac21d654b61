"""Whether the exchange is there, and how its clock stands to ours.

Invariant: silence is absence: an answer or a frame counts only for as long as its bound says.
"""

from collections import deque
from enum import StrEnum
from typing import Final

ANSWER_AGE_MS_MAX: Final = 4_000
"""Of one question a second, three may be lost."""

SKEW_SAMPLES: Final = 8
RESTORED_AFTER_MS: Final = 1_000
REPORTED_AFTER_MS: Final = 5_000


class OutageNews(StrEnum):
    """What there is to tell about an outage, once each."""

    LOST = "LOST"
    RESTORED = "RESTORED"


class ClockComparison:
    """Estimates the exchange's clock minus ours by the quickest of the latest round trips (RFC 5905, clock filter)."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, int]] = deque(maxlen=SKEW_SAMPLES)

    @property
    def skew_ms(self) -> int:
        """The exchange's clock minus ours; 0 until known."""
        return min(self._samples)[1] if self._samples else 0

    def on_sample(self, *, round_trip_ms: int, skew_ms: int) -> None:
        """Take the result of one round trip."""
        self._samples.append((round_trip_ms, skew_ms))


class Reachability:
    """Whether the exchange answers over REST and its stream delivers."""

    def __init__(self, *, frame_age_ms_max: int, now_ms: int) -> None:
        self.frame_age_ms_max = frame_age_ms_max
        self._answered_at_ms: int | None = None
        self._frame_at_ms: int | None = None
        self._lost_since_ms: int | None = now_ms
        self._back_since_ms: int | None = None
        self._is_reported = False

    def on_answer(self, now_ms: int) -> None:
        """The exchange answered a request."""
        self._answered_at_ms = now_ms

    def on_frame(self, now_ms: int) -> None:
        """The stream delivered something."""
        self._frame_at_ms = now_ms

    def answers(self, now_ms: int) -> bool:
        """Whether a request was answered lately."""
        return self._answered_at_ms is not None and now_ms - self._answered_at_ms <= ANSWER_AGE_MS_MAX

    def delivers(self, now_ms: int) -> bool:
        """Whether the stream delivered lately."""
        return self._frame_at_ms is not None and now_ms - self._frame_at_ms <= self.frame_age_ms_max

    def is_up(self, now_ms: int) -> bool:
        """Whether both hold; after a loss only once they have held for `RESTORED_AFTER_MS`."""
        if not (self.answers(now_ms) and self.delivers(now_ms)):
            self._back_since_ms = None
            if self._lost_since_ms is None:
                self._lost_since_ms = now_ms
            return False
        if self._lost_since_ms is None:
            return True
        if self._back_since_ms is None:
            self._back_since_ms = now_ms
        return now_ms - self._back_since_ms >= RESTORED_AFTER_MS

    def news(self, now_ms: int) -> OutageNews | None:
        """Return, once per outage, that it has lasted `REPORTED_AFTER_MS`, and later that it is over."""
        if self.is_up(now_ms):
            was_reported, self._is_reported = self._is_reported, False
            self._lost_since_ms = None
            return OutageNews.RESTORED if was_reported else None
        lost_since_ms = self._lost_since_ms
        is_ending = self._back_since_ms is not None
        if self._is_reported or is_ending or lost_since_ms is None or now_ms - lost_since_ms < REPORTED_AFTER_MS:
            return None
        self._is_reported = True
        return OutageNews.LOST
