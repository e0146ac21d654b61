"""How long until everything is ready: from nothing, and again after a kill -9 of each process in turn."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from benchmarks.figures import Bounded, Budget, Figure, Measurement, quantile
from benchmarks.stacks import BenchmarkError, Change, History, RunningStack, demo, load, say, with_stack
from libs.embedded.process import ProcessState

STORES: Final = ("kafka", "postgres", "redis")
SETTLE_S: Final = 10.0
CALM_S: Final = 5.0
"""All ready for so long: nobody else has noticed the loss belatedly, for a readiness check is believed for 4 s."""

RECOVERED_S_MAX: Final = 60.0
LOOK_S: Final = 0.05

RECOVERY: Final = Budget(Bounded.VALUE, 10)
COLD_START: Final = Budget(Bounded.VALUE, 30)


@dataclass(frozen=True, slots=True)
class Recovery:
    """How a stack came back after the loss of one process.

    Attributes:
        own_s: From the kill until that process was ready again.
        all_s: Until everything was; `last` was the last.
    """

    own_s: float
    all_s: float
    last: str

    def __str__(self) -> str:
        return f"ready again after {self.own_s} s, everything after {self.all_s} s ({self.last})"


async def measure() -> Measurement:
    """Return the times to ready, beside those of a first start.

    Raises:
        EmbeddedError: The stack does not start.
        BenchmarkError: It does not recover.
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
    recoveries: dict[str, Recovery] = {}
    for name in names:
        found = recoveries[name] = await _recovery(running, name)
        say(f"  {name}: {found} (first start {starts[name]} s, load {load()})")
    own = [recovery.own_s for recovery in recoveries.values()]
    everything = [recovery.all_s for recovery in recoveries.values()]
    first = list(starts.values())
    return Measurement(
        figures=(
            _figure("cold start to ready", cold_s, stores_s, "the stores alone", COLD_START, samples=1),
            *(
                _figure(
                    f"kill -9 to {what} ready, {of}",
                    quantile(times, share),
                    quantile(first, share),
                    "first start",
                    budget,
                    samples=len(names),
                )
                for what, times, budget in (("itself", own, None), ("everything", everything, RECOVERY))
                for of, share in (("p50", 0.50), ("max", 1.00))
            ),
        ),
        details={"recovery_s": {name: asdict(found) for name, found in recoveries.items()}, "first_start_s": starts},
    )


async def _recovery(running: RunningStack, name: str) -> Recovery:
    """Kill a process and wait until everything has been ready for a while."""
    loop = asyncio.get_running_loop()
    pids: Mapping[str, int | None] = {status.name: status.pid for status in running.stack.snapshot()}
    pid = pids[name]
    if pid is None:
        raise BenchmarkError(f"{name}: expected a running process, found none")
    killed_at_s = loop.time()
    os.kill(pid, signal.SIGKILL)
    calm_since_s: float | None = None
    while calm_since_s is None or loop.time() - calm_since_s < CALM_S:
        await asyncio.sleep(LOOK_S)
        missing = [status.name for status in running.stack.snapshot() if not status.ready]
        if missing and loop.time() - killed_at_s > RECOVERED_S_MAX:
            raise BenchmarkError(
                f"{name}: expected all ready {RECOVERED_S_MAX:g} s after its kill, found {', '.join(missing)} not ready"
            )
        if missing:
            calm_since_s = None
        elif calm_since_s is None:
            calm_since_s = loop.time()
    return recovery_of(name, running.history.changes, killed_at_s=killed_at_s)


def recovery_of(name: str, changes: Sequence[Change], *, killed_at_s: float) -> Recovery:
    """Return how a killed process and those that depend on it came back.

    Args:
        name: Of the killed process.
        changes: Of all processes, oldest first; everything is ready at their end.
        killed_at_s: When it was killed.

    Raises:
        LookupError: It has not been ready again.
    """
    ready = [change for change in changes if change.state is ProcessState.READY and change.at_s >= killed_at_s]
    own_at_s = max((change.at_s for change in ready if change.process == name), default=None)
    if own_at_s is None:
        message = f"{name}: expected it to be ready again, found that it was not"
        raise LookupError(message)
    last = max(ready, key=lambda change: change.at_s)
    return Recovery(round(own_at_s - killed_at_s, 2), round(last.at_s - killed_at_s, 2), last.process)


def _start_s(history: History, name: str) -> float:
    """Return how long a process took from its first start to ready."""
    return round(history.first(name, ProcessState.READY) - history.first(name, ProcessState.STARTING), 2)


def _figure(name: str, value: float, baseline: float, of: str, budget: Budget | None, *, samples: int) -> Figure:
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
