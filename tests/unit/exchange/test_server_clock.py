import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.clock import epoch_ms
from libs.common.observability import metrics
from libs.exchange.server_clock import ServerClock
from tests.support.clock import FakeClock


class Bench:
    """Our clock, the exchange's, and what we make of it."""

    def __init__(self, *, ahead_ms: int = 700) -> None:
        self.clock = FakeClock()
        self.ahead_ms = ahead_ms
        self.started_ms = epoch_ms(self.clock.now())
        self.server_clock = ServerClock(self.clock)

    @property
    def truth_ms(self) -> int:
        """The exchange's time, which does not care about the computer's clock."""
        return self.started_ms + self.ahead_ms + round(self.clock.monotonic_s() * 1_000)

    def ask(self, *, there_s: float = 0.01, back_s: float = 0.01) -> None:
        asked_at_s = self.clock.monotonic_s()
        self.clock.advance(there_s)
        server_ms = self.truth_ms
        self.clock.advance(back_s)
        self.server_clock.read(server_ms, asked_at_s=asked_at_s, answered_at_s=self.clock.monotonic_s())

    @property
    def error_ms(self) -> int:
        return (self.server_clock.now_ms() or 0) - self.truth_ms


def a_bench(**arguments: int) -> Bench:
    bench = Bench(**arguments)
    bench.started_ms -= round(bench.clock.monotonic_s() * 1_000)
    return bench


def test_before_the_first_answer_nothing_is_known():
    server_clock = ServerClock(FakeClock())

    assert (server_clock.now_ms(), server_clock.offset_ms, server_clock.error_ms) == (None, None, None)


def test_the_time_is_taken_halfway_and_goes_on_with_the_monotonic_clock():
    bench = a_bench()
    bench.ask(there_s=0.02, back_s=0.02)
    bench.clock.advance(30)

    assert bench.error_ms == 0
    assert bench.server_clock.offset_ms == 700


def test_one_slow_lopsided_answer_does_not_move_the_time():
    bench = a_bench()
    bench.ask()
    bench.ask(there_s=0.0, back_s=1.9)  # alone it would be 950 ms wrong

    assert abs(bench.error_ms) <= 1


def test_half_the_round_trip_bounds_the_error():
    bench = a_bench()
    bench.ask(there_s=0.0, back_s=0.3)

    assert abs(bench.error_ms) <= 150 < (bench.server_clock.error_ms or 0)


def test_a_first_answer_that_took_long_is_better_than_none_until_a_quicker_one_comes():
    bench = a_bench()
    bench.ask(there_s=0.0, back_s=5.0)
    first_error_ms = bench.server_clock.error_ms or 0
    bench.server_clock.doubt()
    bench.ask()

    assert first_error_ms == pytest.approx(2_501)
    assert abs(bench.error_ms) <= 1


def test_setting_the_computers_clock_changes_nothing_but_the_offset():
    bench = a_bench()
    bench.ask()
    bench.clock.step_wall(90)

    assert bench.error_ms == 0
    assert bench.server_clock.offset_ms == 700 - 90_000


def test_a_machine_that_slept_believes_the_next_answer_alone():
    bench = a_bench()
    bench.ask()
    bench.ahead_ms += 600_000  # the monotonic clock stood still for ten minutes
    bench.ask(back_s=0.3)

    assert abs(bench.error_ms) <= 150


def test_after_a_refusal_the_next_answer_decides_alone():
    bench = a_bench()
    bench.ask()
    bench.server_clock.now_ms()
    bench.server_clock.doubt()
    bench.ahead_ms -= 1_500
    bench.ask(there_s=0.3, back_s=0.3)

    assert bench.error_ms == 0


async def test_a_doubt_wakes_whoever_keeps_the_time():
    bench = a_bench()
    bench.server_clock.doubt()

    await bench.server_clock.doubted()


def test_the_skew_and_its_error_can_be_watched():
    bench = a_bench(ahead_ms=700)
    bench.ask(there_s=0.02, back_s=0.02)

    assert metrics.EXCHANGE_CLOCK_SKEW_SECONDS._value.get() == pytest.approx(0.7)
    assert metrics.EXCHANGE_CLOCK_ERROR_SECONDS._value.get() == pytest.approx(0.021)


@given(
    st.lists(
        st.tuples(st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0, 20), st.integers(-900, 900)),
        min_size=1,
        max_size=30,
    )
)
def test_the_time_told_never_goes_back_and_its_error_is_bounded(rounds: list[tuple[float, float, float, int]]):
    bench = a_bench()
    told: list[int] = []
    for there_s, back_s, pause_s, wall_step_ms in rounds:
        bench.ask(there_s=there_s, back_s=back_s)
        bench.clock.step_wall(wall_step_ms / 1_000)
        told.append(bench.server_clock.now_ms() or 0)
        bench.clock.advance(pause_s)
        told.append(bench.server_clock.now_ms() or 0)
        # What was told before may be held on to, so the first reading's error counts too: at most 0.9 s.
        assert abs(bench.error_ms) <= 903

    assert told == sorted(told)
