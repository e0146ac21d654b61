"""Strategies: anchoring, the EMA cross and the registry."""

import random
from collections.abc import Iterable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.trading.market import Candle, Side
from libs.trading.strategies import (
    EmaCross,
    EmaCrossParameters,
    Enter,
    Exit,
    Hold,
    HoldReason,
    Stops,
    Strategy,
    create_strategy,
)
from libs.trading.strategies.anchoring import Anchored
from tests.unit.trading.trading_builders import a_candle

WARM_UP = 3
EPOCH = 12  # 4 x 3


class Seen:
    """A state that remembers the numbers of the candles it was fed."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def update(self, candle: Candle) -> None:
        self.numbers.append(candle.open_at_ms // 60_000)


def anchored() -> Anchored[Seen]:
    return Anchored(Seen, interval_s=60, warm_up=WARM_UP)


def feed(states: Anchored[Seen], numbers: Iterable[int]) -> list[int] | HoldReason | None:
    """Return the candles that the state deciding on the last of `numbers` has seen, or why none decides."""
    result: Seen | HoldReason | None = None
    for number in numbers:
        result = states.advance(a_candle(number))
    return result.numbers if isinstance(result, Seen) else result


def seen(states: Anchored[Seen], numbers: Iterable[int]) -> list[int]:
    numbers_seen = feed(states, numbers)
    assert isinstance(numbers_seen, list)
    return list(numbers_seen)


def test_the_window_is_the_warm_up_and_an_epoch():
    assert anchored().window == WARM_UP + EPOCH


def test_a_successor_started_a_warm_up_before_the_anchor_takes_over_at_it():
    states = anchored()

    assert feed(states, range(12, 36)) == list(range(21, 36))
    assert feed(states, [36]) == [33, 34, 35, 36]


def test_nothing_is_decided_before_the_first_anchor_that_was_prepared():
    states = anchored()

    assert feed(states, range(22, 33)) is HoldReason.WARMING_UP  # the start at 21 was missed, the next is 33
    assert feed(states, range(33, 36)) is HoldReason.WARMING_UP
    assert feed(states, [36]) == [33, 34, 35, 36]


def test_a_gap_drops_everything_and_decides_again_after_a_warm_up():
    states = anchored()
    feed(states, range(9, 14))

    assert feed(states, [15]) is HoldReason.AFTER_GAP
    assert feed(states, [16, 17]) is HoldReason.WARMING_UP
    assert feed(states, [18]) == [15, 16, 17, 18]
    assert feed(states, range(19, 25)) == [21, 22, 23, 24]  # and joins the others at the anchor


def test_a_gap_on_the_anchored_start_starts_once():
    states = anchored()
    feed(states, range(9, 14))

    assert feed(states, [21]) is HoldReason.AFTER_GAP
    assert feed(states, [22, 23, 24]) == [21, 22, 23, 24]


def test_a_start_after_a_gap_gives_way_to_the_anchored_start():
    states = anchored()
    feed(states, range(9, 14))

    assert feed(states, [20, 21, 22, 23]) is HoldReason.WARMING_UP
    assert feed(states, [24]) == [21, 22, 23, 24]


@given(
    first=st.integers(min_value=0, max_value=100),
    present=st.lists(st.integers(min_value=0, max_value=9).map(bool), min_size=1, max_size=120),
    ending=st.integers(min_value=1, max_value=120),
)
def test_a_replica_fed_the_last_window_is_in_the_same_state(first, present, ending):
    numbers = [first + offset for offset, is_there in enumerate(present) if is_there][:ending]
    veteran, replica = anchored(), anchored()
    window = replica.window
    history = range(first - EPOCH - WARM_UP + 1000 * EPOCH, first + 1000 * EPOCH)  # the veteran never started cold
    numbers = [*history, *(number + 1000 * EPOCH for number in numbers)]

    old = feed(veteran, numbers)
    new = feed(replica, numbers[-window:])

    assert old == new


def test_a_candle_of_the_past_is_ignored_with_its_reason():
    states = anchored()
    before = seen(states, range(9, 14))

    assert feed(states, [13]) is HoldReason.PAST_CANDLE
    assert feed(states, [14]) == [*before, 14]


def test_a_partial_candle_is_not_taken_but_its_complete_version_is():
    states = anchored()
    before = seen(states, range(9, 14))

    assert states.advance(a_candle(14, partial=True)) is HoldReason.PARTIAL_CANDLE
    assert feed(states, [14]) == [*before, 14]


@pytest.mark.parametrize("price", [float("nan"), float("inf"), 1e30, 0.0, -1.0])
def test_a_price_that_cannot_be_is_not_taken(price):
    assert anchored().advance(a_candle(1, price)) is HoldReason.IMPLAUSIBLE_CANDLE


@pytest.mark.parametrize("volume", [float("nan"), float("inf"), 1e30, -1.0])
def test_a_volume_that_cannot_be_is_not_taken(volume):
    assert anchored().advance(a_candle(1, volume=volume)) is HoldReason.IMPLAUSIBLE_CANDLE


@pytest.mark.parametrize(("high", "low"), [(99.0, 98.0), (102.0, 101.0)])
def test_a_close_outside_of_its_candle_is_not_taken(high, low):
    assert anchored().advance(a_candle(1, 100.0, high=high, low=low)) is HoldReason.IMPLAUSIBLE_CANDLE


def test_a_candle_off_the_grid_of_its_interval_is_not_taken():
    states = Anchored(Seen, interval_s=90, warm_up=WARM_UP)

    assert states.advance(a_candle(1, interval_s=60)) is HoldReason.IMPLAUSIBLE_CANDLE


PARAMETERS = {"ema_fast": 2, "ema_slow": 4, "atr_period": 2, "stops": "atr"}
FIRST = 10_000


def warmed(strategy: Strategy, price: float = 100.0, *, spread: float = 1.0) -> int:
    """Feed a flat market until the strategy decides; return the number of the next candle."""
    for number in range(FIRST, FIRST + strategy.window + 1):
        strategy.on_candle(a_candle(number, price, high=price + spread, low=price - spread))
    return FIRST + strategy.window + 1


def a_strategy(**changes: object) -> EmaCross:
    strategy = create_strategy("ema_cross", "BTC/USDT", 60, PARAMETERS | changes)
    assert isinstance(strategy, EmaCross)
    return strategy


def test_a_cross_up_enters_with_stops_in_average_true_ranges():
    strategy = a_strategy(stop_loss_atr=1.5, take_profit_atr=3)
    number = warmed(strategy)

    decision = strategy.on_candle(a_candle(number, 101.0, high=101.0, low=100.0, volume=2.0))

    assert isinstance(decision, Enter)
    assert (decision.symbol, decision.side, decision.price) == ("BTC/USDT", Side.BUY, 101.0)
    atr = 1.5  # (2 + 1) / 2: ranges of 2 until now, of 1 now
    assert decision.stop_loss == pytest.approx(101.0 - 1.5 * atr)
    assert decision.take_profit == pytest.approx(101.0 + 3 * atr)
    assert decision.reasons == ("EMA 2 crossed above EMA 4", "stops by atr, ATR 1.5")
    assert [reason.split(" ")[0] for reason in decision.quality.reasons] == ["trend", "volatility", "volume", "reward"]


def test_stops_in_percent_do_not_depend_on_the_range():
    strategy = a_strategy(stops="percent", stop_loss_pct=1, take_profit_pct=2)
    number = warmed(strategy)

    decision = strategy.on_candle(a_candle(number, 200.0))

    assert isinstance(decision, Enter)
    assert (decision.stop_loss, decision.take_profit) == (198.0, 204.0)


def test_a_cross_down_exits():
    strategy = a_strategy()
    number = warmed(strategy)

    decision = strategy.on_candle(a_candle(number, 99.0, high=100.0, low=99.0))

    assert isinstance(decision, Exit)
    assert (decision.symbol, decision.price) == ("BTC/USDT", 99.0)
    assert decision.reasons == ("EMA 2 crossed below EMA 4",)
    assert 0 <= decision.quality.value <= 100


def test_a_cross_is_told_once():
    strategy = a_strategy()
    number = warmed(strategy)
    strategy.on_candle(a_candle(number, 101.0))

    assert strategy.on_candle(a_candle(number + 1, 102.0)) == Hold((HoldReason.NO_CROSS,))


def test_a_flat_market_is_held_with_the_reason():
    strategy = a_strategy()
    number = warmed(strategy)

    assert strategy.on_candle(a_candle(number)) == Hold((HoldReason.NO_CROSS,))


def test_a_new_strategy_warms_up():
    assert a_strategy().on_candle(a_candle(FIRST)) == Hold((HoldReason.WARMING_UP,))


def test_a_stop_that_would_lie_below_zero_is_held():
    strategy = a_strategy(stop_loss_atr=999)
    number = warmed(strategy)

    assert strategy.on_candle(a_candle(number, 101.0)) == Hold((HoldReason.STOPS_ARE_IMPOSSIBLE,))


def test_a_market_without_range_and_volume_scores_nothing_for_them():
    strategy = a_strategy(stops="percent")
    for number in range(FIRST, FIRST + strategy.window + 1):
        strategy.on_candle(a_candle(number, volume=0.0))
    state = strategy._states._deciding
    assert state is not None

    names_and_points = [(component.name, component.points) for component in state.components(a_candle(FIRST))]

    assert names_and_points == [("trend", 0), ("volatility", 25), ("volume", 0)]


@pytest.mark.parametrize("other", [a_candle(1, symbol="ETH/USDT"), a_candle(1, interval_s=300)])
def test_a_candle_of_another_series_is_an_error(other):
    with pytest.raises(ValueError, match=r"expected a candle of BTC/USDT over 60 s"):
        a_strategy().on_candle(other)


@given(seed=st.integers(min_value=0, max_value=10_000), start=st.integers(min_value=0, max_value=5000))
def test_a_replica_that_rewarms_decides_the_same_bit_for_bit(seed, start):
    drawn = random.Random(seed)
    price, candles = 100.0, []
    veteran, replica = a_strategy(), a_strategy()
    for number in range(start, start + 3 * veteran.window):
        price *= 1 + drawn.gauss(0, 0.01)
        candle = a_candle(number, price, high=price * 1.001, low=price * 0.999, volume=drawn.random())
        if drawn.random() > 0.005:
            candles.append(candle)

    expected = [veteran.on_candle(candle) for candle in candles]
    since = len(candles) - 2 * replica.window + drawn.randrange(replica.window)
    rewarmed = [replica.on_candle(candle) for candle in candles[since:]]

    decided_from = since + replica.window - 1
    assert expected[decided_from:] == rewarmed[replica.window - 1 :]


def test_the_window_follows_from_the_periods():
    assert create_strategy("ema_cross", "BTC/USDT", 60, {}).window == 635  # 5 x max(5 x 21, 9 x 14 + 1)
    assert create_strategy("ema_cross", "BTC/USDT", 60, {"ema_slow": 200}).window == 5000  # 5 x 5 x 200


def test_parameters_have_defaults_and_take_any_number():
    parameters = a_strategy(stop_loss_pct=Decimal("1.5"), take_profit_pct=3, stops="atr").parameters

    assert (parameters.stop_loss_pct, parameters.take_profit_pct, parameters.stops) == (1.5, 3.0, Stops.ATR)
    assert EmaCross("BTC/USDT", 60).parameters == EmaCrossParameters()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"ema_fast": 0}, "ema_fast: expected a whole number from 1 to 1000, found 0"),
        ({"ema_fast": True}, "ema_fast: expected a whole number"),
        ({"ema_slow": 1001}, "ema_slow: expected a whole number from 1 to 1000, found 1001"),
        ({"atr_period": 2.5}, "atr_period: expected a whole number"),
        ({"ema_fast": 21}, r"ema_fast: expected less than ema_slow \(21\), found 21"),
        ({"stop_loss_atr": 0}, "stop_loss_atr: expected a number above 0 and below 1000, found 0"),
        ({"take_profit_atr": float("nan")}, "take_profit_atr: expected a number above 0 and below 1000, found nan"),
        ({"take_profit_pct": "2"}, "take_profit_pct: expected a number above 0 and below 10000, found '2'"),
        ({"cost_rate": True}, "cost_rate: expected a number above 0 and below 1, found True"),
        ({"cost_rate": 1}, "cost_rate: expected a number above 0 and below 1, found 1"),
        ({"stop_loss_pct": 100}, "stop_loss_pct: expected a number above 0 and below 100, found 100"),
        ({"stops": "points"}, "stops: expected one of atr, percent, found 'points'"),
        ({"ema_fats": 3}, "did you mean 'ema_fast'"),
    ],
)
def test_a_parameter_out_of_its_range_is_refused_by_name(parameters, message):
    with pytest.raises(ValueError, match=message):
        create_strategy("ema_cross", "BTC/USDT", 60, parameters)


def test_an_unknown_strategy_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="found 'ema_cros'; did you mean 'ema_cross'"):
        create_strategy("ema_cros", "BTC/USDT", 60, {})


def test_an_interval_below_a_second_is_refused():
    with pytest.raises(ValueError, match="interval_s: expected at least 1, found 0"):
        create_strategy("ema_cross", "BTC/USDT", 0, {})


def test_a_strategy_tells_its_name():
    assert a_strategy().name == "ema_cross"
