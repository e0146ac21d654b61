"""Waiting for a call no longer than its deadline, without cancelling it.

A cancelled Redis call can leave a connection out of step, and a thread cannot be cancelled at all; an abandoned
call ends by its own socket timeout, and its late answer is dropped.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from libs.common.errors import DeadlineExceededError

T = TypeVar("T")


class PatientCall(Generic[T]):
    """A call that runs at most once at a time, however often its answer is asked for.

    An answer that comes after the deadline is given to the next one who asks.
    """

    def __init__(self, what: str, call: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._what = what
        self._call = call
        self._running: asyncio.Task[T] | None = None

    async def answer(self, deadline_s: float) -> T:
        """Return the call's answer.

        Raises:
            DeadlineExceededError: It has not answered yet; the call goes on.
        """
        running = self.begin()
        await asyncio.wait({running}, timeout=deadline_s)
        return self.take(running, deadline_s)

    def begin(self) -> asyncio.Task[T]:
        """Make the call unless it is being made; whoever has waited for it calls `take`."""
        if self._running is None:
            self._running = asyncio.create_task(self._call())
            self._running.add_done_callback(_retrieve_error)
        return self._running

    def take(self, running: asyncio.Task[T], deadline_s: float) -> T:
        """Return the answer of a call that was waited for that long.

        Raises:
            DeadlineExceededError: It has not answered yet; the call goes on.
        """
        if not running.done():
            raise DeadlineExceededError(self._what, deadline_s=deadline_s)
        if self._running is running:
            self._running = None
        return running.result()


def _retrieve_error(task: asyncio.Task[T]) -> None:
    """Mark the error of an abandoned call as seen; whoever asks next gets it raised."""
    if not task.cancelled():
        task.exception()
