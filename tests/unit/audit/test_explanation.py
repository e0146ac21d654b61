from datetime import timedelta
from uuid import UUID

from libs.common.audit.explanation import Step, causes_first
from tests.support.raw_records import AT


def a_step(number: int, *, cause: int | None = None, after_ms: int = 0) -> Step:
    at = AT + timedelta(milliseconds=after_ms)
    return Step(
        topic="signals",
        partition=0,
        offset=number,
        event_id=UUID(int=number),
        event_type="SignalGenerated",
        recorded_at=at,
        occurred_at=at,
        correlation_id=UUID(int=1),
        causation_id=None if cause is None else UUID(int=cause),
        content={},
    )


def order_of(*steps: Step) -> list[int]:
    return [step.offset for step in causes_first(steps)]


def test_a_story_keeps_the_order_of_time():
    assert order_of(a_step(1), a_step(2, cause=1), a_step(3, cause=1)) == [1, 2, 3]


def test_an_event_never_stands_before_its_cause():
    assert order_of(a_step(3, cause=2), a_step(2, cause=1), a_step(1), a_step(4, cause=1)) == [1, 2, 3, 4]


def test_a_cause_that_is_not_in_the_story_holds_nothing_up():
    assert order_of(a_step(2, cause=99), a_step(3, cause=2)) == [2, 3]


def test_causes_in_a_circle_are_told_in_the_order_of_time():
    assert order_of(a_step(1, cause=2), a_step(2, cause=1)) == [1, 2]


def test_a_step_has_a_documented_json_form():
    content = a_step(2, cause=1).as_json()

    assert content["causation_id"] == str(UUID(int=1))
    assert content["recorded_at"] == "2026-01-05T12:00:00+00:00"
