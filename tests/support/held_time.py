"""An event loop that can hold its clock: from then on time passes only while every peer is frozen and nothing arrives.

For awaits on real sockets whose peer says nothing any more. What is measured there is the deadline alone, to the
microsecond, whatever the machine is busy with, and ten seconds of it take no time.
"""

import asyncio
import selectors
import time
from collections.abc import Callable
from typing import Final

GRACE_S: Final = 0.001
"""What the loop has sent to itself over loopback arrives in far less."""
NEVER_S: Final = 20.0
"""Real time without a peer that freezes, or without a deadline to wait for: nothing will happen any more."""


class StandstillError(Exception):
    """Somebody waits without a deadline, or for a peer that did not freeze."""


class _Selector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self._held_at_s: float | None = None
        self._may_pass: Callable[[], bool] = lambda: True

    def now_s(self) -> float:
        return time.monotonic() if self._held_at_s is None else self._held_at_s

    def hold(self, may_pass: Callable[[], bool]) -> None:
        self._held_at_s, self._may_pass = self.now_s(), may_pass

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._held_at_s is None or timeout == 0:
            return super().select(timeout)
        given_up_at_s = time.monotonic() + NEVER_S
        while not (found := super().select(GRACE_S)):
            if timeout is not None and self._may_pass():
                self._held_at_s += max(timeout, 0.0)
                break
            if time.monotonic() > given_up_at_s:
                raise StandstillError
        return found


class HeldTimeLoop(asyncio.SelectorEventLoop):
    """An event loop on real time until `hold`."""

    def __init__(self) -> None:
        self._held = _Selector()
        super().__init__(self._held)

    def time(self) -> float:
        return self._held.now_s()

    def hold(self, *, may_pass: Callable[[], bool] = lambda: True) -> None:
        """Hold the clock; it passes to the next timer whenever nothing arrives and `may_pass`."""
        self._held.hold(may_pass)
