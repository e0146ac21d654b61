"""What a backtest does with the decisions of a strategy."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.backtest.candles import Candles
from libs.backtest.costs import Costs
from libs.backtest.decisions import Decided
from libs.backtest.instruments import instrument_of
from libs.backtest.outcome import Outcome
from libs.backtest.simulation import Simulation, simulate
from libs.backtest.venue import FillKind
from libs.common.configuration import TradingConfiguration, parse_configuration
from libs.policy import configured_strategy
from libs.trading.market import Side
from libs.trading.quality import QualityScore
from libs.trading.strategies import Enter, Exit
from tests.support.candles import BEGIN_MS, Bar, candles_of, flat
from tests.support.shipped import the_shipped_candles

QUIET = flat(10_000.0, 40)
"""Enough minutes to know the volatility of."""
LAST = len(QUIET) - 1
FREE = Costs(fee_rate=Decimal(0), spread_rate=Decimal(0), slippage_rate=Decimal(0))
DAY_MINUTES = 1_440
DECISION = Enter(
    symbol="BTC/USDT",
    side=Side.BUY,
    price=10_000.0,
    stop_loss=9_900.0,
    take_profit=10_200.0,
    quality=QualityScore(80, ()),
    reasons=(),
)
LEAVE = Exit(symbol="BTC/USDT", price=10_000.0, quality=QualityScore(80, ()), reasons=())


def a_configuration(**sections: dict[str, Any]) -> TradingConfiguration:
    return parse_configuration({"risk_management": {"position_size_pct": 10}, **sections}, where="test")


def an_entry(
    *, quality: int = 80, stop_loss: float = 9_900.0, take_profit: float = 10_200.0, trailing: float | None = None
) -> Enter:
    return Enter(
        symbol="BTC/USDT",
        side=Side.BUY,
        price=10_000.0,
        stop_loss=stop_loss,
        take_profit=take_profit,
        quality=QualityScore(quality, ()),
        reasons=(),
        trailing_distance=trailing,
    )


def played(
    bars: list[Bar],
    *decisions: tuple[int, Enter | Exit],
    missing: tuple[int, ...] = (),
    begin_at_ms: int = BEGIN_MS,
    costs: Costs = FREE,
    configured: dict[str, Any] | None = None,
) -> Outcome:
    """Return what came of decisions on the candles of some places."""
    candles = candles_of(bars, missing=missing, begin_at_ms=begin_at_ms)
    configuration = a_configuration(**(configured or {}))
    simulation = Simulation(
        candles,
        configuration=configuration,
        instrument=instrument_of("BTC/USDT"),
        costs=costs,
        cash=Decimal(10_000),
    )
    for index, decision in decisions:
        simulation.on_chance(Decided(index, decision))
    return simulation.finished(configured_strategy(configuration, "BTC/USDT"))


def test_an_entry_is_filled_at_the_open_of_the_next_candle():
    outcome = played([*QUIET, (10_005.0, 10_006.0, 10_004.0, 10_005.0)], (LAST, DECISION))

    assert outcome.open_trade is not None
    assert outcome.open_trade.entry_price == Decimal("10005.00")
    assert outcome.open_trade.opened_at_ms == BEGIN_MS + 60_000 * len(QUIET)
    # 10 % of 10 000 USDT / 10 010.00 (10 000.005 + 0.1 %), on the step
    assert outcome.open_trade.quantity == Decimal("0.09990")


@pytest.mark.parametrize(
    ("sizing", "quantity"),
    [
        ({"method": "risk_per_trade", "risk_pct": "0.5"}, "0.38455"),  # 50 / (110 + 2 x 0.1 % of 10 010)
        ({"method": "volatility_target", "volatility_pct": "0.5"}, "0.09990"),  # nothing moved: the most
    ],
)
def test_an_entry_is_sized_as_the_configuration_says(sizing: dict[str, str], quantity: str) -> None:
    outcome = played(
        [*QUIET, (10_005.0, 10_006.0, 10_004.0, 10_005.0)],
        (LAST, DECISION),
        configured={
            "strategy": {"sizing": sizing},
            "risk_management": {"position_size_pct": 50 if sizing["method"] == "risk_per_trade" else 10},
        },
    )

    assert outcome.open_trade is not None
    assert outcome.open_trade.quantity == Decimal(quantity)


TRAILING = an_entry(trailing=60.0)
"""Its stop is at 9 900 and follows the price at 60 USDT, in steps of 6."""


def a_rise(*highs: float) -> list[Bar]:
    return [(10_000.0, high, 10_000.0, 10_000.0) for high in highs]


def test_a_trailing_stop_follows_the_highest_price_from_candle_to_candle():
    rise = a_rise(10_005.0, 10_020.0, 10_010.0, 10_025.99, 10_026.0)

    outcomes = [played([*QUIET, *rise[:count]], (LAST, TRAILING)) for count in range(1, len(rise) + 1)]

    stops = [outcome.open_trade.stop_loss for outcome in outcomes if outcome.open_trade is not None]
    assert stops == [9_945, 9_960, 9_960, 9_960, 9_966]  # the highest less 60, by 6 at least


def test_a_trailing_stop_stands_from_the_candle_after_the_one_that_moved_it():
    fall = (10_000.0, 10_000.0, 9_950.0, 9_950.0)
    stands = played([*QUIET, (10_000.0, 10_020.0, 9_950.0, 10_000.0)], (LAST, TRAILING))
    falls = played([*QUIET, *a_rise(10_020.0), fall], (LAST, TRAILING))

    assert stands.open_trade is not None
    [trade] = falls.trades
    assert (trade.exit_kind, trade.exit_price) == (FillKind.STOP_LOSS, Decimal(9_960))
    assert trade.stop_loss == 9_960


def test_a_trailing_stop_that_the_market_has_fallen_beyond_sells_at_the_open():
    [trade] = played([*QUIET, *a_rise(10_100.0), (10_000.0, 10_000.0, 9_990.0, 9_990.0)], (LAST, TRAILING)).trades

    assert trade.stop_loss == 10_040  # 10 100 - 60
    assert trade.exit_price == 10_000  # the candle opens below it


def test_a_candle_that_touches_the_target_and_does_not_take_it_moves_the_stop():
    outcome = played([*QUIET, *a_rise(10_200.0)], (LAST, TRAILING))

    assert outcome.open_trade is not None
    assert outcome.open_trade.stop_loss == 10_140


def test_an_entry_whose_stop_would_trail_by_less_than_a_tick_is_refused():
    outcome = played([*QUIET, *flat(10_000.0, 2)], (LAST, an_entry(trailing=0.009)))

    assert outcome.refused == {"protection_is_impossible": 1}


def test_a_position_that_is_sold_on_the_daily_loss_has_no_stop_to_move():
    crash = (10_000.0, 10_080.0, 9_500.0, 9_500.0)
    outcome = played(
        [*QUIET, crash, *flat(9_500.0, 2)],
        (LAST, an_entry(stop_loss=9_000.0, take_profit=11_000.0, trailing=700.0)),
        configured={
            "risk_management": {"position_size_pct": 50, "daily_loss_limit_pct": 1},
            "safety": {"liquidate_on": ["DAILY_LOSS_EXCEEDED"]},
        },
    )

    assert [trade.exit_kind for trade in outcome.trades] == [FillKind.LIQUIDATION]
    assert outcome.trades[0].stop_loss == 9_000


def test_the_next_position_does_not_trail_by_the_distance_of_the_one_before():
    bars = [*QUIET, *a_rise(10_020.0), (10_000.0, 10_000.0, 9_950.0, 9_950.0), *flat(10_000.0, 2), *a_rise(10_150.0)]

    outcome = played(bars, (LAST, TRAILING), (LAST + 4, an_entry()))

    assert outcome.open_trade is not None
    assert outcome.open_trade.stop_loss == 9_900


def test_an_entry_that_the_market_left_behind_is_missed():
    outcome = played([*QUIET, (10_010.02, 10_010.02, 10_004.0, 10_005.0)], (LAST, DECISION))  # the limit is 10 010.00

    assert (outcome.missed, outcome.open_trade, outcome.trades) == (1, None, [])


def test_an_entry_before_a_gap_is_missed():
    outcome = played([*QUIET, *flat(10_000.0, 1)], (LAST, DECISION), missing=(len(QUIET),))

    assert outcome.missed == 1


def test_an_entry_on_the_last_candle_is_missed():
    assert played(QUIET, (LAST, DECISION)).missed == 1


def test_stop_and_target_stand_from_the_entry_s_own_candle_on():
    outcome = played([*QUIET, (10_000.0, 10_300.0, 9_950.0, 10_100.0)], (LAST, DECISION))

    [trade] = outcome.trades
    assert (trade.exit_kind, trade.exit_price, trade.candles) == (FillKind.TAKE_PROFIT, Decimal("10200.00"), 1)
    assert trade.pnl == trade.quantity * 200
    assert outcome.cash == 10_000 + trade.pnl


def test_an_exit_is_filled_at_the_open_of_the_next_candle_and_cancels_the_protection():
    after = [*flat(10_000.0, 2), (10_050.0, 10_060.0, 9_000.0, 9_500.0)]

    outcome = played([*QUIET, *after], (LAST, DECISION), (LAST + 2, LEAVE))

    [trade] = outcome.trades
    assert (trade.exit_kind, trade.exit_price, trade.candles) == (FillKind.STRATEGY, Decimal("10050.00"), 3)


def test_an_exit_before_a_gap_waits_for_the_market():
    bars = [*QUIET, *flat(10_000.0, 1), *flat(9_950.0, 1)]

    outcome = played(bars, (LAST, DECISION), (LAST + 1, LEAVE), missing=(len(QUIET) + 1,) * 90)

    assert [(trade.exit_kind, trade.exit_price) for trade in outcome.trades] == [
        (FillKind.STRATEGY, Decimal("9950.00"))
    ]


def test_an_exit_without_a_position_is_not_needed():
    outcome = played(QUIET, (LAST - 1, LEAVE))

    assert (outcome.exits, outcome.unneeded) == (1, 1)


def test_an_exit_on_the_last_candle_leaves_the_position_open():
    outcome = played([*QUIET, *flat(10_000.0, 1)], (LAST, DECISION), (LAST + 1, LEAVE))

    assert outcome.trades == []
    assert outcome.open_trade is not None
    assert outcome.held_quantity == outcome.open_trade.quantity


def test_a_position_that_is_too_old_is_sold_at_the_open_of_the_candle_at_which_it_is():
    bars = [*QUIET, *flat(10_000.0, 2), (10_020.0, 10_500.0, 9_500.0, 10_000.0)]

    outcome = played(bars, (LAST, DECISION), configured={"strategy": {"exit_after_s": 120}})

    [trade] = outcome.trades
    assert (trade.exit_kind, trade.exit_price) == (FillKind.TIME, Decimal("10020.00"))


def test_entries_of_low_quality_are_held_and_what_the_rules_refuse_is_counted_by_reason():
    wild = [*QUIET, (10_000.0, 10_400.0, 10_000.0, 10_000.0), *flat(10_000.0, 3)]

    outcome = played(
        wild,
        (5, DECISION),  # too early: thirty minutes make the volatility
        (35, an_entry(quality=49)),
        (36, an_entry(stop_loss=1e-12)),
        (37, an_entry(stop_loss=9_999.999)),
        (40, DECISION),  # a candle of 4 %
        (41, DECISION),
        (42, DECISION),
    )

    assert outcome.entries == 7
    assert outcome.held == {"quality_is_low": 1, "stops_are_impossible": 1}
    assert outcome.refused == {"market_is_volatile": 2, "position_is_open": 1, "price_is_beyond_exits": 1}


def test_fees_dust_and_pnl_add_up_to_the_last_digit():
    bars = [*QUIET, *flat(10_000.0, 2), (10_000.0, 10_000.0, 9_800.0, 9_800.0), *flat(9_800.0, 2)]
    costs = Costs()

    outcome = played(bars, (LAST, DECISION), costs=costs)

    [trade] = outcome.trades
    bought = trade.quantity - costs.fee(trade.quantity)
    assert 0 < outcome.held_quantity < Decimal("0.00001")  # what the step leaves
    assert trade.fees == outcome.fees
    dust_cost = outcome.held_quantity * trade.entry_price
    assert outcome.cash == 10_000 + trade.pnl - dust_cost
    assert [execution.quantity for execution in outcome.executions] == [
        trade.quantity,
        bought - outcome.held_quantity,
    ]


SMALL_LIMIT = {"risk_management": {"position_size_pct": 50, "daily_loss_limit_pct": 1.0}}
FALL = (9_799.0, 9_800.0, 9_798.0, 9_799.0)  # 2 % of half of the equity: the limit of 1 %
WIDE = an_entry(stop_loss=5_000.0, take_profit=15_000.0)


def test_the_daily_loss_limit_halts_until_the_day_is_over():
    bars = [*QUIET, *flat(10_000.0, 1), FALL, *flat(9_800.0, 2 * DAY_MINUTES)]
    into_the_day = len(QUIET) + 3

    outcome = played(
        bars,
        (LAST, WIDE),
        (into_the_day, LEAVE),  # refused: HALTED lets no exit of a strategy pass
        (DAY_MINUTES + 60, LEAVE),  # a day after the peak
        (DAY_MINUTES + 62, an_entry(stop_loss=9_700.0, take_profit=10_000.0)),
        configured=SMALL_LIMIT,
    )

    # The peak of the last 24 hours stays for the first minutes of the next day: its first mark halts once more.
    assert [halt.at_ms for halt in outcome.halts] == [
        BEGIN_MS + 60_000 * (len(QUIET) + 2),
        BEGIN_MS + 60_000 * DAY_MINUTES,
    ]
    assert all(halt.loss >= halt.limit for halt in outcome.halts)
    assert outcome.refused == {"trading_is_not_active": 3}
    assert outcome.trades == []


def test_after_a_day_without_the_peak_trading_goes_on():
    bars = [*QUIET, *flat(10_000.0, 1), FALL, *flat(9_800.0, 3 * DAY_MINUTES)]

    outcome = played(
        bars,
        (LAST, WIDE),
        (2 * DAY_MINUTES + 60, LEAVE),
        (2 * DAY_MINUTES + 62, an_entry(stop_loss=9_700.0, take_profit=10_000.0)),
        configured=SMALL_LIMIT,
    )

    assert len(outcome.halts) == 2
    assert outcome.refused == {}
    assert [trade.exit_kind for trade in outcome.trades] == [FillKind.STRATEGY]
    assert outcome.open_trade is not None


def test_protection_works_while_trading_is_halted():
    bars = [*QUIET, *flat(10_000.0, 1), FALL, *flat(9_800.0, 3), (9_800.0, 9_800.0, 9_000.0, 9_000.0)]

    outcome = played(bars, (LAST, an_entry(stop_loss=9_500.0, take_profit=15_000.0)), configured=SMALL_LIMIT)

    assert [(trade.exit_kind, trade.exit_price) for trade in outcome.trades] == [
        (FillKind.STOP_LOSS, Decimal("9500.00"))
    ]


def test_a_halt_sells_at_the_next_open_where_that_is_configured():
    bars = [*QUIET, *flat(10_000.0, 1), FALL, (9_790.0, 9_790.0, 9_790.0, 9_790.0)]

    outcome = played(
        bars, (LAST, WIDE), configured={**SMALL_LIMIT, "safety": {"liquidate_on": ["DAILY_LOSS_EXCEEDED"]}}
    )

    assert [(trade.exit_kind, trade.exit_price) for trade in outcome.trades] == [
        (FillKind.LIQUIDATION, Decimal("9790.00"))
    ]


def test_a_time_exit_that_a_halt_refuses_is_tried_again():
    bars = [*QUIET, *flat(10_000.0, 1), FALL, *flat(9_800.0, 3 * DAY_MINUTES)]

    outcome = played(bars, (LAST, WIDE), configured={**SMALL_LIMIT, "strategy": {"exit_after_s": 600}})

    [trade] = outcome.trades
    assert trade.exit_kind is FillKind.TIME
    assert trade.closed_at_ms == BEGIN_MS + 2 * DAY_MINUTES * 60_000  # the first open after the second halt
    assert set(outcome.refused) == {"trading_is_not_active"}


def test_a_loss_of_just_less_than_the_limit_halts_nothing():
    almost = (9_801.0, 9_801.0, 9_801.0, 9_801.0)

    outcome = played([*QUIET, *flat(10_000.0, 1), almost, *flat(9_801.0, 5)], (LAST, WIDE), configured=SMALL_LIMIT)

    assert outcome.halts == []


CANDLES = the_shipped_candles().between(None, BEGIN_MS + 5 * 86_400_000)


def run_over(candles: Candles) -> Outcome:
    return simulate(
        candles,
        configuration=a_configuration(strategy={"stops": "atr"}),
        instrument=instrument_of("BTC/USDT"),
        costs=Costs(),
        cash=Decimal(10_000),
    )


WHOLE = run_over(CANDLES)


@settings(max_examples=20, deadline=None)
@given(st.integers(2_000, len(CANDLES) - 1))
def test_what_is_yet_to_come_changes_nothing_that_has_happened(count: int):
    known = run_over(CANDLES.between(None, CANDLES.open_at_ms[count]))

    assert known.trades == WHOLE.trades[: len(known.trades)]
    assert known.marks == WHOLE.marks[:count]


def test_every_candle_is_marked_once():
    assert len(WHOLE.marks) == len(CANDLES)


def test_progress_is_told():
    done: list[int] = []

    simulate(
        CANDLES,
        configuration=a_configuration(),
        instrument=instrument_of("BTC/USDT"),
        costs=Costs(),
        cash=Decimal(10_000),
        on_progress=done.append,
    )

    assert done == sorted(done)
    assert done


@pytest.mark.parametrize("limit_pct", [0.05, 0.2])
def test_the_halts_of_a_run_are_those_that_every_mark_by_itself_would_give(limit_pct: float):
    """The curve looks at stretches of marks at once; a loop over each mark must find the same."""
    outcome = simulate(
        CANDLES,
        configuration=a_configuration(risk_management={"position_size_pct": 10, "daily_loss_limit_pct": limit_pct}),
        instrument=instrument_of("BTC/USDT"),
        costs=Costs(),
        cash=Decimal(10_000),
    )

    assert [halt.at_ms for halt in outcome.halts] == halts_by_hand(CANDLES, list(outcome.marks), limit_pct)
    assert outcome.halts


def halts_by_hand(candles: Candles, marks: list[float], limit_pct: float) -> list[int]:
    day_ms, found, until = 86_400_000, [], 0
    closes = [at_ms + 60_000 for at_ms in candles.open_at_ms]
    for index, (now, mark) in enumerate(zip(closes, marks, strict=True)):
        if now < until:
            continue
        midnight = now // day_ms * day_ms
        earlier = [worth for at, worth in zip(closes[: index + 1], marks, strict=False) if at <= midnight]
        baseline = earlier[-1] if earlier else 10_000.0
        peak = max(worth for at, worth in zip(closes[: index + 1], marks, strict=False) if at >= now - day_ms)
        if max(baseline, peak) - mark >= baseline * limit_pct / 100:
            found.append(now)
            until = midnight + day_ms
    return found
