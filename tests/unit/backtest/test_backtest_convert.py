"""The shipped candles are what their converter makes of the candles that they hold."""

import csv
from pathlib import Path

import pytest

from libs.backtest.candles.convert import convert
from libs.backtest.candles.shipped import load_candles, shipped_candles


@pytest.mark.sweep
def test_converting_the_shipped_candles_changes_nothing(tmp_path: Path):
    candles = shipped_candles()
    columns = (candles.open_at_ms, candles.open, candles.high, candles.low, candles.close, candles.volume)
    day_before = candles.begin_at_ms - 86_400_000
    with (tmp_path / "candles.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("ts", "open", "high", "low", "close", "volume"))
        rows.writerow((day_before, 1, 1, 1, 1, 1))  # outside of the three months: left out
        rows.writerows(zip(*columns, strict=True))

    convert(tmp_path / "candles.csv", tmp_path / "made.candles")

    assert load_candles((tmp_path / "made.candles").read_bytes(), where="test") == candles
