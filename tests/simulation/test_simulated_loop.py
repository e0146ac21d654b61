"""The loop that the simulation runs on: virtual time, seeded order, death without a last word, thawing."""

import asyncio
from contextvars import copy_context

import pytest

from tests.simulation.loop import CURRENT, DeadlockError, Process, SimulatedLoop, StepsExceededError


def a_loop(seed: int = 1, *, steps_max: int = 10_000) -> SimulatedLoop:
    return SimulatedLoop(seed, steps_max=steps_max)  # type: ignore[abstract]  # sockets and signals are not simulated


def started(loop: SimulatedLoop, process: Process, work: object) -> "asyncio.Task[object]":
    context = copy_context()
    context.run(CURRENT.set, process)
    return loop.create_task(work, context=context)  # type: ignore[arg-type]  # any coroutine will do


async def count(ticks: list[str], name: str) -> None:
    try:
        while True:
            await asyncio.sleep(1.0)
            ticks.append(name)
    finally:
        ticks.append(f"{name} ends")


def test_an_hour_passes_at_once_and_the_clock_shows_it():
    loop = a_loop()

    loop.run_until_complete(asyncio.sleep(3_600))

    assert loop.time() == 3_600


def test_a_killed_process_does_not_even_run_its_finally():
    loop, process, ticks = a_loop(), Process("killed"), list[str]()
    started(loop, process, count(ticks, "tick"))
    loop.run_until_complete(asyncio.sleep(2.5))

    process.kill()
    loop.run_until_complete(asyncio.sleep(10))

    assert ticks == ["tick", "tick"]
    loop.end()


def test_a_frozen_process_goes_on_when_it_is_thawed():
    loop, process, ticks = a_loop(), Process("frozen"), list[str]()
    started(loop, process, count(ticks, "tick"))

    process.freeze()
    loop.run_until_complete(asyncio.sleep(10))
    frozen = list(ticks)
    process.thaw()
    loop.run_until_complete(asyncio.sleep(1.5))

    assert frozen == []
    assert ticks[0] == "tick"
    loop.end()


def test_the_seed_decides_who_runs_first():
    def order(seed: int) -> str:
        loop, ticks = a_loop(seed), list[str]()
        for name in "abcd":
            started(loop, Process(name), count(ticks, name))
        loop.run_until_complete(asyncio.sleep(1.5))
        seen = "".join(ticks)
        loop.end()
        return seen

    assert order(1) == order(1)
    assert len({order(seed) for seed in range(10)}) > 1


def test_waiting_for_nothing_is_a_deadlock():
    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    loop = a_loop()
    with pytest.raises(DeadlockError, match="wait"):
        loop.run_until_complete(wait())
    loop.end()


def test_never_coming_to_rest_is_an_error():
    async def spin() -> None:
        while True:  # noqa: ASYNC110 - never coming to rest is what is wanted here
            await asyncio.sleep(0)

    loop = a_loop(steps_max=1_000)
    with pytest.raises(StepsExceededError):
        loop.run_until_complete(spin())
    loop.end()
