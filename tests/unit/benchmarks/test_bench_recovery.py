"""When a stack counts as recovered."""

import pytest

from benchmarks.recovery import Recovery, recovery_of
from benchmarks.stacks import Change
from libs.embedded.process import ProcessState


def ready(process: str, at_s: float) -> Change:
    return Change(process, ProcessState.READY, at_s)


def test_everything_has_recovered_when_the_last_that_noticed_is_ready_again():
    changes = [
        ready("kafka", 1.0),
        Change("kafka", ProcessState.BACKOFF, 10.1),
        Change("risk_manager", ProcessState.RUNNING, 12.0),
        ready("kafka", 14.0),
        ready("risk_manager", 17.5),
    ]

    # killed at 10: 14 - 10, and 17.5 - 10
    assert recovery_of("kafka", changes, killed_at_s=10.0) == Recovery(4.0, 7.5, "risk_manager")


def test_a_loss_that_nobody_else_notices_has_ended_with_the_process_itself():
    changes = [ready("notifier", 1.0), ready("notifier", 11.25)]

    assert recovery_of("notifier", changes, killed_at_s=10.0) == Recovery(1.25, 1.25, "notifier")


def test_a_process_that_was_ready_only_before_the_kill_has_not_recovered():
    with pytest.raises(LookupError, match="notifier"):
        recovery_of("notifier", [ready("notifier", 1.0), ready("kafka", 11.0)], killed_at_s=10.0)
