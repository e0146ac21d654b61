"""Starts, watches, restarts and stops the processes of one stack.

Invariant: a process starts after all that it depends on is ready and stops before them, and none outlives the
supervisor.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from libs.embedded import log_file
from libs.embedded.directory import DataDirectory
from libs.embedded.errors import EXIT_TIMED_OUT, EmbeddedError
from libs.embedded.lifecycle import KILLED_WITHIN_S, ManagedProcess
from libs.embedded.order import check_order, reversed_order, run_in_order
from libs.embedded.process import OnEvent, ProcessSpec, ProcessStatus
from libs.embedded.process_table import write_table

STOP_DEADLINE_S = 15.0
LOOK_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work that is done once in the course of the start: migrations, topics.

    Attributes:
        run: Does the work; what it raises ends the start.
    """

    name: str
    run: Callable[[], Awaitable[None]]
    depends_on: tuple[str, ...] = ()
    deadline_s: float = 60.0


class Supervisor:
    """The processes of one data directory.

    Use as a context manager; leaving it stops everything. The kernel ends the processes when the thread that started
    them ends, so its event loop belongs in a thread that lives as long as they should: the main one.

    Args:
        directory: Where logs and the table of processes are; its lock is held by the caller.
        on_event: Told of every change of state.
    """

    def __init__(self, directory: DataDirectory, *, on_event: OnEvent) -> None:
        self.time_to_ready_s: float | None = None
        self._directory = directory
        self._on_event = on_event
        self._processes: dict[str, ManagedProcess] = {}
        self._order: dict[str, tuple[str, ...]] = {}
        self._broken: asyncio.Future[None] | None = None
        self._looking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to look after processes."""
        self._broken = asyncio.get_running_loop().create_future()
        self._looking = asyncio.create_task(self._look())
        self._looking.add_done_callback(self._on_task_done)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything."""
        stopping = asyncio.ensure_future(self.stop())
        try:
            await asyncio.shield(stopping)
        except asyncio.CancelledError:
            await stopping  # a signal that arrives now asks for what is being done
            raise
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        if self._broken is not None:
            self._broken.cancel()
        self._write_table()

    async def start(self, processes: Iterable[ProcessSpec], jobs: Iterable[Job] = ()) -> None:
        """Start processes and run jobs, each after what it depends on, and return when all are ready.

        Raises:
            EmbeddedError: One failed or was not ready in time; the rest keeps running until `stop`.
            ValueError: A name stands twice, or the dependencies have no order.
        """
        started: list[ProcessSpec | Job] = [*processes, *jobs]
        added = {item.name: item for item in started}
        if len(added) < len(started) or added.keys() & self._order.keys():
            raise ValueError("expected every process and job to have a name of its own")
        before = set(self._order)
        order = {name: item.depends_on for name, item in added.items()}
        check_order(self._order | order)
        self._order |= order

        async def start_one(name: str) -> None:
            item = added[name]
            if isinstance(item, Job):
                await _run(item)
                return
            process = self._processes[name] = ManagedProcess(item, on_event=self._on_event)
            process.start().add_done_callback(self._on_task_done)
            await process.until_ready()

        await run_in_order({name: set(needed) - before for name, needed in order.items()}, start_one)

    async def stop(self, *, deadline_s: float = STOP_DEADLINE_S) -> None:
        """Stop every process, each after those that depend on it; what has not ended by the deadline is killed."""
        loop = asyncio.get_running_loop()
        ends_at_s = loop.time() + deadline_s - KILLED_WITHIN_S

        async def stop_one(name: str) -> None:
            process = self._processes.get(name)
            if process is not None:
                await process.stop(max(0.0, min(process.spec.stop_timeout_s, ends_at_s - loop.time())))

        await run_in_order(reversed_order(self._order), stop_one)

    async def broken(self) -> None:
        """Wait until supervision itself fails, and raise why; cancel it when the stack is to stop."""
        if self._broken is None:
            raise RuntimeError("expected the supervisor to be entered")
        await asyncio.shield(self._broken)

    def snapshot(self) -> tuple[ProcessStatus, ...]:
        """Return the state of every process, in the order of their start."""
        return tuple(process.status() for process in self._processes.values())

    def _write_table(self) -> None:
        write_table(self._directory, os.getpid(), self.snapshot(), self.time_to_ready_s)

    async def _look(self) -> None:
        while True:
            self._write_table()
            for name in self._processes:
                log_file.bound(self._directory.log_file(name))
            await asyncio.sleep(LOOK_INTERVAL_S)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self._broken is None or self._broken.done():
            return
        error = task.exception()
        if error is not None:
            self._broken.set_exception(error)
            self._broken.exception()  # it may be raised by start() already: then nobody asks for it here


async def _run(job: Job) -> None:
    try:
        async with asyncio.timeout(job.deadline_s):
            await job.run()
    except TimeoutError:
        raise EmbeddedError(
            f"{job.name}: expected it to be done within {job.deadline_s:g} s, found it unfinished",
            hint="The machine may be overloaded: try again.",
            exit_status=EXIT_TIMED_OUT,
        ) from None
