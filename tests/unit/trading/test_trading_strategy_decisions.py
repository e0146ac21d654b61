"""What each strategy decides on the candle that matters, why, and what of its parameters it refuses."""

from collections.abc import Iterable

import pytest

from libs.trading.market import Side
from libs.trading.strategies import (
    STRATEGIES,
    Decision,
    Enter,
    Exit,
    ExitParameters,
    Hold,
    HoldReason,
    Stops,
    Strategy,
    create_strategy,
    parameters_of,
)
from tests.unit.trading.trading_builders import a_candle

FIRST = 10_000
SHORT: dict[str, dict[str, float]] = {
    "ema_cross": {"ema_fast": 2, "ema_slow": 4},
    "rsi_reversion": {"rsi_period": 2},
    "macd_trend": {"macd_fast": 2, "macd_slow": 4, "macd_signal": 2},
    "bollinger_breakout": {"bollinger_period": 4, "bollinger_deviations": 1.5},
    "donchian_trend": {"donchian_entry": 4, "donchian_exit": 2},
    "consensus": {
        "ema_fast": 2,
        "ema_slow": 4,
        "rsi_period": 2,
        "macd_fast": 2,
        "macd_slow": 4,
        "macd_signal": 2,
        "bollinger_period": 4,
        "donchian_entry": 4,
        "donchian_exit": 2,
        "weight_rsi_reversion": 0,
    },
}


def a_strategy(name: str, **changes: object) -> Strategy:
    return create_strategy(name, "BTC/USDT", 60, SHORT[name] | {"atr_period": 2} | changes)


def decisions(strategy: Strategy, closes: Iterable[float]) -> list[Decision]:
    """Return what is decided on `closes`, after a market that swung by 1 around 100 until the strategy was warm."""
    number = FIRST
    for number in range(FIRST, FIRST + strategy.window + 1):
        strategy.on_candle(a_candle(number, 100.0 + number % 2, high=102.0, low=99.0))
    return [
        strategy.on_candle(a_candle(number + offset, close, high=close + 1, low=close - 1))
        for offset, close in enumerate(closes, start=1)
    ]


def the_entry(made: Iterable[Decision]) -> Enter:
    (entry,) = (decision for decision in made if isinstance(decision, Enter))
    return entry


def the_exit(made: Iterable[Decision]) -> Exit:
    (wish,) = (decision for decision in made if isinstance(decision, Exit))
    return wish


RISE = (104.0, 108.0)
FALL = (96.0, 92.0)


@pytest.mark.parametrize(
    ("name", "closes", "reason", "component"),
    [
        ("macd_trend", RISE, "MACD crossed above its signal line", "momentum"),
        ("bollinger_breakout", RISE, "close broke out above the upper Bollinger band 103.7", "breakout"),
        ("donchian_trend", RISE, "close above the highest high of the 4 candles before", "breakout"),
        ("rsi_reversion", (96.0, 94.0, 98.0), "RSI 2 crossed back above oversold 30: ", "reversal"),
        (
            "consensus",
            RISE,
            "consensus +1.00: EmaCross +1, MacdTrend +1, BollingerBreakout +1, DonchianTrend +1",
            "agreement",
        ),
    ],
)
def test_a_rule_enters_and_says_why(name, closes, reason, component):
    entry = the_entry(
        decisions(
            a_strategy(name, bollinger_deviations=1, entry_score=1) if name == "consensus" else a_strategy(name), closes
        )
    )

    assert (entry.symbol, entry.side) == ("BTC/USDT", Side.BUY)
    assert entry.reasons[0].startswith(reason)
    assert entry.reasons[1].startswith("stops by percent, ATR ")
    parts = [part.split(" ")[0] for part in entry.quality.reasons]
    assert parts == [component, "volatility", "volume", "reward"]
    assert 0 < entry.quality.value <= 100


