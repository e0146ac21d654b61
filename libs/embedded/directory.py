"""The data directory of a stack: its layout, its version, and the lock that keeps a second stack out.

Invariant: whoever writes below the directory holds its lock, except the readers' side of `run/`.

    version.json            layout version; refused when it is newer than this program
    ports.json              the ports picked at the first start
    secrets/                one file a password (0700, files 0600)
    kafka/ postgres/ valkey/  the stores
    logs/NAME.log           bounded (see `log_file`)
    run/supervisor.lock     held while the stack runs; holds its process id
    run/processes.json      what `trader ps` shows, rewritten every second
    run/endpoints.json      where to connect
"""

import asyncio
import fcntl
import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from libs.embedded.errors import EXIT_CONFIGURATION, EXIT_NOT_RUNNING, EXIT_TIMED_OUT, EmbeddedError

LAYOUT_VERSION = 1
FREE_BYTES_MIN = 500 * 1024 * 1024
"""A fresh stack takes 150 MB at once (Postgres, its first write-ahead segments, Kafka's indexes), and a broker with a
full disk stops for good: below this there is no point in starting."""


class DataDirectory:
    """Paths below one data directory, and the checks before they are used.

    Args:
        root: The directory; created when missing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.logs = self.root / "logs"
        self.run = self.root / "run"
        self.secrets = self.root / "secrets"
        self.lock_file = self.run / "supervisor.lock"
        self.processes_file = self.run / "processes.json"
        self.endpoints_file = self.run / "endpoints.json"
        self.ports_file = self.root / "ports.json"

    def log_file(self, name: str) -> Path:
        """Return where a process logs."""
        return self.logs / f"{name}.log"

    def create(self) -> None:
        """Make the directory usable.

        Raises:
            EmbeddedError: It cannot be created, was written by a newer version, or its disk is all but full.
        """
        try:
            # 0711: the account that Postgres runs as has to pass, not to list.
            self.root.mkdir(mode=0o711, parents=True, exist_ok=True)
            for path in (self.logs, self.run, self.secrets):
                path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise EmbeddedError(
                f"{self.root}: expected a directory that can be written, found {error.strerror}",
                hint="Choose another with --data-dir.",
                exit_status=EXIT_CONFIGURATION,
            ) from error
        self._check_version()
        self._check_space()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for this process; the kernel lets go when it dies.

        Raises:
            EmbeddedError: Another stack runs here.
        """
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise EmbeddedError(
                    f"{self.root}: expected no stack, found one already running (pid {self._pid_text()})",
                    hint="Stop it with `trader down`, or use another directory with --data-dir.",
                ) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def running_pid(self) -> int | None:
        """Return the process id of the stack that runs here, or None."""
        with suppress(FileNotFoundError, NotADirectoryError):
            descriptor = os.open(self.lock_file, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = self._pid_text()
                return int(text) if text.isdigit() else None
            finally:
                os.close(descriptor)
        return None

    async def stop_running(self, *, deadline_s: float = 20.0) -> None:
        """Ask the stack that runs here to stop, and wait until it has.

        Raises:
            EmbeddedError: None runs (exit status 3), or it did not stop in time (5).
        """
        pid = self.running_pid()
        if pid is None:
            raise EmbeddedError(
                f"{self.root}: expected a running stack, found none",
                hint="Start one with `trader up`, or name its directory with --data-dir.",
                exit_status=EXIT_NOT_RUNNING,
            )
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(deadline_s):
                while self.running_pid() == pid:  # noqa: ASYNC110 - another process holds the lock: nothing to wait on
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise EmbeddedError(
                f"{self.root}: expected the stack (pid {pid}) to stop within {deadline_s:g} s, found it still running",
                hint=f"See {self.logs}; `kill -9 {pid}` ends it and everything it started.",
                exit_status=EXIT_TIMED_OUT,
            ) from None

    def _pid_text(self) -> str:
        return self.lock_file.read_text(encoding="ascii").strip()

    def _check_version(self) -> None:
        path = self.root / "version.json"
        if not path.exists():
            write_atomically(path, json.dumps({"layout": LAYOUT_VERSION}))
            return
        try:
            found = int(json.loads(path.read_text(encoding="utf-8"))["layout"])
        except (ValueError, KeyError, TypeError) as error:
            raise EmbeddedError(
                f'{path}: expected {{"layout": {LAYOUT_VERSION}}}, found something else ({error})',
                hint="The file was damaged: restore it, or use another directory with --data-dir.",
                exit_status=EXIT_CONFIGURATION,
            ) from error
        if found > LAYOUT_VERSION:
            raise EmbeddedError(
                f"{self.root}: expected layout version {LAYOUT_VERSION} or older, found {found}",
                hint="A newer version of this program wrote it: update this one, or choose another with --data-dir.",
                exit_status=EXIT_CONFIGURATION,
            )

    def _check_space(self) -> None:
        free = shutil.disk_usage(self.root).free
        if free < FREE_BYTES_MIN:
            raise EmbeddedError(
                f"{self.root}: expected {FREE_BYTES_MIN // 2**20} MiB free on its disk, found {free // 2**20} MiB",
                hint="Free some space, or use a directory on another disk with --data-dir.",
            )


def write_atomically(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Replace a file so that a reader sees the old text or the new one, never a part."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)
