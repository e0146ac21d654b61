"""How long a crashed process waits before it is started again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Delays that double, from a first to a longest one, and start over after a time of calm.

    Attributes:
        first_s: Delay after the first crash: short, because every process must be ready again within 10 s.
        longest_s: No delay is longer.
        calm_s: A process that lived this long has recovered; its next crash counts as the first.
    """

    first_s: float = 0.2
    longest_s: float = 10.0
    calm_s: float = 30.0

    def delay_s(self, crashes: int) -> float:
        """Return the delay after the given number of crashes in a row (1 or more)."""
        return min(self.longest_s, self.first_s * 2.0 ** min(crashes - 1, 30))

    def crashes_in_a_row(self, before: int, *, lived_s: float) -> int:
        """Return the number of crashes in a row, counting the one that ended a life of `lived_s` seconds."""
        return 1 if lived_s >= self.calm_s else before + 1
