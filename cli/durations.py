"""Times as people type them: `30s`, `10m`, `2h`, `1d`, or an ISO 8601 moment."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from cli.errors import CommandError, ExitStatus

_DURATION: Final = re.compile(r"^(\d+(?:\.\d+)?)(ms|s|m|h|d)$")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}

LONGEST_S: Final = 3_653 * 86_400.0
"""Ten years: more is a slip of the finger, and would leave the calendar."""


def parse_duration(text: str, *, option: str) -> timedelta:
    """Return a duration.

    Raises:
        CommandError: It is none (usage).
    """
    match = _DURATION.match(text.strip())
    if match is None or (seconds := float(match.group(1)) * _SECONDS[match.group(2)]) > LONGEST_S:
        raise CommandError(
            f"{option}: expected a duration such as 30s, 10m, 2h or 1d, at most ten years, found {text!r}",
            status=ExitStatus.USAGE,
        )
    return timedelta(seconds=seconds)


def parse_since(text: str | None, *, now: datetime) -> datetime | None:
    """Return the moment that `--since` means; None stays None.

    Raises:
        CommandError: It is neither an age nor a moment (usage).
    """
    if text is None:
        return None
    if _DURATION.match(text.strip()):
        return now - parse_duration(text, option="--since")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(
            f"--since: expected an age such as 10m or a time such as 2026-01-05T12:00, found {text!r}",
            status=ExitStatus.USAGE,
        ) from error
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
