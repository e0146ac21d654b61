"""What takes too long, or has gone meanwhile, is told and does not hold anything up."""

import asyncio
import os
import socket
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from libs.embedded.directory import DataDirectory
from libs.embedded.errors import EXIT_TIMED_OUT, EmbeddedError
from libs.embedded.lifecycle import PROBE_DEADLINE_S, ManagedProcess, _resident_mb
from libs.embedded.process import ProcessSpec
from libs.embedded.process_table import STACK_VARIABLE, _stack_of, end_leftovers
from libs.embedded.services import answers_ok
from libs.embedded.supervisor import Job, Supervisor, _run
from tests.support.virtual_time import run_in_virtual_time


async def never() -> bool:
    return await asyncio.Event().wait()


def a_directory(root: Path) -> DataDirectory:
    directory = DataDirectory(root)
    directory.create()
    return directory


def test_a_job_that_does_not_end_ends_the_start():
    async def work() -> None:
        await never()

    with pytest.raises(EmbeddedError, match="topics: expected it to be done within 7 s") as late:
        run_in_virtual_time(_run(Job(name="topics", run=work, deadline_s=7)))
    assert late.value.exit_status == EXIT_TIMED_OUT


def test_a_process_that_does_not_answer_its_probe_is_not_ready(tmp_path: Path):
    spec = ProcessSpec(
        name="mute",
        command=("true",),
        log_file=tmp_path / "log",
        environment={},
        working_directory=tmp_path,
        ready=never,
    )

    async def probed() -> tuple[bool, float]:
        answer = await ManagedProcess(spec, on_event=lambda _: None)._probe()
        return answer, asyncio.get_running_loop().time()

    assert run_in_virtual_time(probed()) == (False, PROBE_DEADLINE_S)


async def test_nobody_at_a_port_is_not_ready():
    assert not await answers_ok(1, "/healthz")()


async def test_a_process_that_dies_while_it_is_asked_is_not_ready():
    def die(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        no_farewell = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_farewell)
        writer.transport.abort()

    async with await asyncio.start_server(die, "127.0.0.1", 0) as server:
        assert not await answers_ok(server.sockets[0].getsockname()[1], "/healthz")()


def test_a_stack_that_does_not_stop_is_told_with_the_way_to_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    directory = a_directory(tmp_path)
    monkeypatch.setattr(DataDirectory, "running_pid", lambda _: 4_242)
    monkeypatch.setattr(os, "kill", lambda *_: None)

    with pytest.raises(EmbeddedError, match="to stop within 3 s, found it still running") as late:
        run_in_virtual_time(directory.stop_running(deadline_s=3))
    assert late.value.exit_status == EXIT_TIMED_OUT
    assert "kill -9 4242" in str(late.value.hint)


def test_a_leftover_that_ends_before_it_is_killed_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    directory = a_directory(tmp_path)

    class Ending:
        """A process of an earlier stack."""

        pid = 2**22 + 1  # above every process id

        def environ(self) -> dict[str, str]:
            return {STACK_VARIABLE: str(directory.root)}

        def kill(self) -> None:
            raise psutil.NoSuchProcess(self.pid)

    directory.processes_file.write_text(f'{{"births": {{"{Ending.pid}": 1.0}}}}')
    monkeypatch.setattr(psutil, "process_iter", lambda: [Ending()])
    monkeypatch.setattr(psutil, "wait_procs", lambda *_, **__: None)

    assert end_leftovers(directory) == (Ending.pid,)


async def test_a_supervisor_that_is_interrupted_while_it_stops_has_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    stopping, may_stop, stopped = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def stop(_: Supervisor, **__: Any) -> None:
        stopping.set()
        await may_stop.wait()
        stopped.set()

    async def run() -> None:
        async with Supervisor(a_directory(tmp_path), on_event=lambda _: None):
            pass

    monkeypatch.setattr(Supervisor, "stop", stop)
    running = asyncio.create_task(run())
    await stopping.wait()
    running.cancel()
    await asyncio.sleep(0)
    may_stop.set()

    with pytest.raises(asyncio.CancelledError):
        await running
    assert stopped.is_set()


@pytest.mark.parametrize("error", [psutil.AccessDenied(1), psutil.NoSuchProcess(1), PermissionError()])
def test_a_process_that_cannot_be_looked_into_belongs_to_no_stack(error: Exception):
    def environ() -> dict[str, str]:
        raise error

    foreign: Any = SimpleNamespace(environ=environ)

    assert _stack_of(foreign) is None


def test_a_process_that_has_gone_takes_no_memory():
    assert _resident_mb(2**22 + 1) == 0.0  # above every process id
