"""What a person is told when a command cannot do its work, and the exit status that goes with it.

Exit statuses: 0 done, 1 failed, 2 usage, 3 not running or unreachable, 4 configuration, 5 timed out,
6 a check found something, 130 interrupted.
"""

import sys
from enum import IntEnum


class ExitStatus(IntEnum):
    """The exit statuses of `trader`."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 3
    CONFIGURATION = 4
    TIMED_OUT = 5
    FOUND = 6
    INTERRUPTED = 130


class CommandError(Exception):
    """A command cannot go on.

    Args:
        message: What was expected, what was found, and where.
        hint: What to do about it.
        status: The exit status.
    """

    def __init__(self, message: str, *, hint: str = "", status: ExitStatus = ExitStatus.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status


def is_debugging() -> bool:
    """Return whether tracebacks and the libraries' log lines are wanted: `--debug`, wherever it stands."""
    return "--debug" in sys.argv[1:]
