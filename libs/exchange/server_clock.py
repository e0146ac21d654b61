"""The exchange's clock, as its answers to `GET /api/v3/time` let us know it.

Invariant: the time told does not go back and does not follow the computer's own clock: between two answers it advances
with the monotonic one, so that a clock which is set, here, changes no signature and no fence.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from libs.common.clock import Clock, epoch_ms
from libs.common.observability import metrics

READINGS: Final = 8
DRIFT_RATE: Final = 0.0001
"""How fast a quartz may go wrong, generously: what a reading loses in worth while it ages."""

STEP_BACK_MS_MAX: Final = 3_000
"""More than the worst reading can be wrong: a clock that goes back further was set. Below, it stands still until it is
caught up with."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """One answer: the exchange's time minus the monotonic clock's, and how wrong that can be."""

    anchor_ms: float
    error_ms: float
    taken_at_s: float

    def error_at(self, now_s: float) -> float:
        return self.error_ms + (now_s - self.taken_at_s) * 1_000 * DRIFT_RATE


class ServerClock:
    """Tells the exchange's time by the best of the latest readings (RFC 5905's clock filter)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._readings: deque[_Reading] = deque(maxlen=READINGS)
        self._told_ms: int | None = None
        self._doubted = asyncio.Event()

    @property
    def error_ms(self) -> float | None:
        """How far the time told may be off; None before the first reading."""
        now_s = self._clock.monotonic_s()
        return min((reading.error_at(now_s) for reading in self._readings), default=None)

    @property
    def offset_ms(self) -> int | None:
        """The exchange's clock minus the computer's at this moment; None before the first reading."""
        now_ms = self.now_ms()
        return None if now_ms is None else now_ms - epoch_ms(self._clock.now())

    def now_ms(self) -> int | None:
        """Return the exchange's time; None before the first reading."""
        if not self._readings:
            return None
        now_s = self._clock.monotonic_s()
        best = min(self._readings, key=lambda reading: reading.error_at(now_s))
        estimate_ms = round(best.anchor_ms + now_s * 1_000)
        if self._told_ms is None or not 0 < self._told_ms - estimate_ms <= STEP_BACK_MS_MAX:
            self._told_ms = estimate_ms
        return self._told_ms

    def read(self, server_ms: int, *, asked_at_s: float, answered_at_s: float) -> None:
        """Take an answer, between two readings of the monotonic clock; half its round trip bounds its error."""
        new = _Reading(
            anchor_ms=server_ms - (asked_at_s + answered_at_s) * 500,
            error_ms=(answered_at_s - asked_at_s) * 500 + 1,  # the exchange tells whole milliseconds
            taken_at_s=answered_at_s,
        )
        if self._doubted.is_set():
            self._told_ms = None  # what was refused is not held on to
        if self._doubted.is_set() or any(_contradict(new, old) for old in self._readings):
            self._readings.clear()  # one of the clocks was set, or this machine slept: only the present counts
        self._doubted.clear()
        self._readings.append(new)
        metrics.EXCHANGE_CLOCK_SKEW_SECONDS.set((self.offset_ms or 0) / 1_000)
        metrics.EXCHANGE_CLOCK_ERROR_SECONDS.set((self.error_ms or 0) / 1_000)

    def doubt(self) -> None:
        """Take note that the exchange refused a time made of these readings; the next one decides alone."""
        self._doubted.set()

    async def doubted(self) -> None:
        """Wait until a reading is wanted at once."""
        await self._doubted.wait()


def _contradict(new: _Reading, old: _Reading) -> bool:
    return abs(new.anchor_ms - old.anchor_ms) > new.error_ms + old.error_at(new.taken_at_s)
