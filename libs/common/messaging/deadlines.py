"""Our own deadline around every call of a library: a frozen server is silent, and silence is no error there."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog

from libs.common.clock import Clock
from libs.common.errors import DeadlineExceededError, RetryableError

T = TypeVar("T")

_log = structlog.get_logger(__name__)


async def deadline(work: Awaitable[T], seconds: float, what: str) -> T:
    """Return what `work` returns, or give up on it.

    On expiry the call is cancelled but not waited for: a library may ignore its cancellation for minutes. A library
    that cancels its own tasks (aiokafka does when its connection is lost) must not cancel ours.

    Raises:
        DeadlineExceededError: No answer in time; whether the call took effect is unknown.
        RetryableError: The library gave the call up by cancelling it.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if task.cancelled():
        raise RetryableError(f"{what}: expected an answer, found that the library gave it up")
    if done:
        return task.result()
    task.cancel()
    task.add_done_callback(_forget)
    raise DeadlineExceededError(what, deadline_s=seconds)


async def every(
    seconds: float, work: Callable[[], Coroutine[Any, Any, None]], *, clock: Clock, deadline_s: float | None = None
) -> None:
    """Run `work` every `seconds`, for ever and without drift; a run that is late delays only the next one.

    Args:
        seconds: The period.
        work: What to do; its errors are the caller's, except a missed deadline, which is logged.
        clock: Gives the monotonic time.
        deadline_s: Bound of one run; by default ten periods, at least one second.
    """
    bound_s = deadline_s if deadline_s is not None else max(1.0, 10 * seconds)
    due_s = clock.monotonic_s()
    while True:
        due_s += seconds
        try:
            await deadline(work(), bound_s, getattr(work, "__qualname__", "periodic work"))
        except DeadlineExceededError as error:
            _log.warning("Periodic work missed its deadline", work=error.what, deadline_s=error.deadline_s)
        now_s = clock.monotonic_s()
        due_s = max(due_s, now_s)
        await asyncio.sleep(due_s - now_s)


def _forget(task: "asyncio.Future[Any]") -> None:
    """Take note of a late result, so that asyncio does not complain about it."""
    if not task.cancelled():
        task.exception()
