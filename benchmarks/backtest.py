"""The candle backtest through the code that trades live, beside a bare loop of the same rules.

The strategy is an EMA cross with exits in ATR, over the three months of minutes that ship with the project. What a
candle costs depends on how often it is traded on, because a trade costs as much as hundreds of candles: the budget is
held for the classic averages over 50 and 200, and the default ones over 9 and 21, which trade ten times as often, are
shown beside it. Times are of the processor, which a busy machine distorts less than those of the clock.
"""

import asyncio
import csv
import gc
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from benchmarks.bare_loop import Row, bare_loop
from benchmarks.figures import Bounded, Budget, Figure, Measurement, quantile, spread
from benchmarks.stacks import BenchmarkError, data_directory, load, say
from cli.__main__ import OBJECTS_UNTIL_COLLECTION
from libs.backtest.candles import Candles, shipped_candles
from libs.backtest.costs import Costs
from libs.backtest.instruments import instrument_of
from libs.backtest.outcome import Outcome
from libs.backtest.simulation import simulate
from libs.common.configuration import parse_configuration

ROUNDS: Final = 7
CASH: Final = 10_000
YEAR: Final = 365 * 24 * 60

RATIO: Final = Budget(Bounded.RATIO, 5.0)
"""0.2 x the speed of the bare loop."""

TIME: Final = Budget(Bounded.VALUE, 1.667)
"""600,000 candles a second on a quiet machine."""


async def measure() -> Measurement:
    """Return what a candle costs, and what a year of them takes.

    Raises:
        BenchmarkError: The loop and the backtest do not trade on the same candles, or the command fails.
    """
    candles = shipped_candles()
    gc.set_threshold(OBJECTS_UNTIL_COLLECTION)  # as the command does
    classic, default = _compare(candles, 50, 200), _compare(candles, 9, 21)
    say("  a year, from the process's start")
    year_s, year_mb = await _year(candles)
    figures = tuple(
        Figure(
            name=name,
            unit=unit,
            value=value,
            baseline=baseline,
            baseline_name=baseline_name,
            budget=budget,
            samples=samples,
            load=load(),
        )
        for name, unit, value, baseline, baseline_name, budget, samples in (
            ("backtest 50/200, a candle, as a ratio", "us", classic.ours, classic.bare, "bare loop", RATIO, ROUNDS),
            ("backtest 50/200, a candle", "us", classic.ours, classic.bare, "bare loop", TIME, ROUNDS),
            ("backtest 9/21, a candle", "us", default.ours, default.bare, "bare loop", None, ROUNDS),
            ("a year of minutes, start to report", "s", year_s, 3.0, "the goal", None, 1),
            ("a year of minutes, memory", "MB", year_mb, 250.0, "the goal", None, 1),
        )
    )
    return Measurement(figures=figures, details={"50/200": classic.details, "9/21": default.details})


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a candle takes, in microseconds."""

    ours: float
    bare: float
    details: Mapping[str, Any]


def _compare(candles: Candles, fast: int, slow: int) -> Comparison:
    """Run both in turn.

    Raises:
        BenchmarkError: They do not trade on the same candles.
    """
    rows: list[Row] = list(zip(*_columns(candles), strict=True))
    ours, bare = [], []
    for _ in range(ROUNDS):
        outcome, ours_s = _timed(lambda: _simulated(candles, fast, slow))
        trades, bare_s = _timed(lambda: bare_loop(rows, CASH, fast_period=fast, slow_period=slow))
        ours.append(ours_s * 1e6 / len(candles))
        bare.append(bare_s * 1e6 / len(candles))
    _require_equal(candles, outcome, trades)
    a_candle, a_candle_bare = quantile(ours, 0.5), quantile(bare, 0.5)
    details = {
        "candles": len(candles),
        "entries": outcome.entries,
        "trades": len(trades),
        "candles_a_second": round(1e6 / a_candle),
        "candles_a_second_bare": round(1e6 / a_candle_bare),
        "ours_us": spread(ours),
        "bare_us": spread(bare),
    }
    return Comparison(a_candle, a_candle_bare, details)


def _simulated(candles: Candles, fast: int, slow: int) -> Outcome:
    strategy = {"name": "ema_cross", "stops": "atr", "parameters": {"ema_fast": fast, "ema_slow": slow}}
    return simulate(
        candles,
        configuration=parse_configuration({"strategy": strategy}, where="benchmark"),
        instrument=instrument_of(candles.symbol),
        costs=Costs(),
        cash=Decimal(CASH),
    )


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began_s = time.process_time()
    answer = work()
    return answer, time.process_time() - began_s


def _require_equal(candles: Candles, outcome: Outcome, trades: Sequence[tuple[int, int]]) -> None:
    times = candles.open_at_ms
    expected = [(times[opened], times[closed]) for opened, closed in trades]
    found = [(trade.opened_at_ms, trade.closed_at_ms) for trade in outcome.trades]
    if found != expected:
        differing = next((pair for pair in zip(expected, found, strict=False) if pair[0] != pair[1]), "their number")
        raise BenchmarkError(
            f"expected the {len(expected)} round trips of the bare loop, found {len(found)}: {differing}"
        )


async def _year(candles: Candles) -> tuple[float, float]:
    """Return seconds of the processor and megabytes that the command takes for a year of minutes in a CSV file."""
    with data_directory() as root:
        path = root / "year.csv"
        _write_year(candles, path)
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "cli",
                "backtest",
                "run",
                "--data",
                str(path),
                "--set",
                "strategy.stops=atr",
                "--json",
            ),
            stdout=asyncio.subprocess.DEVNULL,
        )
        if await process.wait():
            raise BenchmarkError(f"trader backtest run: expected exit status 0, found {process.returncode}")
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = ended.ru_utime - began.ru_utime + ended.ru_stime - began.ru_stime
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, ended.ru_maxrss * unit / 1e6


def _write_year(candles: Candles, path: Path) -> None:
    """Write a year of minutes: the shipped ones again and again, each round where the one before it ended."""
    round_ms = candles.end_at_ms - candles.begin_at_ms
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("open_at", "open", "high", "low", "close", "volume"))
        for written in range(0, YEAR, len(candles)):
            shift_ms = written // len(candles) * round_ms
            for at_ms, *numbers in list(zip(*_columns(candles), strict=True))[: YEAR - written]:
                writer.writerow((at_ms + shift_ms, *numbers))


def _columns(candles: Candles) -> tuple[Sequence[Any], ...]:
    return (candles.open_at_ms, candles.open, candles.high, candles.low, candles.close, candles.volume)
