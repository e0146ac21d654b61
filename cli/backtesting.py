"""What `trader backtest run` does: read, run, tell.

Invariant: what a person asked for wrongly is an error of usage or configuration; wrong candles are named by their row.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from cli.errors import CommandError, ExitStatus
from cli.output import tell, text_of
from libs.backtest.candles import Candles, CandlesError, read_candles, shipped_candles
from libs.backtest.candles.times import moment_ms
from libs.backtest.costs import Costs
from libs.backtest.instruments import instrument_of
from libs.backtest.report import report_of
from libs.backtest.simulation import simulate
from libs.common.clock import SystemClock
from libs.common.configuration import TradingConfiguration, load_configuration, parse_configuration

SHIPPED: Final = "shipped"
SECONDS_A_DAY: Final = 86_400
PROGRESS_S: Final = 2.0
"""A run that takes no longer says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for on the command line."""

    file: Path | None
    symbol: str
    strategy: str | None
    settings: Sequence[str]
    configuration_files: Sequence[Path]
    interval_s: int | None
    begin: str | None
    end: str | None
    cash: Decimal
    fee_rate: Decimal
    spread_rate: Decimal
    slippage_rate: Decimal
    price_tick: Decimal | None
    quantity_step: Decimal | None


class Progress:
    """Tells a person how far a long run is."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._told_at_s = self._clock.monotonic_s()

    def on_candles(self, done: int, count: int) -> None:
        """Say it, if the last time is long enough ago."""
        now_s = self._clock.monotonic_s()
        if now_s - self._told_at_s >= PROGRESS_S:
            self._told_at_s = now_s
            tell(f"{done} of {count} candles ({100 * done // count} %)")


def run_backtest(request: Request, progress: Progress) -> dict[str, Any]:
    """Return the report.

    Raises:
        CommandError: The candles or an option cannot be used.
        ConfigurationError: The configuration cannot.
    """
    settings = _settings(request)
    configuration = _configuration(request, settings)
    try:
        instrument = instrument_of(request.symbol, price_tick=request.price_tick, quantity_step=request.quantity_step)
        costs = Costs(fee_rate=request.fee_rate, spread_rate=request.spread_rate, slippage_rate=request.slippage_rate)
    except ValueError as error:
        raise CommandError(
            str(error), hint="See --price-tick, --quantity-step, --fee-rate.", status=ExitStatus.USAGE
        ) from error
    if request.cash <= 0:
        raise CommandError(f"--cash: expected more than 0, found {request.cash}", status=ExitStatus.USAGE)
    is_configured = bool(request.configuration_files) or "engine.trading_interval" in settings
    candles = _candles(request, configuration.engine.trading_interval if is_configured else None)
    outcome = simulate(
        candles,
        configuration=configuration,
        instrument=instrument,
        costs=costs,
        cash=request.cash,
        on_progress=lambda done: progress.on_candles(done, len(candles)),
    )
    source = SHIPPED if request.file is None else request.file.name
    return report_of(outcome, candles, source=source, costs=costs, cash=request.cash)


