"""What `trader up` was asked for, checked as a whole before anything starts.

Invariant: what can be refused is refused here, not after minutes of running.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from cli.durations import parse_duration
from cli.errors import CommandError, ExitStatus
from cli.stack.demonstrations import DEMO, is_demonstration, with_overrides
from cli.stack.exchange_keys import refuse_visitor
from libs.common.configuration import TradingConfiguration, load_sourced, parse_configuration
from libs.common.errors import ConfigurationError
from libs.policy import configured_strategy

PAPER_MARKETS: Final = frozenset({"BTC/USDT", "ETH/USDT"})
"""What the paper exchange trades."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run.

    Attributes:
        files: Where the configuration comes from.
        origins: Where each of its values does, by dotted key.
        run_for: How long, counted from ready; None: until it is stopped.
        report_file: Where the report goes; None: there is none.
    """

    files: tuple[Path, ...]
    configuration: TradingConfiguration
    origins: Mapping[str, str]
    run_for: timedelta | None
    report_file: Path | None

    @property
    def start_active(self) -> bool:
        """A fresh installation starts ACTIVE: only the demonstrations do."""
        return len(self.files) == 1 and is_demonstration(self.files[0])


def make_plan(
    files: list[Path] | None,
    *,
    market: str | None,
    seed: int | None,
    symbols: str | None,
    run_for: str | None,
    report_file: Path | None,
) -> Plan:
    """Return what the options of `trader up` mean.

    Raises:
        CommandError: An option cannot be used (2), or what is configured is not to be had here (4).
        ConfigurationError: A key of the configuration is wrong.
    """
    duration = parse_duration(run_for, option="--for") if run_for is not None else None
    paths = tuple(files or [DEMO])
    where = ", ".join(str(path) for path in paths)
    given = load_sourced(paths, os.environ)
    content = with_overrides(given.configuration, market=market, seed=seed, symbols=symbols)
    configuration = parse_configuration(content, where=where)
    options = {"market.source": market, "market.seed": seed, "symbols": symbols}
    origins = {**given.origins, **{key: "option" for key, value in options.items() if value is not None}}
    check_startable(configuration, where=where)
    if report_file is not None:
        _check_writable(report_file)
    return Plan(files=paths, configuration=configuration, origins=origins, run_for=duration, report_file=report_file)


def check_startable(configuration: TradingConfiguration, *, where: str) -> None:
    """Check what a valid configuration may still ask for in vain.

    Raises:
        CommandError: This version cannot do it.
        ConfigurationError: The strategy or one of its parameters is unknown.
    """
    if not configuration.engine.enable_paper_trading:
        raise CommandError(
            f"{where}: engine.enable_paper_trading: expected true, found false: "
            "this version trades on its own paper exchange only",
            hint="Set it to true. Nothing was started.",
            status=ExitStatus.CONFIGURATION,
        )
    if configuration.market.source == "binance":
        raise CommandError(
            f"{where}: market.source (--market): expected recorded or generated, found binance: "
            "this version has no live feed yet",
            hint="Leave it out for recorded Binance prices, or use --market generated. Nothing was started.",
            status=ExitStatus.CONFIGURATION,
        )
    foreign = [symbol for symbol in configuration.symbols if symbol not in PAPER_MARKETS]
    if foreign:
        raise ConfigurationError(
            where=f"{where}: symbols (--symbols)",
            expected=f"markets of the paper exchange ({', '.join(sorted(PAPER_MARKETS))})",
            found=", ".join(foreign),
        )
    refuse_visitor(configuration.exchange.accounts, where=where)
    configured_strategy(configuration, configuration.symbols[0], where=where)


def _check_writable(path: Path) -> None:
    try:
        if path.is_dir():
            raise IsADirectoryError(None, "a directory of that name")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise CommandError(
            f"--report {path}: expected a file that can be written, found: {error.strerror}",
            hint="Name a file in a directory that you may write to. Nothing was started.",
            status=ExitStatus.USAGE,
        ) from error
