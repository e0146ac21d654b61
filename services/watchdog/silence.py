"""How long a process has been silent, and what that means.

Only time in which the watchdog itself was awake counts: after it was frozen or the machine slept, nobody is late yet.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

STEP_S_MAX: Final = 1.5
"""The most that one poll can add to a silence: a poll's interval and its deadline. More means that we slept."""


class Stage(StrEnum):
    """What is thought of a target."""

    AWAITED = "AWAITED"
    """It was never healthy yet: a system that starts is not a system that fails."""
    HEALTHY = "HEALTHY"
    SILENT = "SILENT"
    DEAD = "DEAD"


@dataclass(slots=True, kw_only=True)
class Target:
    """One watched process.

    Attributes:
        alert_after_s: Silence after which it counts as silent.
        dead_after_s: Silence after which it counts as dead.
    """

    name: str
    alert_after_s: float
    dead_after_s: float
    stage: Stage = Stage.AWAITED
    silent_s: float = field(default=0.0)

    def observe(self, *, healthy: bool, elapsed_s: float) -> Stage | None:
        """Take up the answer of a poll and return the new stage, or None if it is still the same.

        Args:
            healthy: It answered that it is alive and makes progress.
            elapsed_s: Time since the last poll.
        """
        if healthy:
            self.silent_s = 0.0
            return self._enter(Stage.HEALTHY)
        if self.stage is Stage.AWAITED:
            return None
        self.silent_s += min(elapsed_s, STEP_S_MAX)
        if self.silent_s >= self.dead_after_s:
            return self._enter(Stage.DEAD)
        if self.silent_s >= self.alert_after_s:
            return self._enter(Stage.SILENT)
        return None

    def _enter(self, stage: Stage) -> Stage | None:
        if stage is self.stage:
            return None
        self.stage = stage
        return stage