def text_of_report(report: Mapping[str, Any]) -> str:
    """Return the report for a person; the trades are in the JSON."""
    candles, signals, equity, figures = (report[name] for name in ("candles", "signals", "equity", "statistics"))
    strategy = report["strategy"]
    parameters = ", ".join(f"{name}={text_of(value)}" for name, value in strategy["parameters"].items())
    exits: dict[str, int] = {}
    for trade in report["trades"]:
        exits[trade["exit"]] = exits.get(trade["exit"], 0) + 1
    lines = {
        "strategy": f"{strategy['name']} ({parameters})",
        "candles": f"{candles['count']} of {candles['symbol']} over {candles['interval_s']} s, "
        f"{text_of(candles['begin_at'])} to {text_of(candles['end_at'])} UTC, "
        f"{candles['missing']} missing in {len(candles['gaps'])} gaps",
        "costs": f"fee {_percent(report['costs']['fee_rate'])}, spread {_percent(report['costs']['spread_rate'])}, "
        f"slippage {_percent(report['costs']['slippage_rate'])}",
        "entries": f"{signals['entries']} decided, {_counted(signals['held'])} held, "
        f"{_counted(signals['refused'])} refused, {signals['missed']} missed",
        "trades": _counted(exits),
        "equity": f"{text_of(equity['start'])} -> {equity['end']:.2f} ({_percent(figures['return_fraction'])}; "
        f"the market {_percent(figures['buy_and_hold_fraction'])})",
        "returns": f"{_percent(figures['annual_return'])} a year, volatility {_percent(figures['annual_volatility'])}, "
        f"Sharpe {_ratio(figures['sharpe_ratio'])}, Sortino {_ratio(figures['sortino_ratio'])}, "
        f"Calmar {_ratio(figures['calmar_ratio'])}",
        "drawdown": f"{_percent(figures['max_drawdown'])}, "
        f"the longest {figures['longest_drawdown_s'] / SECONDS_A_DAY:.1f} days",
        "a trade": f"{_ratio(figures['expectancy'])} on average, won {_percent(figures['win_rate'])}, "
        f"profit factor {_ratio(figures['profit_factor'])}",
        "exposure": f"{_percent(figures['exposure'])} of the time, "
        f"the equity turned over {_ratio(figures['turnover'])} times",
        "paid": f"{equity['fees']:.2f} in fees, {figures['slippage']:.2f} in spread and slippage",
        "halts": str(len(report["halts"])),
    }
    width = max(map(len, lines))
    return "".join(f"{name:<{width}}  {text}\n" for name, text in lines.items())


def _settings(request: Request) -> dict[str, Any]:
    """Return what --strategy and --set change, by the key's full name."""
    settings: dict[str, Any] = {} if request.strategy is None else {"strategy.name": request.strategy}
    for setting in request.settings:
        name, equals, text = setting.partition("=")
        if not (name and equals):
            raise CommandError(f"--set: expected NAME=VALUE, found {setting!r}", status=ExitStatus.USAGE)
        value: Any = text
        with suppress(json.JSONDecodeError):  # what is no JSON is text
            value = json.loads(text, parse_float=Decimal)
        settings[name if "." in name else f"strategy.parameters.{name}"] = value
    return settings


def _configuration(request: Request, settings: Mapping[str, Any]) -> TradingConfiguration:
    content = load_configuration(request.configuration_files).model_dump() if request.configuration_files else {}
    for name, value in settings.items():
        *sections, key = name.split(".")
        place = content
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise CommandError(f"--set {name}: expected a key of a section", status=ExitStatus.CONFIGURATION)
        place[key] = value
    return parse_configuration(content, where="trader backtest run")


def _candles(request: Request, interval_s: int | None) -> Candles:
    try:
        candles = shipped_candles() if request.file is None else read_candles(request.file, request.symbol)
    except CandlesError as error:
        raise CommandError(str(error), hint="docs/backtesting.md says what a file looks like.") from error
    if candles.symbol != request.symbol:
        raise CommandError(
            f"--symbol: expected {candles.symbol}, whose candles these are, found {request.symbol}",
            hint="Other markets' candles come from --data FILE.",
            status=ExitStatus.USAGE,
        )
    try:
        candles = candles.between(
            None if request.begin is None else moment_ms(request.begin),
            None if request.end is None else moment_ms(request.end),
        ).over(request.interval_s or interval_s or candles.interval_s)
    except ValueError as error:
        raise CommandError(f"--from, --to, --interval: {error}", status=ExitStatus.USAGE) from error
    if not len(candles):
        raise CommandError("expected candles within --from and --to, found none", status=ExitStatus.USAGE)
    return candles


def _counted(counts: Mapping[str, int]) -> str:
    return f"{sum(counts.values())}" + (
        f" ({', '.join(f'{count} {reason}' for reason, count in counts.items())})" if counts else ""
    )


def _percent(fraction: float | Decimal | None) -> str:
    return "none" if fraction is None else f"{100 * fraction:.2f} %"


def _ratio(ratio: float | None) -> str:
    return "none" if ratio is None else f"{ratio:.3f}"
