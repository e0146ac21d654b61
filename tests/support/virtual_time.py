"""An event loop whose time passes only while nothing else is to be done: hours of waiting take no time at all.

Only for code that does all its I/O in memory: what waits for a socket or a thread waits for ever here.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

BEGIN: Final = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
_T = TypeVar("_T")


class StandstillError(Exception):
    """Everything waits for something that nobody will do."""


class _Selector(selectors.SelectSelector):
    """Looks for I/O without waiting, and tells the loop how long it would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found:
            if timeout is None:
                raise StandstillError
            self.now_s += max(timeout, 0.0)
        return found


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now_s


class VirtualClock:
    """Wall clock and monotonic clock of the loop that runs."""

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.monotonic_s())

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()


def run_in_virtual_time(main: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end on a loop of its own."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
