"""The highs that are remembered answer as all of them would, and a start reads those again that may matter."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.position_manager.domain import trailing
from services.position_manager.domain.trailing import REACH_MARGIN, High, Highs, reach
from tests.service.position_manager.world import NOON

minutes = st.integers(min_value=0, max_value=12)
candles = st.lists(st.tuples(minutes, st.integers(min_value=1, max_value=8)), max_size=25)


def at(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


@given(candles=candles, moment=minutes)
def test_the_highest_since_a_moment_is_that_of_all_candles_in_whatever_order(candles, moment):
    highs = Highs()
    for minute, price in candles:
        highs.note(High(at(minute), Decimal(price)))

    later = [price for minute, price in candles if minute > moment]
    found = highs.since(at(moment))
    assert (found and found.price) == max(later, default=None)


def test_of_many_highs_the_oldest_leave(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trailing, "HIGHS_MAX", 3)
    highs = Highs()
    for minute in range(1, 6):
        highs.note(High(at(minute), Decimal(100 - minute)))

    assert highs.since(at(0)) == High(at(3), Decimal(97))


@pytest.mark.parametrize(
    ("trails_since", "marked_at", "expected"),
    [
        (None, None, timedelta()),  # a first start
        (None, NOON - timedelta(hours=3), timedelta(hours=3)),  # entries of the downtime are not booked yet
        (NOON - timedelta(hours=5), NOON - timedelta(hours=3), timedelta(hours=5)),
        (NOON - timedelta(days=9), NOON - timedelta(seconds=2), timedelta(days=1)),
        (NOON - timedelta(days=9), NOON - timedelta(days=3), timedelta(days=3)),  # all of the downtime, however long
        (None, NOON + timedelta(hours=1), timedelta()),  # a clock that was put back
    ],
)
def test_a_start_reads_candles_from_before_anything_that_may_follow_them(trails_since, marked_at, expected):
    assert reach(NOON, trails_since=trails_since, marked_at=marked_at) == expected + REACH_MARGIN
