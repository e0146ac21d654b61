"""A whole stack as a user runs it: through the `trader` command, in a directory of its own."""

import asyncio
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from tests.support.trader import TRADER, UNMEASURED_TRADER

START_S_MAX = 180.0
COMMAND_S_MAX = 60.0
ASKED_EVERY_S = 1.0
STACK_VARIABLE = "TRADER_STACK"
PROCESSES = {
    "kafka",
    "postgres",
    "redis",
    "paper_exchange",
    "market_monitor",
    "signal_generator",
    "risk_manager",
    "trade_executor",
    "position_manager",
    "notifier",
    "audit_recorder",
    "watchdog",
}
_IS_POLLING: ContextVar[bool] = ContextVar("is_polling", default=False)


class CommandFailed(AssertionError):  # noqa: N818 - a failed expectation of a test, told as such
    """A `trader` command ended with another status than the test expects."""


class StackUnderTest:
    """Starts, asks and ends one stack."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._database = ""

    def start(self, *options: str) -> None:
        """Start it in the background; returns when it is ready."""
        self._database = ""
        self.trader("up", "--detach", *options, seconds=START_S_MAX)

    def stop(self) -> None:
        """Stop it in order."""
        self.trader("down")

    def trader(self, *arguments: str, status: int = 0, seconds: float = COMMAND_S_MAX) -> str:
        """Run a command; return its standard output.

        Raises:
            CommandFailed: It ended with another status.
        """
        command = UNMEASURED_TRADER if _IS_POLLING.get() else TRADER
        done = subprocess.run(
            [*command, *arguments, "--data-dir", str(self.data_dir)],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != status:
            message = f"trader {' '.join(arguments)}: expected status {status}, found {done.returncode}:\n{done.stderr}"
            raise CommandFailed(message)
        return done.stdout

    def ask(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        """Run a reading command with `--json`; return its object."""
        content = json.loads(self.trader(*arguments, "--json", status=status))
        assert isinstance(content, dict)
        return content

    def endpoints(self) -> dict[str, Any]:
        return self.ask("endpoints")

    def processes(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in self.ask("ps")["processes"]}

    def all_ready(self) -> bool:
        return all(row["ready"] for row in self.processes().values())

    def supervisor_pid(self) -> int:
        return int((self.data_dir / "run" / "supervisor.lock").read_text())

    def pids(self) -> set[int]:
        """Return every process that carries this stack's mark, whoever its parent is."""
        found = set()
        for process in psutil.process_iter():
            try:
                marked = process.environ().get(STACK_VARIABLE) == str(self.data_dir.resolve())
            except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
            if marked:
                found.add(process.pid)
        return found

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.kill(self.supervisor_pid(), signal.SIGINT)

    def query(self, statement: str, *parameters: Any) -> list[Mapping[str, Any]]:
        """Read the database under the reader's role."""
        self._database = self._database or self.endpoints()["postgres"]

        async def read() -> list[Mapping[str, Any]]:
            connection = await asyncpg.connect(self._database)
            try:
                return [dict(row) for row in await connection.fetch(statement, *parameters)]
            finally:
                await connection.close()

        return asyncio.run(read())


def stop_if_running(stack: StackUnderTest) -> None:
    """Stop it, unless its test did."""
    try:
        stack.stop()
    except CommandFailed:
        return


@contextmanager
def directory_of_stacks() -> Iterator[Path]:
    """Lend a directory that is gone afterwards, open to the account that Postgres runs as when we are root."""
    # Not below pytest's own directory, which is closed to others.
    with tempfile.TemporaryDirectory(prefix="trader-e2e-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        yield Path(name)


def until(probe: Callable[[], Any], *, seconds: float, what: str) -> Any:
    """Return the first truthy answer of `probe`; fail when none came in time.

    Asking costs a process each time, on the processors that the stack needs.
    """
    ends = time.monotonic() + seconds
    is_polling = _IS_POLLING.set(True)
    try:
        while not (answer := probe()):
            if time.monotonic() > ends:
                message = f"expected {what} within {seconds:g} s, found {answer!r}"
                raise AssertionError(message)
            time.sleep(ASKED_EVERY_S)
    finally:
        _IS_POLLING.reset(is_polling)
    return answer


@contextmanager
def trading_stack() -> Iterator[StackUnderTest]:
    """Lend a stack that has bought and sold."""
    with directory_of_stacks() as directory:
        stack = StackUnderTest(directory / "trading")
        stack.start()
        try:
            until(lambda: len(stack.ask("fills")["fills"]) > 2, seconds=120, what="three fills")
            yield stack
        finally:
            stop_if_running(stack)
