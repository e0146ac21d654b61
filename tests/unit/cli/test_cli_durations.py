"""Times as people type them."""

from datetime import UTC, datetime, timedelta

import pytest

from cli.durations import parse_duration, parse_since
from cli.errors import CommandError, ExitStatus

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("30s", 30), ("1.5m", 90), (" 2h ", 7_200), ("1d", 86_400), ("3653d", None)]
)
def test_a_duration_has_a_number_and_a_unit(text: str, seconds: float | None):
    expected = timedelta(days=3_653) if seconds is None else timedelta(seconds=seconds)

    assert parse_duration(text, option="--for") == expected


@pytest.mark.parametrize("text", ["", "30", "s", "-1s", "1w", "1 s", "nan s", "3654d", "9" * 400 + "d"])
def test_anything_else_is_a_usage_error_that_names_the_option(text: str):
    with pytest.raises(CommandError, match="--for: expected a duration") as caught:
        parse_duration(text, option="--for")

    assert caught.value.status is ExitStatus.USAGE


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (None, None),
        ("10m", NOW - timedelta(minutes=10)),
        ("2026-01-05T11:00", NOW - timedelta(hours=1)),
        ("2026-01-05T12:00+01:00", NOW - timedelta(hours=1)),
        ("2026-01-05", NOW - timedelta(hours=12)),
    ],
)
def test_since_takes_an_age_or_a_moment_in_utc_unless_it_says_otherwise(text: str | None, moment: datetime | None):
    assert parse_since(text, now=NOW) == moment


@pytest.mark.parametrize("text", ["yesterday", "2026-13-45", "99999999d"])
def test_since_refuses_what_is_neither(text: str):
    with pytest.raises(CommandError, match="--since") as caught:
        parse_since(text, now=NOW)

    assert caught.value.status is ExitStatus.USAGE