@pytest.mark.parametrize(
    ("name", "closes", "reason"),
    [
        ("macd_trend", (*RISE, *FALL), "MACD crossed below its signal line"),
        ("bollinger_breakout", (101.0, 96.0, 92.0), "close fell below the middle of the Bollinger bands"),
        ("donchian_trend", FALL, "close below the lowest low of the 2 candles before"),
        ("rsi_reversion", RISE, "RSI 2 crossed above overbought 70: "),
        ("consensus", (104.0, 96.0), "consensus "),
    ],
)
def test_a_rule_exits_and_says_why(name, closes, reason):
    wish = the_exit(decisions(a_strategy(name), closes))

    assert wish.symbol == "BTC/USDT"
    assert wish.reasons[0].startswith(reason)
    assert 0 <= wish.quality.value <= 100


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ema_cross", HoldReason.NO_CROSS),
        ("macd_trend", HoldReason.NO_CROSS),
        ("rsi_reversion", HoldReason.NO_REVERSAL),
        ("bollinger_breakout", HoldReason.NO_BREAKOUT),
        ("donchian_trend", HoldReason.NO_BREAKOUT),
        ("consensus", HoldReason.NO_CONSENSUS),
    ],
)
def test_a_strategy_that_wishes_nothing_says_what_it_waits_for(name, reason):
    *_, last = decisions(a_strategy(name), (108.0, 108.1))

    assert last == Hold((reason,))


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_market_that_stands_still_gives_no_signal(name):
    strategy = a_strategy(name)

    made = [strategy.on_candle(a_candle(number)) for number in range(FIRST, FIRST + 3 * strategy.window)]

    assert not any(isinstance(decision, Enter | Exit) for decision in made)


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name not in {"rsi_reversion", "consensus"}])
def test_without_any_range_there_is_nothing_to_measure_the_strength_of_a_rule_by(name):
    strategy = a_strategy(name)
    decisions(strategy, (104.0,))
    state = strategy._states._deciding  # type: ignore[attr-defined] # an ATR of 0 and a cross at once are too rare

    assert state.rule.strength(0.0).points == 0.0
    assert state.rule.strength(1.0).points > 0.0


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_new_rule_has_neither_wish_nor_stance(name):
    strategy = a_strategy(name, exit_score=-1) if name == "consensus" else a_strategy(name)
    state = strategy._states.create()  # type: ignore[attr-defined] # as it is before its first candle

    assert (state.rule.wish, state.rule.stance, state.atr) == (None, 0, 0.0)


def test_an_index_that_jumps_through_both_levels_has_no_way_back_left_to_trade():
    strategy = a_strategy("rsi_reversion", rsi_oversold=40, rsi_overbought=45)

    made = decisions(strategy, (90.0, 80.0, 120.0))

    assert isinstance(made[-1], Exit)


def test_exits_in_average_true_ranges_and_in_percent():
    by_atr = ExitParameters(stops=Stops.ATR, stop_loss_atr=1.5, take_profit_atr=3, trailing_stop_atr=2)
    by_percent = ExitParameters(stop_loss_pct=1, take_profit_pct=2, trailing_stop_pct=0.5)

    assert by_atr.distances(100.0, 2.0) == (3.0, 6.0, 4.0)
    assert by_percent.distances(200.0, 9.0) == (2.0, 4.0, 1.0)


def test_a_trailing_stop_of_the_other_measure_does_not_trail():
    parameters = ExitParameters(stops=Stops.PERCENT, trailing_stop_atr=2)

    distances = parameters.distances(100.0, 1.0)

    assert distances is not None
    assert distances.trailing is None


@pytest.mark.parametrize(("price", "atr"), [(100.0, 0.0), (100.0, 50.0), (100.0, 60.0)])
def test_exits_that_would_protect_nothing_are_none(price, atr):
    assert ExitParameters(stops=Stops.ATR, stop_loss_atr=2).distances(price, atr) is None


def test_an_entry_says_how_far_its_stop_trails():
    trailing = the_entry(decisions(a_strategy("donchian_trend", trailing_stop_pct=2), RISE))
    fixed = the_entry(decisions(a_strategy("donchian_trend"), RISE))

    assert trailing.trailing_distance == pytest.approx(trailing.price * 0.02)
    assert fixed.trailing_distance is None


