"""The backtest equals a bare loop, trade by trade, on the shipped candles."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from libs.backtest.account import Trade
from libs.backtest.candles import Candles, shipped_candles
from libs.backtest.costs import Costs
from libs.backtest.instruments import instrument_of
from libs.backtest.outcome import Outcome
from libs.backtest.simulation import simulate
from libs.common.configuration import parse_configuration
from tests.support.bare_backtest import (
    UNIT,
    BareTrade,
    Exits,
    Row,
    Rules,
    bare_backtest,
    donchian_trend,
    ema_cross,
    rsi_reversion,
    wishes,
)

pytestmark = pytest.mark.sweep


@pytest.fixture(scope="module")
def candles() -> Candles:
    return shipped_candles()


def rows_of(candles: Candles) -> list[Row]:
    columns = (candles.open_at_ms, candles.open, candles.high, candles.low, candles.close, candles.volume)
    return list(zip(*columns, strict=True))


def outcome_of(candles: Candles, strategy: dict[str, Any], **risk: float) -> Outcome:
    configuration = parse_configuration({"strategy": strategy, "risk_management": risk}, where="test")
    return simulate(
        candles,
        configuration=configuration,
        instrument=instrument_of(candles.symbol),
        costs=Costs(),
        cash=Decimal(10_000),
    )


def bare(trade: Trade, places: dict[int, int]) -> BareTrade:
    """Return a trade in the bare loop's terms."""
    return BareTrade(
        opened=places[trade.opened_at_ms],
        closed=places[trade.closed_at_ms],
        quantity=int(trade.quantity * UNIT),
        bought_at=int(trade.entry_price * 100),
        sold_at=int(trade.exit_price * 100),
        quality=trade.quality,
        kind=trade.exit_kind.value,
    )


def assert_equal_trades(candles: Candles, outcome: Outcome, expected: list[BareTrade], *, at_least: int) -> None:
    places = {at_ms: place for place, at_ms in enumerate(candles.open_at_ms)}
    assert outcome.halts == []
    assert [bare(trade, places) for trade in outcome.trades] == expected
    assert len(expected) >= at_least


def test_ema_cross_with_exits_in_atr_trades_as_the_bare_loop_does(candles: Candles):
    rows = rows_of(candles)
    found = wishes(rows, 60_000, ema_cross(9, 21), Exits(stop=2, target=4, by_atr=True), rule_window=5 * 21, pace=21)

    outcome = outcome_of(candles, {"name": "ema_cross", "stops": "atr"})

    expected = bare_backtest(rows, 60_000, found, Rules())
    assert_equal_trades(candles, outcome, expected, at_least=2_000)
    assert {trade.kind for trade in expected} == {"stop_loss", "take_profit", "strategy"}


def test_rsi_reversion_with_exits_in_percent_trades_as_the_bare_loop_does(candles: Candles):
    rows = rows_of(candles)
    exits = Exits(stop=1, target=2, by_atr=False)
    found = wishes(rows, 60_000, rsi_reversion(14, 30, 70), exits, rule_window=9 * 14 + 1, pace=14)

    outcome = outcome_of(candles, {"name": "rsi_reversion"}, position_size_pct=5)

    expected = bare_backtest(rows, 60_000, found, Rules(size_pct=Fraction(5)))
    assert_equal_trades(candles, outcome, expected, at_least=500)


def test_donchian_trend_over_minutes_and_with_time_exits_trades_as_the_bare_loop_does(candles: Candles):
    rows = rows_of(candles)
    exits = Exits(stop=3, target=6, by_atr=True)
    found = wishes(rows, 60_000, donchian_trend(20, 10), exits, rule_window=22, pace=20)

    strategy = {"name": "donchian_trend", "stops": "atr", "stop_atr": 3, "take_atr": 6, "exit_after_s": 600}
    outcome = outcome_of(candles, strategy, position_size_pct=3)

    expected = bare_backtest(rows, 60_000, found, Rules(size_pct=Fraction(3), exit_after_ms=600_000))
    assert_equal_trades(candles, outcome, expected, at_least=1_000)
    assert {trade.kind for trade in expected} >= {"time", "stop_loss", "strategy"}
