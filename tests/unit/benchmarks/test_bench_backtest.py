"""The baseline of the candle backtest trades as the backtest does, and an unequal one is noticed."""

import dataclasses

import pytest

from benchmarks.backtest import CASH, _columns, _require_equal, _simulated, _write_year
from benchmarks.bare_loop import bare_loop
from benchmarks.stacks import BenchmarkError
from libs.backtest.candles import read_candles
from tests.support.shipped import the_shipped_candles

CANDLES = the_shipped_candles().between(
    None, 1_583_020_800_000 + 14 * 86_400_000
)  # two weeks, a gap and the crash in them


@pytest.mark.parametrize(("fast", "slow"), [(50, 200), (9, 21), (20, 50)])
def test_the_bare_loop_trades_on_the_same_candles(fast: int, slow: int):
    outcome = _simulated(CANDLES, fast, slow)

    trades = bare_loop(list(zip(*_columns(CANDLES), strict=True)), CASH, fast_period=fast, slow_period=slow)

    _require_equal(CANDLES, outcome, trades)
    assert trades


def test_other_trades_than_the_bare_loops_are_nothing_to_compare():
    outcome = _simulated(CANDLES, 20, 50)
    trades = bare_loop(list(zip(*_columns(CANDLES), strict=True)), CASH, fast_period=20, slow_period=50)

    with pytest.raises(BenchmarkError, match="found 104: their number"):
        _require_equal(CANDLES, outcome, trades[:-1])
    with pytest.raises(BenchmarkError, match="round trips of the bare loop, found"):
        _require_equal(CANDLES, dataclasses.replace(outcome, trades=outcome.trades[1:]), trades)


@pytest.mark.sweep
def test_a_year_of_minutes_has_no_seam(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.backtest.YEAR", 50_000)  # more than twice the two weeks

    _write_year(CANDLES, tmp_path / "year.csv")

    year = read_candles(tmp_path / "year.csv", "BTC/USDT")
    assert len(year) == 50_000
    assert {gap.missing for gap in year.gaps()} == {128}
