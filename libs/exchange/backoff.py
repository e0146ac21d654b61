"""How long to wait before the next attempt.

Invariant: a wait is never longer than its delay and never shorter than half of it; chance spreads those who lost the
same server at the same moment.
"""

from collections.abc import Sequence
from random import Random


class Backoff:
    """Rising delays with jitter, the last one again and again."""

    def __init__(self, delays_s: Sequence[float], *, randomness: Random) -> None:
        self._delays_s = delays_s
        self._randomness = randomness
        self._attempt = 0

    def next_s(self) -> float:
        """Return how long to wait before the next attempt."""
        delay_s = self._delays_s[min(self._attempt, len(self._delays_s) - 1)]
        self._attempt += 1
        return delay_s * self._randomness.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin with the first delay again: the last attempt succeeded."""
        self._attempt = 0
