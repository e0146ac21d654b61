"""When a candle opened, in the forms that files use.

Invariant: a number is counted from 1970 UTC, in the unit that makes it a date of this age; a text is ISO 8601, and UTC
where it names no zone.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from libs.common.clock import epoch_ms

SECONDS_MAX = 10**11  # the year 5138
MILLISECONDS_MAX = 10**14
MICROSECONDS_MAX = 10**17  # Binance's archive counts in these since 2025


def milliseconds(counts: Sequence[int]) -> list[int]:
    """Return counts of seconds, milliseconds or microseconds, all of one unit, as milliseconds.

    Raises:
        ValueError: They are none of these, or not whole milliseconds.
    """
    greatest = max(counts, default=0)
    if min(counts, default=0) < 0 or greatest >= MICROSECONDS_MAX:
        raise ValueError("seconds, milliseconds or microseconds since 1970")
    if greatest < SECONDS_MAX:
        return [count * 1000 for count in counts]
    if greatest < MILLISECONDS_MAX:
        return list(counts)
    if any(count % 1000 for count in counts):
        raise ValueError("whole milliseconds")
    return [count // 1000 for count in counts]


def moment_ms(text: str) -> int:
    """Return a moment in ISO 8601 as milliseconds.

    Raises:
        ValueError: It is none.
    """
    moment = datetime.fromisoformat(text)
    return epoch_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