def test_weights_that_reach_a_threshold_on_paper_reach_it():
    weights = {
        "weight_ema_cross": 0.1,
        "weight_macd_trend": 0.2,
        "weight_bollinger_breakout": 0.7,
        "weight_donchian_trend": 0,
        "bollinger_deviations": 9,
    }
    strategy = a_strategy("consensus", entry_score=0.3, exit_score=-0.5, **weights)

    entry = the_entry(decisions(strategy, (98.0, 96.0, 103.0)))

    assert entry.reasons[0] == "consensus +0.30: EmaCross +1, MacdTrend +1, BollingerBreakout +0"


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("rsi_reversion", {"rsi_period": 1}, "rsi_period: expected a whole number from 2 to 1000, found 1"),
        (
            "rsi_reversion",
            {"rsi_oversold": 70},
            r"rsi_oversold: expected less than rsi_overbought \(70.0\), found 70.0",
        ),
        (
            "rsi_reversion",
            {"rsi_overbought": 100},
            "rsi_overbought: expected a number above 0 and below 100, found 100",
        ),
        ("macd_trend", {"macd_fast": 26}, r"macd_fast: expected less than macd_slow \(26\), found 26"),
        ("macd_trend", {"macd_signal": 0}, "macd_signal: expected a whole number from 1 to 1000"),
        ("bollinger_breakout", {"bollinger_deviations": 0}, "bollinger_deviations: expected a number above 0"),
        ("donchian_trend", {"donchian_exit": 20}, r"donchian_exit: expected less than donchian_entry \(20\), found 20"),
        ("donchian_trend", {"donchian_entri": 20}, "did you mean 'donchian_entry'"),
        ("ema_cross", {"trailing_stop_pct": -1}, "trailing_stop_pct: expected a number from 0 to 99, found -1"),
        ("ema_cross", {"stops": 1}, "stops: expected one of atr, percent, found 1"),
        ("consensus", {"exit_score": 0.5}, r"exit_score: expected less than entry_score \(0.5\), found 0.5"),
        ("consensus", {"weight_ema_cross": -1}, "weight_ema_cross: expected a number from 0 to 100, found -1"),
        ("consensus", {"ema_fast": 30}, "ema_fast: expected less than ema_slow"),
        ("consensus", {"rsi_oversold": 90}, "rsi_oversold: expected less than rsi_overbought"),
        ("consensus", {"macd_fast": 30}, "macd_fast: expected less than macd_slow"),
        ("consensus", {"donchian_exit": 30}, "donchian_exit: expected less than donchian_entry"),
        (
            "consensus",
            dict.fromkeys(
                (
                    "weight_ema_cross",
                    "weight_rsi_reversion",
                    "weight_macd_trend",
                    "weight_bollinger_breakout",
                    "weight_donchian_trend",
                ),
                0,
            ),
            "weight_ema_cross.*: expected at least one above 0, found none",
        ),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_by_name(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        create_strategy(name, "BTC/USDT", 60, parameters)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_is_made_from_its_defaults(name):
    strategy = create_strategy(name, "BTC/USDT", 60, {})
    kind = type(strategy)

    assert strategy.name == name
    assert strategy.parameters == parameters_of(name)() == kind("BTC/USDT", 60).parameters  # type: ignore[call-arg]
    assert strategy.window % 5 == 0  # a warm-up and four of them


def test_the_parameters_of_an_unknown_strategy_are_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="did you mean 'macd_trend'"):
        parameters_of("macd")


def test_the_windows_of_the_defaults():
    windows = {name: create_strategy(name, "BTC/USDT", 60, {}).window for name in STRATEGIES}

    assert windows == {
        "ema_cross": 635,  # 5 x (9 x 14 + 1)
        "rsi_reversion": 635,
        "macd_trend": 875,  # 5 x 5 x (26 + 9)
        "bollinger_breakout": 635,
        "donchian_trend": 635,
        "consensus": 880,  # 5 x (5 x (26 + 9) + 1)
    }
