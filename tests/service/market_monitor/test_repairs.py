"""What our own candles lack is asked for until it is known or too old."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.market_monitor.domain.quotes import QuotePace
from services.market_monitor.domain.repairs import PATIENCE_MS, SETTLED_AFTER_MS, Repairs, Span


def needed(first_ms: int, last_ms: int, *, periods_max: int = 1_000) -> Repairs:
    repairs = Repairs(1, periods_max=periods_max)
    repairs.need(first_ms, last_ms)
    return repairs


def test_a_period_is_due_once_the_exchange_has_settled_it() -> None:
    repairs = needed(5_000, 5_000)

    assert repairs.due(6_000 + SETTLED_AFTER_MS - 1) is None
    assert repairs.due(6_000 + SETTLED_AFTER_MS) == Span(5_000, 5_000)


def test_only_settled_periods_of_a_span_are_due() -> None:
    assert needed(5_000, 9_000).due(7_500) == Span(5_000, 6_000)


def test_an_answer_ends_the_need() -> None:
    repairs = needed(5_000, 6_000)

    repairs.answered(Span(5_000, 6_000), known_until_ms=6_000, now_ms=8_000)

    assert repairs.due(100_000) is None


def test_what_the_answer_lacks_is_asked_for_again() -> None:
    repairs = needed(5_000, 8_000)

    repairs.answered(Span(5_000, 8_000), known_until_ms=6_000, now_ms=9_300)

    assert repairs.due(9_300) == Span(7_000, 8_000)


def test_an_empty_answer_changes_nothing_at_first() -> None:
    repairs = needed(5_000, 6_000)

    repairs.answered(Span(5_000, 6_000), known_until_ms=None, now_ms=7_300)

    assert repairs.due(7_300) == Span(5_000, 6_000)


def test_a_period_that_the_exchange_never_knows_is_given_up() -> None:
    repairs = needed(5_000, 6_000)

    repairs.answered(Span(5_000, 6_000), known_until_ms=None, now_ms=7_000 + PATIENCE_MS)

    assert repairs.due(1_000_000) is None


def test_a_need_that_comes_while_the_answer_is_under_way_is_kept() -> None:
    repairs = needed(5_000, 6_000)
    repairs.need(3_000, 3_000)

    repairs.answered(Span(5_000, 6_000), known_until_ms=6_000, now_ms=8_000)

    assert repairs.due(8_000) == Span(3_000, 6_000)


def test_a_later_need_that_comes_while_the_answer_is_under_way_is_kept() -> None:
    repairs = needed(5_000, 6_000)
    repairs.need(7_000, 7_000)

    repairs.answered(Span(5_000, 6_000), known_until_ms=6_000, now_ms=8_300)

    assert repairs.due(8_300) == Span(7_000, 7_000)


def test_needs_reach_back_no_further_than_their_bound() -> None:
    assert needed(0, 100_000, periods_max=3).due(200_000) == Span(98_000, 100_000)


def test_one_answer_holds_a_thousand_periods() -> None:
    assert needed(0, 5_000_000, periods_max=10_000).due(10_000_000) == Span(0, 999_000)


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 1_000)), min_size=1, max_size=80))
def test_the_newest_quote_passes_within_the_pace(steps: list[tuple[int, int]]) -> None:
    pace: QuotePace[int] = QuotePace(50)
    now_ms, passed = 0, []
    for step_ms, quote in steps:
        now_ms += step_ms
        let_through = pace.on_quote(quote, now_ms)
        if let_through is not None:
            passed.append((now_ms, let_through))
    last = pace.on_time(now_ms + 50)

    assert all(later - earlier >= 50 for (earlier, _), (later, _) in pairwise(passed))
    assert (last if last is not None else passed[-1][1]) == steps[-1][1]


def test_a_clock_that_goes_back_holds_no_quote() -> None:
    pace: QuotePace[int] = QuotePace(50)
    pace.on_quote(1, 1_000_000)

    assert pace.on_quote(2, 500) == 2
