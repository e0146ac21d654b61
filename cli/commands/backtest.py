"""`trader backtest run`: a strategy over recorded candles."""

import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import CommandError, ExitStatus
from cli.options import AsJson
from cli.output import emit_json

backtest = typer.Typer(help="The past: strategies over recorded candles.", no_args_is_help=True)


@backtest.callback()
def _group() -> None:
    """Keep `run` a command of its own while it is the only one."""


@backtest.command("run")
def run(
    file: Annotated[
        Path | None,
        typer.Option("--data", help="Candles, CSV or Parquet. Default: three months of BTC/USDT that ship with this."),
    ] = None,
    symbol: Annotated[str, typer.Option("--symbol", help="Whose candles they are.")] = "BTC/USDT",
    strategy: Annotated[str | None, typer.Option("--strategy", help="A strategy of the core.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A parameter of the strategy (ema_fast=5) or a key of the configuration "
            "(risk_management.position_size_pct=10); may be repeated.",
        ),
    ] = None,
    configuration_files: Annotated[
        list[Path] | None, typer.Option("--config", help="The configuration to trade with; several files form one.")
    ] = None,
    interval_s: Annotated[
        int | None,
        typer.Option("--interval", help="Decide on candles of so many seconds; else as configured, else the data's."),
    ] = None,
    begin: Annotated[str | None, typer.Option("--from", help="Only candles from this time on (ISO 8601, UTC).")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Only candles before this time.")] = None,
    cash: Annotated[str, typer.Option("--cash", help="What the account begins with, in quote currency.")] = "10000",
    fee_rate: Annotated[str, typer.Option("--fee-rate", help="Fee of a fill, as a fraction.")] = "0.001",
    spread_rate: Annotated[str, typer.Option("--spread-rate", help="Ask less bid, as a fraction.")] = "0.0001",
    slippage_rate: Annotated[
        str, typer.Option("--slippage-rate", help="How much worse an order at the market fills, as a fraction.")
    ] = "0.0001",
    price_tick: Annotated[
        str | None, typer.Option("--price-tick", help="The step of prices, where the symbol is not known.")
    ] = None,
    quantity_step: Annotated[
        str | None, typer.Option("--quantity-step", help="The step of quantities, where the symbol is not known.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Follow one strategy through history with the code that trades live. The past promises nothing."""
    from cli.backtesting import Progress, Request, run_backtest, text_of_report  # noqa: PLC0415 - costs 200 ms

    request = Request(
        file=file,
        symbol=symbol,
        strategy=strategy,
        settings=settings or [],
        configuration_files=configuration_files or [],
        interval_s=interval_s,
        begin=begin,
        end=end,
        cash=_number("--cash", cash),
        fee_rate=_number("--fee-rate", fee_rate),
        spread_rate=_number("--spread-rate", spread_rate),
        slippage_rate=_number("--slippage-rate", slippage_rate),
        price_tick=None if price_tick is None else _number("--price-tick", price_tick),
        quantity_step=None if quantity_step is None else _number("--quantity-step", quantity_step),
    )
    report = run_backtest(request, Progress())
    if as_json:
        emit_json(report)
    else:
        sys.stdout.write(text_of_report(report))


def _number(option: str, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0:
        raise CommandError(f"{option}: expected a number from 0, found {text!r}", status=ExitStatus.USAGE)
    return number
