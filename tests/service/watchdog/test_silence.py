from hypothesis import given
from hypothesis import strategies as st

from services.watchdog.silence import STEP_S_MAX, Stage, Target


def a_target(*, stage: Stage = Stage.HEALTHY) -> Target:
    return Target(name="trade_executor", alert_after_s=3.0, dead_after_s=10.0, stage=stage)


def stages_of(target: Target, *, polls: int, step_s: float = 0.5) -> list[tuple[int, Stage]]:
    """Return at which unanswered poll each stage was entered."""
    entered = []
    for poll in range(1, polls + 1):
        stage = target.observe(healthy=False, elapsed_s=step_s)
        if stage is not None:
            entered.append((poll, stage))
    return entered


def test_silence_is_told_after_exactly_three_seconds_and_deadly_after_exactly_ten():
    assert stages_of(a_target(), polls=100) == [(6, Stage.SILENT), (20, Stage.DEAD)]  # 3 s / 0.5 s and 10 s / 0.5 s


def test_a_target_that_was_never_healthy_is_waited_for():
    target = a_target(stage=Stage.AWAITED)

    assert stages_of(target, polls=1_000) == []
    assert target.observe(healthy=True, elapsed_s=0.5) is Stage.HEALTHY
    assert stages_of(target, polls=20) == [(6, Stage.SILENT), (20, Stage.DEAD)]


def test_one_answer_ends_a_silence():
    target = a_target()
    stages_of(target, polls=19)

    assert target.observe(healthy=True, elapsed_s=0.5) is Stage.HEALTHY
    assert stages_of(target, polls=19) == [(6, Stage.SILENT)]


def test_a_restart_of_less_than_ten_seconds_is_not_deadly():
    target = a_target()

    assert Stage.DEAD not in [stage for _, stage in stages_of(target, polls=19)]  # 9.5 s


@given(frozen_s=st.floats(10, 100_000))
def test_time_in_which_the_watchdog_itself_was_frozen_does_not_count(frozen_s: float):
    target = a_target()

    assert target.observe(healthy=False, elapsed_s=frozen_s) is None
    assert target.silent_s == STEP_S_MAX


@given(answers=st.lists(st.booleans(), max_size=200))
def test_a_stage_is_entered_only_by_the_silence_that_it_names(answers: list[bool]):
    target = a_target()

    for healthy in answers:
        target.observe(healthy=healthy, elapsed_s=0.5)
        assert (target.stage is Stage.HEALTHY) == (target.silent_s < 3)
        assert (target.stage is Stage.DEAD) == (target.silent_s >= 10)
