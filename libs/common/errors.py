"""Errors by consequence: what the consume loop must do when a handler or adapter raises.

Anything that is neither of these two is a bug: the process crashes, and its restart is the recovery.
"""


class TraderError(Exception):
    """Root of the errors that carry their consequence."""


class InvalidMessageError(TraderError):
    """A message that can never succeed: it goes to the dead letters and its offset is committed.

    Args:
        reason: What is wrong, in a few stable words (a metric label).
        expected: What would have been accepted.
        found: What was there instead, shortened.
    """

    def __init__(self, reason: str, *, expected: str, found: str) -> None:
        super().__init__(f"{reason}: expected {expected}, found {found}")
        self.reason = reason
        self.expected = expected
        self.found = found


class RetryableError(TraderError):
    """The world may recover: back off and try the same message again; nothing is committed.

    Args:
        message: What failed and what was expected.
        retry_in_s: The earliest moment at which another attempt makes sense, if the other side named one.
    """

    def __init__(self, message: str, *, retry_in_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_in_s = retry_in_s


class DeadlineExceededError(RetryableError):
    """A call of a library did not return in time; whether it took effect is unknown."""

    def __init__(self, what: str, *, deadline_s: float) -> None:
        super().__init__(f"{what}: expected an answer within {deadline_s:g} s, found none")
        self.what = what
        self.deadline_s = deadline_s


class OwnershipLostError(TraderError):
    """Another process holds a newer epoch: this one must stop at once without writing."""

    def __init__(self, role: str, *, epoch: int) -> None:
        super().__init__(f"{role}: epoch {epoch} is no longer the newest; another process took over")
        self.role = role
        self.epoch = epoch


class ConfigurationError(TraderError):
    """A setting that cannot be used (exit status 4).

    Args:
        where: The file and key, or the environment variable.
        expected: What the key accepts.
        found: What was given.
        hint: What to do about it.
    """

    def __init__(self, *, where: str, expected: str, found: str, hint: str = "") -> None:
        suffix = f"; {hint}" if hint else ""
        super().__init__(f"{where}: expected {expected}, found {found}{suffix}")
        self.where = where
        self.expected = expected
        self.found = found
        self.hint = hint
