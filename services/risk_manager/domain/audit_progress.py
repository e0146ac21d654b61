"""Whether the audit recorder still records, told from heartbeats alone.

The recorder reads every topic, the heartbeats among them: while anybody beats, its count of handled messages rises.
"""

from typing import Final

from libs.common.contracts.events import HeartbeatSent

AUDIT: Final = "audit_recorder"
STALLED_S_MAX: Final = 60.0
"""A restart takes 10 s at the most, and a broker's 30."""
BEATING_S_MAX: Final = 10.0
"""Without any heartbeat in this time it is Kafka that is silent, which says nothing of the recorder."""

INSTANCES_MAX: Final = 16
"""The recorder, its hot standbys and their former lives; whoever has been silent for longest is forgotten."""


class AuditProgress:
    """Remembers when the recorder was last seen to record."""

    def __init__(self, *, started_at_s: float) -> None:
        self._handled: dict[str, int] = {}
        self._recorded_at_s = started_at_s
        self._beat_at_s = float("-inf")

    def begin(self, *, now_s: float) -> None:
        """Count from now: before, nobody listened."""
        self._recorded_at_s = now_s
        self._handled.clear()

    def hear(self, beat: HeartbeatSent, *, now_s: float) -> None:
        """Take note of a heartbeat."""
        if now_s - self._beat_at_s > BEATING_S_MAX:
            self._recorded_at_s = max(self._recorded_at_s, now_s - BEATING_S_MAX)  # nothing was there to record
        self._beat_at_s = now_s
        if beat.component != AUDIT:
            return
        if beat.handled > self._handled.pop(beat.instance, beat.handled):  # a first beat is no progress
            self._recorded_at_s = now_s
        self._handled[beat.instance] = beat.handled
        if len(self._handled) > INSTANCES_MAX:
            del self._handled[next(iter(self._handled))]

    def stalled_for_s(self, *, now_s: float) -> float:
        """Return for how long it has recorded nothing although there was something; 0 while it may be on its way."""
        silent_s = now_s - self._recorded_at_s
        is_stalled = silent_s > STALLED_S_MAX and now_s - self._beat_at_s <= BEATING_S_MAX
        return silent_s if is_stalled else 0.0
