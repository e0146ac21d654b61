"""The life of one supervised process: prepare, start, watch, restart, stop.

Invariant: whatever starts a program here ends it too, its process group included; and should the supervisor itself be
killed, the kernel ends it (`launch`).
"""

import asyncio
import os
import signal
from contextlib import suppress

import psutil

from libs.embedded import log_file
from libs.embedded.command import launched, run_to_end
from libs.embedded.errors import EXIT_TIMED_OUT, EmbeddedError
from libs.embedded.process import OnEvent, ProcessEvent, ProcessExit, ProcessSpec, ProcessState, ProcessStatus

__all__ = ["KILLED_WITHIN_S", "ManagedProcess", "run_to_end"]

PROBE_DEADLINE_S = 2.0
PROBE_INTERVAL_READY_S = 2.0
PROBE_INTERVAL_RUNNING_S = 0.5
PROBE_INTERVAL_STARTING_S = 0.1
KILLED_WITHIN_S = 5.0
LAST_LINES = 20

_PROBE_INTERVALS_S = {
    ProcessState.STARTING: PROBE_INTERVAL_STARTING_S,
    ProcessState.READY: PROBE_INTERVAL_READY_S,
}
"""Whoever waits for a process to be ready shall not wait for us; while it is, its end shows without a question."""


class ManagedProcess:
    """Keeps one process running until it is told to stop."""

    def __init__(self, spec: ProcessSpec, *, on_event: OnEvent) -> None:
        self.spec = spec
        self.restarts = 0
        self._on_event = on_event
        self._state = ProcessState.STOPPED
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._been_ready = asyncio.Event()
        self._started_at_s = 0.0
        self._last_exit: ProcessExit | None = None

    def start(self) -> asyncio.Task[None]:
        """Start to keep it running; the task ends with the process's last life."""
        self._task = asyncio.create_task(self._live(), name=self.spec.name)
        return self._task

    async def until_ready(self) -> None:
        """Wait until it has been ready once.

        Raises:
            EmbeddedError: It failed, or was not ready within its deadline.
        """
        task = self._running_task()
        ready = asyncio.create_task(self._been_ready.wait())
        try:
            await asyncio.wait({ready, task}, timeout=self.spec.ready_deadline_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if self._been_ready.is_set():
            return
        if task.done() and not task.cancelled():
            task.result()
        raise self._not_ready(timed_out=not task.done())

    async def stop(self, timeout_s: float) -> None:
        """Ask it to end, and end it when it has not within the time given."""
        task = self._running_task()
        self._stopping = True
        if self._process is None:
            task.cancel()  # it is being prepared or waits for a restart: nothing to ask
        else:
            self._signal(self.spec.stop_signal)
        _, still_running = await asyncio.wait({task}, timeout=timeout_s)
        if still_running:
            self._signal(signal.SIGKILL)
            await asyncio.wait({task}, timeout=KILLED_WITHIN_S)

    def status(self) -> ProcessStatus:
        """Return what is known of it now."""
        process = self._process
        now_s = asyncio.get_running_loop().time()
        return ProcessStatus(
            name=self.spec.name,
            pid=process.pid if process else None,
            state=self._state,
            restarts=self.restarts,
            uptime_s=round(now_s - self._started_at_s, 1) if process else 0.0,
            rss_mb=_resident_mb(process.pid) if process else 0.0,
            ready=self._state is ProcessState.READY,
            metrics_url=self.spec.metrics_url,
        )

    async def _live(self) -> None:
        crashes = 0
        try:
            self._enter(ProcessState.STARTING)
            await self.spec.prepare()
            while True:
                ended = await self._live_once()
                if self._stopping:
                    return
                crashes = self.spec.backoff.crashes_in_a_row(crashes, lived_s=ended.lived_s)
                hopeless = not self._been_ready.is_set() and crashes >= self.spec.attempts_max
                if hopeless or ended.code in self.spec.final_statuses:
                    self._enter(ProcessState.FAILED, ended=ended)
                    return
                delay_s = self.spec.backoff.delay_s(crashes)
                self._enter(ProcessState.BACKOFF, ended=ended, retry_in_s=delay_s)
                await asyncio.sleep(delay_s)
                self.restarts += 1
        finally:
            if self._state is not ProcessState.FAILED:
                self._enter(ProcessState.STOPPED, ended=self._last_exit if self._stopping else None)

    async def _live_once(self) -> ProcessExit:
        loop = asyncio.get_running_loop()
        self._started_at_s = loop.time()
        process = self._process = await self._spawn()
        self._enter(ProcessState.STARTING)
        watch = asyncio.create_task(self._watch_readiness())
        try:
            status = await process.wait()
        finally:
            watch.cancel()
            self._signal(signal.SIGKILL)  # what it may have started itself; and itself, when this task is cancelled
            self._process = None
            await asyncio.gather(watch, return_exceptions=True)
        self._last_exit = ProcessExit(
            pid=process.pid,
            code=status if status >= 0 else None,
            signal=signal.Signals(-status).name if status < 0 else None,
            lived_s=loop.time() - self._started_at_s,
            last_lines=log_file.last_lines(self.spec.log_file, LAST_LINES),
        )
        return self._last_exit

    async def _spawn(self) -> asyncio.subprocess.Process:
        log = log_file.open_for_child(self.spec.log_file)
        try:
            return await asyncio.create_subprocess_exec(
                *launched(self.spec.command, identity=self.spec.identity),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.spec.environment,
                cwd=self.spec.working_directory,
                start_new_session=True,  # a terminal's Ctrl-C reaches the supervisor alone, which stops in order
            )
        finally:
            os.close(log)

    async def _watch_readiness(self) -> None:
        while True:
            ready = await self._probe()
            if ready and self._state is not ProcessState.READY:
                self._been_ready.set()
                self._enter(ProcessState.READY)
            elif not ready and self._state is ProcessState.READY:
                self._enter(ProcessState.RUNNING)
            await asyncio.sleep(_PROBE_INTERVALS_S.get(self._state, PROBE_INTERVAL_RUNNING_S))

    async def _probe(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_DEADLINE_S):
                return await self.spec.ready()
        except TimeoutError:
            return False

    def _enter(self, state: ProcessState, *, ended: ProcessExit | None = None, retry_in_s: float | None = None) -> None:
        self._state = state
        self._on_event(
            ProcessEvent(
                process=self.spec.name,
                state=state,
                pid=self._process.pid if self._process else None,
                exit=ended,
                retry_in_s=retry_in_s,
            )
        )

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            if number is signal.SIGKILL:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)

    def _running_task(self) -> asyncio.Task[None]:
        if self._task is None:
            raise RuntimeError(f"{self.spec.name}: expected start() to have been called")
        return self._task

    def _not_ready(self, *, timed_out: bool) -> EmbeddedError:
        ended = self._last_exit
        found = f"its last end was {ended.cause}" if ended else "no end and no answer"
        lines = ended.last_lines if ended else log_file.last_lines(self.spec.log_file, LAST_LINES)
        waited = f" within {self.spec.ready_deadline_s:g} s" if timed_out else ""
        return EmbeddedError(
            f"{self.spec.name}: expected it to become ready{waited}, found {found} ({self.restarts} restarts)",
            hint="\n".join((f"Its log is {self.spec.log_file} and ends with:", *lines)),
            exit_status=EXIT_TIMED_OUT if timed_out else (ended.code if ended and ended.code else 1),
        )


def _resident_mb(pid: int) -> float:
    try:
        return float(round(psutil.Process(pid).memory_info().rss / 1e6, 1))
    except psutil.Error:
        return 0.0
