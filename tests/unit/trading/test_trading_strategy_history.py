"""Over a history in columns a strategy decides what it decides candle by candle."""

from array import array
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.backtest.candles import Candles
from libs.trading.indicators import Atr, Ema
from libs.trading.market import Candle
from libs.trading.strategies import STRATEGIES, Decision, Hold, RuleStrategy, Wish, create_strategy
from libs.trading.strategies.anchoring import Anchored
from libs.trading.strategies.decisions import Enter, HoldReason
from tests.unit.trading.trading_series import random_walk, recorded

SYMBOL = "BTC/USDT"


def in_columns(candles: Sequence[Candle]) -> Candles:
    return Candles(
        symbol=SYMBOL,
        interval_s=60,
        open_at_ms=array("q", [candle.open_at_ms for candle in candles]),
        open=array("d", [candle.open for candle in candles]),
        high=array("d", [candle.high for candle in candles]),
        low=array("d", [candle.low for candle in candles]),
        close=array("d", [candle.close for candle in candles]),
        volume=array("d", [candle.volume for candle in candles]),
    )


def with_gaps(candles: Sequence[Candle], *missing: range) -> list[Candle]:
    return [candle for place, candle in enumerate(candles) if not any(place in places for places in missing)]


def one_by_one(name: str, candles: Sequence[Candle]) -> list[tuple[int, Decision]]:
    strategy = create_strategy(name, SYMBOL, 60, {})
    decided = ((place, strategy.on_candle(candle)) for place, candle in enumerate(candles))
    return [(place, decision) for place, decision in decided if not isinstance(decision, Hold)]


def at_once(name: str, candles: Sequence[Candle]) -> list[tuple[int, Decision]]:
    strategy = create_strategy(name, SYMBOL, 60, {})
    assert isinstance(strategy, RuleStrategy)
    found = []
    for opportunity in strategy.over(in_columns(candles)):
        decision = opportunity.decide()
        assert opportunity.wish is (Wish.ENTER if isinstance(decision, Enter) else Wish.EXIT)
        found.append((opportunity.index, decision))
    return found


SERIES = {
    "recorded": recorded(8_000),
    "walk": random_walk(5, length=6_000)[7:],
    # Gaps far apart and close together: shorter than a warm-up, longer than an epoch, one of a single candle.
    "gaps": with_gaps(
        random_walk(6, length=9_000), range(10, 11), range(3_000, 3_040), range(3_100, 3_101), range(4_000, 6_500)
    ),
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_short_history_is_decided_as_candle_by_candle(name: str):
    candles = random_walk(5, length=1_500)

    assert at_once(name, candles) == one_by_one(name, candles) != []


@pytest.mark.sweep
@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_decides_the_same_over_a_history_as_candle_by_candle(name: str, series: str):
    candles = SERIES[series]

    assert at_once(name, candles) == one_by_one(name, candles)


def test_an_opportunity_that_is_not_asked_changes_nothing_for_the_next():
    strategy = create_strategy("ema_cross", SYMBOL, 60, {})
    assert isinstance(strategy, RuleStrategy)

    asked = [
        (opportunity.index, opportunity.decide())
        for number, opportunity in enumerate(strategy.over(in_columns(SERIES["walk"])))
        if number % 3 == 0
    ]

    assert asked == one_by_one("ema_cross", SERIES["walk"])[::3]


def test_a_history_without_candles_has_no_opportunities():
    strategy = create_strategy("ema_cross", SYMBOL, 60, {})
    assert isinstance(strategy, RuleStrategy)

    assert list(strategy.over(in_columns([]))) == []


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_market_that_stands_still_has_no_opportunities(name: str):
    still = [Candle(SYMBOL, 60, place * 60_000, 5.0, 5.0, 5.0, 5.0, 0.0, 0) for place in range(3_000)]

    assert at_once(name, still) == one_by_one(name, still) == []


class _Number:
    """Counts what it was fed."""

    def __init__(self) -> None:
        self.fed: list[int] = []

    def update(self, candle: Candle) -> None:
        self.fed.append(candle.open_at_ms)


@pytest.mark.sweep
@given(
    begin=st.integers(0, 60),
    steps=st.lists(st.sampled_from([1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 5, 40]), max_size=150),
    warm_up=st.integers(1, 6),
)
def test_the_runs_of_a_history_are_the_states_that_would_have_decided(begin: int, steps: list[int], warm_up: int):
    times = [begin * 60_000]
    for step in steps:
        times.append(times[-1] + step * 60_000)
    states = Anchored(_Number, interval_s=60, warm_up=warm_up)
    decided = {}
    for place, at_ms in enumerate(times):
        state = states.advance(Candle(SYMBOL, 60, at_ms, 1.0, 1.0, 1.0, 1.0, 1.0, 1))
        if not isinstance(state, HoldReason):
            decided[place] = state.fed[0]

    runs = Anchored(_Number, interval_s=60, warm_up=warm_up).runs(times)

    assert {place: times[run.start] for run in runs for place in range(run.begin, run.end)} == decided


VALUES = st.lists(st.floats(1.0, 1e6), max_size=40)


@settings(max_examples=200)
@given(values=VALUES, cut=st.integers(0, 40), period=st.integers(1, 9))
def test_an_average_of_all_values_at_once_is_the_one_of_each_in_turn(values: list[float], cut: int, period: int):
    slow, fast = Ema(period), Ema(period)
    for value in values:
        slow.update(value)

    fast.update_all(values[:cut])
    fast.update_all(values[cut:])

    assert fast.value == slow.value


@settings(max_examples=200)
@given(closes=VALUES, cut=st.integers(0, 40), period=st.integers(1, 9))
def test_a_range_of_all_candles_at_once_is_the_one_of_each_in_turn(closes: list[float], cut: int, period: int):
    rows = [(close * 1.01, close * 0.98, close) for close in closes]
    slow, fast = Atr(period), Atr(period)
    for row in rows:
        slow.update(*row)

    for part in (rows[:cut], rows[cut:]):
        fast.update_all([row[0] for row in part], [row[1] for row in part], [row[2] for row in part])

    assert (fast.value, fast.true_range.value) == (slow.value, slow.true_range.value)
