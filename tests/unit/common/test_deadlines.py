"""Nothing waits longer than it was told, whatever the library behind it does."""

import asyncio
from collections.abc import Sequence

import pytest

from libs.common.clock import SystemClock
from libs.common.errors import DeadlineExceededError
from libs.common.messaging.deadlines import deadline, every
from tests.support.clock import FakeClock

CLOCK = SystemClock()


async def test_an_answer_in_time_is_returned() -> None:
    async def answer() -> int:
        return 42

    assert await deadline(answer(), 1.0, "a question") == 42


async def test_an_error_in_time_is_raised_as_it_is() -> None:
    async def fail() -> None:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        await deadline(fail(), 1.0, "a question")


async def test_silence_is_given_up_and_named() -> None:
    with pytest.raises(DeadlineExceededError, match=r"a question: expected an answer within 0\.05 s"):
        await deadline(asyncio.Event().wait(), 0.05, "a question")


async def test_a_call_that_ignores_its_cancellation_is_left_behind() -> None:
    released = asyncio.Event()

    async def stubborn() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue
        raise KeyError("too late for anybody")

    began_s = CLOCK.monotonic_s()
    with pytest.raises(DeadlineExceededError):
        await deadline(stubborn(), 0.05, "a stubborn library")
    assert CLOCK.monotonic_s() - began_s < 1

    released.set()
    await asyncio.sleep(0)  # its late error concerns nobody


async def test_a_caller_that_is_cancelled_cancels_the_call() -> None:
    cancelled = asyncio.Event()

    async def call() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    waiting = asyncio.ensure_future(deadline(call(), 60, "a question"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert await asyncio.wait_for(cancelled.wait(), timeout=1)


async def test_periodic_work_does_not_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await _begins_at((0.3, 0.0, 0.9, 0.0), monkeypatch) == [0.0, 1.0, 2.0, 3.0]


async def test_a_late_run_delays_only_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    # What was missed is not made up for.
    assert await _begins_at((2.5, 0.0, 0.0, 0.0), monkeypatch) == [0.0, 2.5, 3.5, 4.5]


async def test_a_run_that_hangs_is_given_up_and_the_next_one_comes() -> None:
    runs = 0

    async def hang_once() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            await asyncio.Event().wait()
        if runs == 3:
            raise KeyError("enough")

    with pytest.raises(KeyError):
        await asyncio.wait_for(every(0.01, hang_once, clock=CLOCK, deadline_s=0.05), timeout=5)


async def _begins_at(durations_s: Sequence[float], monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return when each run began of work that takes so long each time and is due every second."""
    clock = FakeClock()
    started_s = clock.monotonic_s()
    began_s: list[float] = []

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    async def work() -> None:
        began_s.append(round(clock.monotonic_s() - started_s, 6))
        clock.advance(durations_s[len(began_s) - 1])
        if len(began_s) == len(durations_s):
            raise KeyError("enough")

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(KeyError):
        await every(1.0, work, clock=clock, deadline_s=60)
    monkeypatch.undo()
    return began_s
