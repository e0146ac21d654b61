import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from libs.embedded.backoff import Backoff
from libs.embedded.directory import DataDirectory
from libs.embedded.errors import EmbeddedError
from libs.embedded.process import ProcessEvent, ProcessSpec, ProcessState, ProcessStatus
from libs.embedded.process_table import STACK_VARIABLE, end_leftovers
from libs.embedded.supervisor import Job, Supervisor

SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"


class Bench:
    """A supervisor in a directory of its own, and what it said."""

    def __init__(self, root: Path) -> None:
        self.directory = DataDirectory(root)
        self.directory.create()
        self.events: list[ProcessEvent] = []
        self.supervisor = Supervisor(self.directory, on_event=self.events.append)

    def a_process(self, name: str = "service", program: str = SLEEPER, **more: Any) -> ProcessSpec:
        log = self.directory.log_file(name)

        async def has_written() -> bool:
            return log.exists() and b"up" in log.read_bytes()

        settings: dict[str, Any] = {
            "command": (sys.executable, "-c", program),
            "log_file": log,
            "environment": dict(os.environ),
            "working_directory": self.directory.root,
            "ready": has_written,
            "ready_deadline_s": 10.0,
            "backoff": Backoff(first_s=0.01),
        }
        return ProcessSpec(name=name, **settings | more)

    def status(self, name: str = "service") -> ProcessStatus:
        return next(row for row in self.supervisor.snapshot() if row.name == name)

    def states(self, name: str = "service") -> list[ProcessState]:
        return [event.state for event in self.events if event.process == name]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    async with made.supervisor:
        yield made


async def test_a_killed_process_is_reported_with_its_last_lines_and_started_again(bench: Bench) -> None:
    await bench.supervisor.start([bench.a_process()])
    first = bench.status().pid
    assert first is not None

    os.kill(first, signal.SIGKILL)
    await eventually(lambda: bench.status().restarts == 1 and bench.status().ready)

    end = next(event.exit for event in bench.events if event.state is ProcessState.BACKOFF)
    assert end is not None
    assert (end.pid, end.signal, end.code, end.last_lines) == (first, "SIGKILL", None, ("up",))
    assert bench.status().pid != first
    assert bench.status().rss_mb > 1


async def test_the_states_of_a_life_are_told_in_order(bench: Bench) -> None:
    await bench.supervisor.start([bench.a_process()])
    await bench.supervisor.stop()

    assert bench.states() == ["starting", "starting", "ready", "stopped"]
    assert (bench.status().pid, bench.status().ready, bench.status().uptime_s) == (None, False, 0.0)


async def test_a_process_that_answers_no_more_is_running_but_not_ready(bench: Bench) -> None:
    answers = True

    async def ready() -> bool:
        return answers

    await bench.supervisor.start([bench.a_process(ready=ready)])
    answers = False

    await eventually(lambda: bench.status().state is ProcessState.RUNNING)
    assert not bench.status().ready


async def test_a_useless_restart_is_not_tried_and_its_status_and_last_words_are_told(bench: Bench) -> None:
    program = "import sys; print('error: unknown key'); sys.exit(4)"

    with pytest.raises(EmbeddedError, match=r"exit status 4 \(0 restarts\)") as failed:
        await bench.supervisor.start([bench.a_process(program=program, final_statuses=frozenset({4}))])

    assert "error: unknown key" in failed.value.hint
    assert failed.value.exit_status == 4
    assert bench.status().state is ProcessState.FAILED


async def test_a_process_that_never_becomes_ready_is_given_up_after_its_attempts(bench: Bench) -> None:
    with pytest.raises(EmbeddedError, match="expected it to become ready, found its last end was exit status 1"):
        await bench.supervisor.start([bench.a_process(program="raise SystemExit(1)", attempts_max=3)])

    assert bench.status().restarts == 2  # 3 attempts


async def test_a_process_that_is_silent_past_its_deadline_is_a_time_out(bench: Bench) -> None:
    async def never() -> bool:
        return False

    with pytest.raises(EmbeddedError, match=r"within 0\.3 s, found no end and no answer") as failed:
        await bench.supervisor.start([bench.a_process(ready=never, ready_deadline_s=0.3)])
    assert failed.value.exit_status == 5


async def test_a_process_that_ignores_the_stop_signal_is_killed_after_its_time(bench: Bench) -> None:
    await bench.supervisor.start([bench.a_process(program=STUBBORN, stop_timeout_s=0.2)])

    await bench.supervisor.stop()

    assert bench.events[-1].exit is not None
    assert bench.events[-1].exit.signal == "SIGKILL"


async def test_what_a_process_started_ends_with_it(bench: Bench) -> None:
    program = (
        "import subprocess, sys; child = subprocess.Popen(['sleep', '60']); "
        "print('up', child.pid, flush=True); child.wait()"
    )
    await bench.supervisor.start([bench.a_process(program=program)])
    grandchild = int(bench.directory.log_file("service").read_text().split()[1])

    await bench.supervisor.stop()

    await eventually(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == "zombie")


async def test_jobs_run_between_what_they_need_and_what_needs_them(bench: Bench) -> None:
    async def migrate() -> None:
        assert bench.status("store").ready
        with pytest.raises(StopIteration):
            bench.status("service")

    await bench.supervisor.start(
        [bench.a_process("store"), bench.a_process("service", depends_on=("migrations",))],
        [Job(name="migrations", run=migrate, depends_on=("store",))],
    )

    assert bench.status("service").ready


async def test_processes_stop_before_what_they_depend_on(bench: Bench) -> None:
    await bench.supervisor.start([bench.a_process("store"), bench.a_process("service", depends_on=("store",))])

    await bench.supervisor.stop()

    assert [event.process for event in bench.events if event.state is ProcessState.STOPPED] == ["service", "store"]


async def test_a_failed_job_ends_the_start(bench: Bench) -> None:
    async def migrate() -> None:
        raise ConnectionError("no database")

    with pytest.raises(ConnectionError, match="no database"):
        await bench.supervisor.start([], [Job(name="migrations", run=migrate)])


async def test_a_name_stands_once(bench: Bench) -> None:
    with pytest.raises(ValueError, match="name of its own"):
        await bench.supervisor.start([bench.a_process(), bench.a_process()])


async def test_a_stop_during_preparation_ends_it(bench: Bench) -> None:
    preparing = asyncio.Event()

    async def prepare() -> None:
        preparing.set()
        await asyncio.sleep(60)

    start = asyncio.create_task(bench.supervisor.start([bench.a_process(prepare=prepare)]))
    await preparing.wait()
    await bench.supervisor.stop()

    with pytest.raises(EmbeddedError):
        await start
    assert bench.status().state is ProcessState.STOPPED


async def test_what_a_killed_stack_left_behind_is_ended_and_nothing_else(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    marked = {**os.environ, STACK_VARIABLE: str(bench.directory.root)}
    other = {**os.environ, STACK_VARIABLE: str(tmp_path.parent)}
    ours, theirs = [
        await asyncio.create_subprocess_exec("sleep", "60", env=environment) for environment in (marked, other)
    ]

    assert await asyncio.to_thread(end_leftovers, bench.directory) == (ours.pid,)

    await ours.wait()  # its status may have been read by the look at whether it is gone: we are its parent here
    assert not psutil.pid_exists(ours.pid)
    assert theirs.returncode is None
    theirs.kill()
    await theirs.wait()


async def eventually(condition: Callable[[], bool], *, within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - other processes: nothing to wait on
            await asyncio.sleep(0.02)
