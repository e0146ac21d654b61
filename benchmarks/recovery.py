"""How long until everything is ready: from nothing, and again after a kill -9 of each process in turn."""

import asyncio
import os
import signal
from collections.abc import Mapping
from typing import Final

from benchmarks.figures import Bounded, Budget, Figure, Measurement, quantile
from benchmarks.stacks import History, RunningStack, demo, load, say, with_stack
from libs.embedded.process import ProcessState

STORES: Final = ("kafka", "postgres", "redis")
SETTLE_S: Final = 10.0
CALM_S: Final = 5.0
"""All ready for so long: nobody else has noticed the loss belatedly, for a readiness check is believed for 4 s."""

RECOVERED_S_MAX: Final = 60.0
LOOK_S: Final = 0.05

RECOVERY: Final = Budget(Bounded.VALUE, 10)
COLD_START: Final = Budget(Bounded.VALUE, 30)


async def measure() -> Measurement:
    """Return the times to ready, beside those of a first start.

    Raises:
        EmbeddedError: The stack does not start.
        TimeoutError: It does not recover.
    """
    return await with_stack(demo(), _measure)


async def _measure(running: RunningStack) -> Measurement:
    history, stack = running.history, running.stack
    names = [status.name for status in stack.snapshot()]
    started_at_s = min(change.at_s for change in history.changes)
    starts = {name: _start_s(history, name) for name in names}
    stores_s = max(history.first(name, ProcessState.READY) for name in STORES) - started_at_s
    cold_s = max(history.first(name, ProcessState.READY) for name in names) - started_at_s
    await asyncio.sleep(SETTLE_S)
    recoveries: dict[str, float] = {}
    for name in names:
        recoveries[name] = round(await _recovery_s(running, name), 2)
        say(f"  {name}: ready again after {recoveries[name]} s, first start {starts[name]} s (load {load()})")
    return Measurement(
        figures=(
            _figure("cold start to ready", cold_s, stores_s, "the stores alone", COLD_START, samples=1),
            _figure(
                "kill -9 to ready, p50",
                quantile(recoveries.values(), 0.50),
                quantile(starts.values(), 0.50),
                "first start",
                RECOVERY,
                samples=len(names),
            ),
            _figure(
                "kill -9 to ready, max",
                max(recoveries.values()),
                max(starts.values()),
                "first start",
                RECOVERY,
                samples=len(names),
            ),
        ),
        details={"recovery_s": recoveries, "first_start_s": starts},
    )


async def _recovery_s(running: RunningStack, name: str) -> float:
    """Kill a process; return the seconds until the last process that was not ready afterwards was ready again."""
    loop = asyncio.get_running_loop()
    pids: Mapping[str, int | None] = {status.name: status.pid for status in running.stack.snapshot()}
    pid = pids[name]
    if pid is None:
        raise RuntimeError(f"{name}: expected a running process, found none")
    killed_at_s = loop.time()
    os.kill(pid, signal.SIGKILL)
    calm_since_s: float | None = None
    async with asyncio.timeout(RECOVERED_S_MAX):
        while calm_since_s is None or loop.time() - calm_since_s < CALM_S:
            await asyncio.sleep(LOOK_S)
            if not all(status.ready for status in running.stack.snapshot()):
                calm_since_s = None
            elif calm_since_s is None:
                calm_since_s = loop.time()
    return (
        max(
            change.at_s
            for change in running.history.changes
            if change.state is ProcessState.READY and change.at_s >= killed_at_s
        )
        - killed_at_s
    )


def _start_s(history: History, name: str) -> float:
    """Return how long a process took from its first start to ready."""
    return round(history.first(name, ProcessState.READY) - history.first(name, ProcessState.STARTING), 2)


def _figure(name: str, value: float, baseline: float, of: str, budget: Budget, *, samples: int) -> Figure:
    return Figure(
        name=name,
        unit="s",
        value=value,
        baseline=baseline,
        baseline_name=of,
        budget=budget,
        samples=samples,
        load=load(),
    )
