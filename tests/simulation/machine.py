"""The machine that everything runs on: its clock, its processes, and the supervisor that starts them again.

Invariant: a process that ends, however it ends, is started anew after `RESTART_S`; what it left in its tables stays.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from tests.simulation.loop import CURRENT, WORLD, Life, Process, SimulatedLoop

BEGIN: Final = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
RESTART_S: Final = 1.0
MONOTONIC_START_S: Final = 1_000.0


class SimulatedClock:
    """A wall clock that can be set, and a monotonic clock that cannot."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self.ahead_s = 0.0

    def now(self) -> datetime:
        """Return the wall clock's time."""
        return BEGIN + timedelta(seconds=round(self._loop.time() + self.ahead_s, 6))

    def monotonic_s(self) -> float:
        """Return the monotonic clock's time."""
        return MONOTONIC_START_S + self._loop.time()


Start = Callable[[str], Awaitable[None]]
"""Runs a service under the name of one of its processes, until it ends."""


@dataclass(slots=True)
class Trap:
    """What happens to the process of a service that reaches a step for the nth time from now on.

    Attributes:
        step: A part of the step's name.
        frozen_s: For how long it is frozen; None: it is killed.
    """

    service: str
    step: str
    nth: int = 1
    frozen_s: float | None = None


class Machine:
    """Starts, kills and freezes processes."""

    def __init__(self, loop: SimulatedLoop, seed: int) -> None:
        self.loop = loop
        self.clock = SimulatedClock(loop)
        self.chance = Random(f"machine {seed}")
        self.processes: dict[str, list[Process]] = {}
        self.ends: list[tuple[float, str, BaseException | None]] = []
        self.history: list[str] = []
        self.traps: list[Trap] = []
        self.sprung: list[Trap] = []
        self.on_frozen: Callable[[str], None] = lambda _: None
        self._runs: dict[str, Start] = {}
        self._started = 0

    def say(self, text: str) -> None:
        """Add a line to what is told of a run that fails."""
        self.history.append(f"{self.loop.time():9.3f} {text}")

    def start(self, service: str, run: Start | None = None) -> Process:
        """Start a process, and start it again whenever it ends by itself or is killed."""
        run = self._runs.setdefault(service, run) if run is not None else self._runs[service]
        self._started += 1
        process = Process(f"{service}:{self._started}")
        self.processes.setdefault(service, []).append(process)
        self.say(f"start {process.name}")
        context = copy_context()
        context.run(CURRENT.set, process)
        task = self.loop.create_task(self._serve(run, process), name=process.name, context=context)
        world = copy_context()
        world.run(CURRENT.set, WORLD)
        task.add_done_callback(lambda _: self._ended(process, task), context=world)
        return process

    def kill(self, process: Process, why: str = "") -> None:
        """Kill -9; the supervisor sees it and starts the next one."""
        if process.life is Life.DEAD:
            return
        self.say(f"kill {process.name} {why}")
        process.kill()
        self._restart(process)

    def freeze(self, process: Process, seconds: float, why: str = "") -> None:
        """SIGSTOP, and SIGCONT after a while."""
        if process.life is not Life.RUNNING:
            return
        self.say(f"freeze {process.name} for {seconds:.1f} s {why}")
        process.freeze()
        self._as_world(seconds, self._thaw, process)
        self.on_frozen(process.name.partition(":")[0])

    def alive(self, service: str) -> list[Process]:
        """Return the processes of a service that are not dead."""
        return [process for process in self.processes.get(service, []) if process.life is not Life.DEAD]

    async def reach(self, step: str) -> None:
        """Let the present process come to a step of the protocol: it may not come further."""
        process = CURRENT.get()
        service = process.name.partition(":")[0]
        for trap in self.traps:
            if trap.service == service and trap.step in step:
                trap.nth -= 1
                if trap.nth == 0:
                    self.traps.remove(trap)
                    self.sprung.append(trap)
                    if trap.frozen_s is None:
                        self.kill(process, f"at {step}")
                    else:
                        self.freeze(process, trap.frozen_s, f"at {step}")
                    await asyncio.sleep(0)
                    return

    def _thaw(self, process: Process) -> None:
        if process.life is Life.FROZEN:
            self.say(f"thaw {process.name}")
            process.thaw()

    def _restart(self, process: Process) -> None:
        service = process.name.partition(":")[0]
        if not any(other is not process and other.life is Life.RUNNING for other in self.processes[service]):
            self._as_world(RESTART_S, self._start_again, service)

    def _start_again(self, service: str) -> None:
        if not any(process.life is Life.RUNNING for process in self.processes[service]):
            self.start(service)

    def _as_world(self, seconds: float, action: Callable[..., object], *args: object) -> None:
        context = copy_context()
        context.run(CURRENT.set, WORLD)
        self.loop.call_later(seconds, action, *args, context=context)

    async def _serve(self, run: Start, process: Process) -> None:
        await run(process.name)

    def _ended(self, process: Process, task: "asyncio.Task[None]") -> None:
        if process.life is Life.DEAD or task.cancelled():
            return
        error = task.exception()
        self.ends.append((self.loop.time(), process.name, error))
        self.say(f"ended {process.name}: {causes(error)}")
        if "NotImplementedError" in causes(error):
            raise AssertionError(f"the simulation lacks what {process.name} asked for: {causes(error)}")
        process.kill()
        self._restart(process)


def causes(error: BaseException | None) -> str:
    """Return the errors of a group in a line."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(causes(inner) for inner in error.exceptions)
    return repr(error)
