"""Which moment of exchange time shows which place of the tape.

Invariant: the market stands still while the exchange is down; after any stop it resumes exactly where it stood.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from fractions import Fraction

SEGMENTS_MAX = 256


@dataclass(frozen=True, slots=True)
class Segment:
    """From `wall_ms` on the tape runs from `place_ms` at `speed` (0: it stands still)."""

    wall_ms: int
    place_ms: int
    speed: Fraction


class Timeline:
    """The stretches in which the market ran; before the first one it is as if it had always run at speed 1."""

    def __init__(self, segments: list[Segment]) -> None:
        if not segments:
            raise ValueError("expected at least one segment, found none")
        self._segments = segments[-SEGMENTS_MAX:]

    @property
    def segments(self) -> list[Segment]:
        """The stretches, oldest first, at most `SEGMENTS_MAX`."""
        return self._segments

    def resume(self, segment: Segment) -> None:
        """Let the market run on from another moment, place or speed."""
        self._segments = [*self._segments[-SEGMENTS_MAX + 1 :], segment]

    def place_at(self, wall_ms: int) -> int:
        """Return the last place of the tape shown at `wall_ms`."""
        segments = self._segments
        index = bisect_right(segments, wall_ms, key=lambda segment: segment.wall_ms) - 1
        if index < 0:
            return segments[0].place_ms - (segments[0].wall_ms - wall_ms)
        segment = segments[index]
        place_ms = segment.place_ms + (wall_ms - segment.wall_ms) * segment.speed.numerator // segment.speed.denominator
        return min(place_ms, segments[index + 1].place_ms) if index + 1 < len(segments) else place_ms

    def wall_at(self, place_ms: int) -> int:
        """Return the first moment at which what lies at `place_ms` is shown."""
        segments = self._segments
        index = bisect_left(segments, place_ms, key=lambda segment: segment.place_ms) - 1
        if index < 0:
            return segments[0].wall_ms - (segments[0].place_ms - place_ms)
        segment = segments[index]
        speed = segment.speed or Fraction(1)
        return segment.wall_ms - -(place_ms - segment.place_ms) * speed.denominator // speed.numerator
