"""How late the last entry after a halt was, told from when entries were sent."""

from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.halt.halts import Halt, measurement
from benchmarks.stacks import BenchmarkError

ISSUED_AT = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
HALT = Halt(issued_at=ISSUED_AT, ended_at=ISSUED_AT + timedelta(seconds=5), acknowledged_ms=80)


def sent(*milliseconds: float) -> list[datetime]:
    """Return moments before and after the halt."""
    return [ISSUED_AT + timedelta(milliseconds=each) for each in milliseconds]


def test_the_last_entry_after_the_halt_counts():
    assert HALT.last_sent_ms(sent(-40, 12, 31.5)) == 31.5


def test_a_halt_after_which_nothing_was_sent_took_no_time():
    assert HALT.last_sent_ms(sent(-3_000, -40)) == 0


def test_entries_after_the_resume_are_allowed_again():
    assert HALT.last_sent_ms(sent(-40, 20, 5_000, 6_000)) == 20


@pytest.mark.parametrize("requests", [(), (-3_001,), (20,), (5_000,)])
def test_a_halt_before_which_nothing_was_sent_proves_nothing(requests):
    with pytest.raises(BenchmarkError, match="expected an entry within 3 s before the halt"):
        HALT.last_sent_ms(sent(*requests))


def test_the_last_entry_that_the_exchange_accepted_counts_until_the_resume():
    assert HALT.last_accepted_ms(sent(-40, 900, 950.5, 6_000)) == 950.5
    assert HALT.last_accepted_ms(sent(-40, 6_000)) == 0


def test_the_figures_are_those_of_every_halt():
    result = measurement([HALT], [HALT], sent(-40, 12), sent(-30, 700))

    assert [(figure.value, figure.budget and figure.budget.limit) for figure in result.figures] == [
        (12, 250),
        (12, 1_000),
        (700, 1_250),
        (700, 2_000),
    ]
    assert result.details["sent_within_budget"] == {"connected": "1 of 1", "disconnected": "1 of 1"}
