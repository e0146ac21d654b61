"""`trader up`: start everything, watch it, stop it in order."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from cli.errors import CommandError, ExitStatus
from cli.logs import log_to_file
from cli.output import tell
from cli.place import Place
from cli.stack.composition import Composition
from cli.stack.plan import Plan
from cli.stack.report import RunReporter
from cli.versions import warn_of_files
from libs.embedded import log_file
from libs.embedded.directory import DataDirectory, write_atomically
from libs.embedded.errors import EmbeddedError
from libs.embedded.process import ProcessEvent
from libs.embedded.process_table import read_table
from libs.embedded.stack import Phase, Stack, open_stack, run_until_signal

DETACHED_READY_S_MAX = 180.0
POLL_S = 0.2
VIEW_CLOSED_S_MAX = 2.0
LAST_LINES = 5


class View(Protocol):
    """What a person sees of a running stack."""

    def on_event(self, event: ProcessEvent | Phase) -> None:
        """Show a change of a process or a step of the start."""
        ...

    def on_fetch(self, done: int, of: int) -> None:
        """Show how far the first download is."""
        ...

    async def follow(self, stack: Stack, composition: Composition) -> None:
        """Show what goes on, until cancelled."""
        ...


async def run_stack(data_dir: Path, plan: Plan, *, view: View) -> ExitStatus:
    """Run a stack until it is asked to stop or its time is over; return the exit status.

    Raises:
        EmbeddedError: It cannot start; what had started is stopped again.
    """
    reporter = RunReporter()

    async def work() -> None:
        async with open_stack(data_dir, on_event=view.on_event, on_fetch=view.on_fetch) as stack:
            log_to_file(stack.directory.log_file("supervisor"))
            composition = Composition(
                stack=stack,
                configuration=plan.configuration,
                start_active=plan.start_active,
                origins=plan.origins,
                variables=os.environ,
            )
            composition.prepare()
            await stack.start(composition.services(), composition.jobs())
            stack.write_endpoints(composition.endpoints())
            await warn_of_files(Place(stack.directory, {"postgres": composition.endpoints()["postgres"]}))
            following = asyncio.ensure_future(view.follow(stack, composition))
            try:
                await stack.run(_elapsed(plan.run_for))
            finally:
                following.cancel()
                await asyncio.wait({following}, timeout=VIEW_CLOSED_S_MAX)
                _tell_if_heard("Stopping…")
            if plan.report_file is not None:
                write_report(plan.report_file, await reporter.report(stack, composition))

    interrupted = await run_until_signal(work())
    _tell_if_heard(f"Stopped; the data stays in {data_dir}.")
    return ExitStatus.INTERRUPTED if interrupted is signal.SIGINT else ExitStatus.DONE


def check_alone(directory: DataDirectory) -> None:
    """Check that no stack runs in a directory, before anything is said about the one to be started.

    Raises:
        EmbeddedError: One does.
    """
    if directory.running_pid() is not None:
        with directory.locked():
            pass


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Write the report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path.resolve(), json.dumps(report, indent=2, default=str) + "\n", mode=0o644)


def detach(arguments: list[str], data_dir: Path) -> int:
    """Start `trader up` in a session of its own; return its process id once it is ready.

    Raises:
        CommandError: It ended before it was ready, or was not ready in time.
    """
    directory = DataDirectory(data_dir)
    directory.create()
    with directory.locked():
        pass  # nothing runs here: otherwise its table would be taken for that of the stack to be started
    log = directory.log_file("trader")
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-m", "cli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=os.environ,
        )
    deadline_s = time.monotonic() + DETACHED_READY_S_MAX
    while time.monotonic() < deadline_s:
        table = read_table(directory)
        if table is not None and table.time_to_ready_s is not None and directory.endpoints_file.exists():
            return process.pid
        if process.poll() is not None:
            raise EmbeddedError(
                f"{directory.root}: expected a stack that becomes ready, found one that ended ({process.returncode})",
                hint="\n".join((f"Its log is {log} and ends with:", *log_file.last_lines(log, LAST_LINES))),
                exit_status=process.returncode if process.returncode > 0 else ExitStatus.FAILED,
            )
        time.sleep(POLL_S)
    process.terminate()
    raise CommandError(
        f"{directory.root}: expected a stack that is ready within {DETACHED_READY_S_MAX:g} s, found it still starting",
        hint=f"Its log is {log}.",
        status=ExitStatus.TIMED_OUT,
    )


def _tell_if_heard(text: str) -> None:
    """Say something that must not keep a stack from stopping: Ctrl-C ends the other end of a pipe, too."""
    with suppress(BrokenPipeError):
        tell(text)


async def _elapsed(run_for: timedelta | None) -> None:
    """Wait for the time that the run is to last, counted from now; without one, for ever."""
    if run_for is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(run_for.total_seconds())
