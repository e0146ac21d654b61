"""What a supervised process is, and what is said about it while it lives."""

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from libs.embedded.backoff import Backoff
from libs.embedded.launch import SELF


class ProcessState(StrEnum):
    """Where a process stands between its start and its end."""

    STARTING = "starting"
    """Prepared or running, and has not been ready in this life yet."""
    READY = "ready"
    """Runs and can do its work now."""
    RUNNING = "running"
    """Runs and was ready, but its last answer was no answer."""
    BACKOFF = "backoff"
    """Crashed; waits for its restart."""
    STOPPED = "stopped"
    """Ended because it was told to."""
    FAILED = "failed"
    """Ended for good: a restart cannot help (its configuration), or it never became ready."""


async def nothing_to_prepare() -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """How to start a process, know that it works, and stop it.

    Attributes:
        name: Unique in the stack; also the name of its log.
        command: The program and its arguments. Visible to every user of the machine: no secrets.
        log_file: Where its standard output and error go.
        ready: A round trip that shows that it can do its work now. Returns False rather than raising; it is cut off
            after two seconds.
        environment: Its whole environment.
        working_directory: Where it runs.
        depends_on: Names of the processes and jobs that come before it; it is stopped before them.
        prepare: Done once before the first start.
        identity: The account it runs as, one of `libs.embedded.launch`.
        stop_signal: Asks it to end in order.
        stop_timeout_s: How long it may take over that.
        ready_deadline_s: How long the first start may take, restarts included.
        attempts_max: This many crashes before it has ever been ready mean that it never will be.
        final_statuses: Exit statuses after which a restart is useless.
        backoff: Delays between restarts.
        metrics_url: Where its metrics are, if it has any.
    """

    name: str
    command: tuple[str, ...]
    log_file: Path
    ready: Callable[[], Awaitable[bool]]
    environment: Mapping[str, str]
    working_directory: Path
    depends_on: tuple[str, ...] = ()
    prepare: Callable[[], Awaitable[None]] = nothing_to_prepare
    identity: str = SELF
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 5.0
    ready_deadline_s: float = 60.0
    attempts_max: int = 5
    final_statuses: frozenset[int] = frozenset()
    backoff: Backoff = field(default_factory=Backoff)
    metrics_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessExit:
    """The end of one life of a process.

    Attributes:
        code: Its exit status, or None when a signal ended it.
        signal: The signal's name, or None.
        lived_s: Seconds from its start.
        last_lines: The end of its log, oldest first.
    """

    pid: int
    code: int | None
    signal: str | None
    lived_s: float
    last_lines: tuple[str, ...]

    @property
    def cause(self) -> str:
        """Say in a few words how it ended."""
        return f"killed by {self.signal}" if self.signal else f"exit status {self.code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEvent:
    """A process has entered a state.

    Attributes:
        exit: How its last life ended, for the states that follow an end.
        retry_in_s: Seconds until its restart, in `BACKOFF`.
    """

    process: str
    state: ProcessState
    pid: int | None
    exit: ProcessExit | None = None
    retry_in_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """One row of `trader ps`."""

    name: str
    pid: int | None
    state: ProcessState
    restarts: int
    uptime_s: float
    rss_mb: float
    ready: bool
    metrics_url: str | None


OnEvent = Callable[[ProcessEvent], None]
