"""When each stream that comes by the clock is due.

Invariant: a stream is due once in each of its periods, which are aligned to the clock.
"""

from collections.abc import Callable, Collection


class Schedule:
    """Remembers when each stream is due again.

    Args:
        wanted: Returns the streams that somebody listens to; the others are forgotten.
    """

    def __init__(self, wanted: Callable[[], Collection[str]]) -> None:
        self._wanted = wanted
        self._due_at_ms: dict[str, int] = {}

    def is_due(self, stream: str, now_ms: int, period_ms: int) -> bool:
        """Return whether a stream is to be sent now, which this call takes as done."""
        if now_ms < self._due_at_ms.get(stream, 0):
            return False
        wanted = self._wanted()
        if len(self._due_at_ms) > len(wanted):
            self._due_at_ms = {known: at_ms for known, at_ms in self._due_at_ms.items() if known in wanted}
        self._due_at_ms[stream] = (now_ms // period_ms + 1) * period_ms
        return True
