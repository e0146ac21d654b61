"""What a person is told when the embedded stack cannot do its work."""

from libs.common.errors import TraderError

EXIT_FAILED = 1
EXIT_NOT_RUNNING = 3
EXIT_CONFIGURATION = 4
EXIT_TIMED_OUT = 5


class EmbeddedError(TraderError):
    """The stack cannot start, go on or be reached, and a person has to do something about it.

    Args:
        message: What was expected, what was found, and where.
        hint: What to do about it.
        exit_status: The exit status that the command line ends with.
    """

    def __init__(self, message: str, *, hint: str, exit_status: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_status = exit_status

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}"
