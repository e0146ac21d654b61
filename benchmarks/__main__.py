"""`make bench`: measure, print the table, write the JSON; 6 tells that a budget is not held."""

import argparse
import asyncio
import logging
import os
import platform
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import structlog

from benchmarks import backtest, footprint, recovery, risk
from benchmarks.figures import Measurement, table
from benchmarks.halt import measuring as halt
from benchmarks.pipeline import measuring as pipeline
from benchmarks.protection import measuring as protection
from benchmarks.stacks import BenchmarkError, load, say, write_json
from libs.common.errors import RetryableError
from libs.embedded.errors import EmbeddedError
from libs.embedded.stack import run_until_signal

EXIT_HELD: Final = 0
EXIT_FAILED: Final = 1
EXIT_NOT_HELD: Final = 6
EXIT_INTERRUPTED: Final = 130

Benchmark = Callable[[argparse.Namespace], Awaitable[Measurement]]

BENCHMARKS: Final[Mapping[str, Benchmark]] = {
    "pipeline": lambda options: pipeline.measure(count=options.count),
    "risk": lambda options: risk.measure(count=options.decisions),
    "halt": lambda options: halt.measure(count=options.halts, delay_ms_max=options.delay_ms),
    "protection": lambda options: protection.measure(count=options.positions, deaths=options.deaths),
    "backtest": lambda _options: backtest.measure(),
    "footprint": lambda _options: footprint.measure(),
    "recovery": lambda _options: recovery.measure(),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(BENCHMARKS)}; none: all")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where the result goes (bench.json)")
    parser.add_argument("--count", type=int, default=500, help="entries, and echoes, of the pipeline (500)")
    parser.add_argument("--decisions", type=int, default=5_000, help="decisions of the risk check (5000)")
    parser.add_argument("--halts", type=int, default=25, help="halts with everything up (25)")
    parser.add_argument("--delay-ms", type=int, default=0, help="how late orders reach the exchange at most (0)")
    parser.add_argument("--positions", type=int, default=100, help="positions with, and without, order lists (100)")
    parser.add_argument("--deaths", type=int, default=10, help="kills of the executor as an entry fills (10)")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"expected {', '.join(BENCHMARKS)}, found {', '.join(unknown)}")
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    results: dict[str, Measurement] = {}
    try:
        interrupted = asyncio.run(run_until_signal(_run(options, results)))
    except (BenchmarkError, EmbeddedError, RetryableError) as error:
        say(f"nothing measured: {error}")
        return EXIT_FAILED
    if interrupted is not None:
        return EXIT_INTERRUPTED
    figures = [figure for measurement in results.values() for figure in measurement.figures]
    print(table(figures))
    held = all(figure.held for figure in figures)
    write_json(options.json, _report(results, held=held))
    return EXIT_HELD if held else EXIT_NOT_HELD


async def _run(options: argparse.Namespace, results: dict[str, Measurement]) -> None:
    for name in options.names or BENCHMARKS:
        say(f"{name} (load {load()})")
        results[name] = await BENCHMARKS[name](options)


def _report(results: Mapping[str, Measurement], *, held: bool) -> dict[str, Any]:
    return {
        "machine": {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "held": held,
        "figures": [figure.as_json() for measurement in results.values() for figure in measurement.figures],
        "details": {name: dict(measurement.details) for name, measurement in results.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
