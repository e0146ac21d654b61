"""Which process crashes again and again, told from heartbeats alone.

A restart is an instance that fell silent while a younger one of its component lives. Instances that end without a
successor (a replica taken away, the whole stack stopped) do not count.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from libs.common.contracts.events import HeartbeatSent

SILENCE_S: Final = 5.0
"""Heartbeats come every two seconds: one may be lost."""

_INSTANCES_MAX: Final = 200


@dataclass(slots=True)
class _Life:
    component: str
    started_at: datetime
    last_beat_s: float


class CrashCounter:
    """Counts the restarts of each component within a window.

    Args:
        crashes_max: More than these are an emergency.
        window_s: The time in which they count.
    """

    def __init__(self, *, crashes_max: int, window_s: float) -> None:
        self.crashes_max = crashes_max
        self.window_s = window_s
        self._lives: dict[tuple[str, str, datetime], _Life] = {}
        self._crashes: dict[str, deque[float]] = {}

    def hear(self, beat: HeartbeatSent, *, now_s: float) -> None:
        """Take note of a heartbeat."""
        key = (beat.component, beat.instance, beat.started_at)
        life = self._lives.get(key)
        if life is None:
            while len(self._lives) >= _INSTANCES_MAX:
                self._lives.pop(next(iter(self._lives)))
            self._lives[key] = _Life(beat.component, beat.started_at, now_s)
        else:
            life.last_beat_s = now_s

    def crash_loops(self, *, now_s: float) -> dict[str, int]:
        """Return the components that restarted too often within the window, with how often."""
        for key, life in list(self._lives.items()):
            if now_s - life.last_beat_s <= SILENCE_S:
                continue
            if self._has_successor(life, now_s):
                self._crashes.setdefault(life.component, deque(maxlen=_INSTANCES_MAX)).append(life.last_beat_s)
                del self._lives[key]
            elif now_s - life.last_beat_s > self.window_s:
                del self._lives[key]
        loops = {}
        for component, moments in self._crashes.items():
            while moments and now_s - moments[0] > self.window_s:
                moments.popleft()
            if len(moments) > self.crashes_max:
                loops[component] = len(moments)
        return loops

    def forget(self, component: str) -> None:
        """Count a component's restarts anew: they were acted on."""
        self._crashes.pop(component, None)

    def _has_successor(self, life: _Life, now_s: float) -> bool:
        return any(
            other.component == life.component
            and other.started_at > life.started_at
            and now_s - other.last_beat_s <= SILENCE_S
            for other in self._lives.values()
        )
