"""The only module that reads the clock; everything else is handed a `Clock`."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time for events and a monotonic time for deadlines and lifetimes."""

    def now(self) -> datetime:
        """Return the present as an aware UTC time."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds of a clock that never goes back; only differences mean anything."""
        ...


class SystemClock:
    """The operating system's clocks."""

    def now(self) -> datetime:
        """Return the present as an aware UTC time."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Return the monotonic clock in seconds."""
        return time.monotonic()


def epoch_ms(moment: datetime) -> int:
    """Return milliseconds since 1970-01-01 UTC, exact to the millisecond below."""
    delta = moment - _EPOCH
    return delta.days * 86_400_000 + delta.seconds * 1_000 + delta.microseconds // 1_000


def from_epoch_ms(milliseconds: int) -> datetime:
    """Return the aware UTC time of milliseconds since 1970-01-01."""
    return datetime.fromtimestamp(milliseconds // 1_000, UTC).replace(microsecond=milliseconds % 1_000 * 1_000)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
