"""The trailing stop."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.trading.money import is_multiple
from libs.trading.trailing import TrailingStop

prices = st.decimals(min_value="0.01", max_value=100_000, places=4)
small = st.decimals(min_value="0.01", max_value=50, places=2)


def a_stop(stop: str = "98", distance: str = "3", step: str = "0.5", tick: str = "0.01") -> TrailingStop:
    return TrailingStop(stop=Decimal(stop), distance=Decimal(distance), step=Decimal(step), tick=Decimal(tick))


def test_it_follows_the_highest_price_at_its_distance():
    assert a_stop().after(Decimal("103.456")).stop == Decimal("100.45")  # 103.456 - 3, down to the tick


@pytest.mark.parametrize(("distance", "step"), [("3", "0.3"), ("0.05", "0.01"), ("0.004", "0.01")])
def test_it_follows_by_tenths_of_its_distance_and_by_a_tick_at_least(distance: str, step: str) -> None:
    stop = TrailingStop.following(Decimal(98), Decimal(distance), Decimal("0.01"))

    assert stop == a_stop(distance=distance, step=step)


def test_it_does_not_move_for_less_than_a_step():
    stop = a_stop()

    assert stop.after(Decimal("101.49")) is stop
    assert stop.after(Decimal("101.50")).stop == Decimal("98.50")


def test_it_does_not_move_within_a_tick_that_is_coarser_than_the_step():
    stop = a_stop(step="0.1", tick="1")

    assert stop.after(Decimal("101.9")) is stop


@given(start=prices, distance=small, step=small, tick=st.sampled_from(["0.01", "0.5", "10"]), path=st.lists(prices))
def test_it_never_comes_down_and_never_falls_behind(start, distance, step, tick, path):
    stop = TrailingStop(stop=start, distance=distance, step=step, tick=Decimal(tick))
    highest = start + distance
    for price in path:
        highest = max(highest, price)
        moved = stop.after(highest)
        assert moved.stop >= stop.stop
        if moved.stop != stop.stop:
            assert is_multiple(moved.stop, moved.tick)
            assert moved.stop <= highest - distance
        assert moved.stop > highest - distance - max(step, moved.tick)
        assert moved.after(highest) == moved
        stop = moved


@given(start=prices, distance=small, tick=st.sampled_from(["0.01", "0.5", "10"]), path=st.lists(prices, min_size=1))
def test_asked_with_the_highest_of_several_at_once_it_is_ahead_by_less_than_a_step(start, distance, tick, path):
    stop = at_once = TrailingStop.following(start, distance, Decimal(tick))
    for price in path:
        stop = stop.after(price)

    assert stop.stop <= at_once.after(max(path)).stop < stop.stop + stop.step


@pytest.mark.parametrize("name", ["stop", "distance", "step", "tick"])
@pytest.mark.parametrize("value", ["0", "-1", "NaN"])
def test_a_price_that_cannot_be_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"{name}: expected a price above zero"):
        a_stop(**{name: value})
