"""How the paper exchange is run: as a part of a stack, and alone for other programs (`trader exchange`)."""

import asyncio
import json
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import aiohttp

from cli.errors import ExitStatus
from cli.logs import log_to_file
from cli.stack.exchange_settings import exchange_environment
from libs.common.configuration.market import MarketSection
from libs.embedded.directory import DataDirectory
from libs.embedded.errors import EXIT_NOT_RUNNING, EmbeddedError
from libs.embedded.ports import PortBook
from libs.embedded.process import ProcessEvent
from libs.embedded.process_table import end_leftovers
from libs.embedded.services import Service, python_module, service_spec
from libs.embedded.stack import run_until_signal
from libs.embedded.stores.store import LOOPBACK
from libs.embedded.supervisor import Supervisor

EXCHANGE: Final = "paper_exchange"
PLACE: Final = "exchange"
"""Its directory below the stack's: its accounts are its own, so that a stack's ledger never sees their trades."""

ADMIN_PORT: Final = "PAPER_EXCHANGE_ADMIN_PORT"
"""Lets the exchange be told to fail; a stack's exchange has it from the environment of `trader up`, as tests set it."""

SHOWN: Final = ("exchange_rest", "exchange_ws", "exchange_accounts")
_ANSWER_S_MAX: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BinanceAddresses:
    """Where the live market is: the base addresses of its REST API and of its streams."""

    rest: str
    ws: str


def exchange_service(
    market: MarketSection,
    symbols: tuple[str, ...],
    accounts: tuple[str, ...] | None,
    *,
    port: int,
    data_dir: Path,
    scenario_file: Path | None,
) -> Service:
    """Return how to run the paper exchange.

    Args:
        market: Where prices come from.
        symbols: What it trades.
        accounts: Who trades there besides the visitor; None: whom the exchange itself is told of.
        port: Where it listens.
        data_dir: Its own data directory.
        scenario_file: What is to happen on the generated market.
    """
    return Service(
        name=EXCHANGE,
        command=python_module(f"services.{EXCHANGE}"),
        environment=exchange_environment(
            market, symbols, accounts, host=LOOPBACK, port=port, data_dir=data_dir, scenario_file=scenario_file
        ),
        health_port_variable="PAPER_EXCHANGE_HEALTH_PORT",
    )


async def run_exchange(
    data_dir: Path,
    *,
    market: MarketSection,
    symbols: tuple[str, ...],
    addresses: BinanceAddresses | None,
    port: int | None,
    admin_port: int | None,
    on_event: Callable[[ProcessEvent], None],
    on_ready: Callable[[dict[str, Any]], None],
) -> ExitStatus:
    """Run the paper exchange until it is asked to stop; return the exit status.

    Args:
        data_dir: The stack's data directory; the exchange has one of its own below it.
        market: Where prices come from.
        symbols: What it trades.
        addresses: Where prices come from, if they are live.
        port: Where it listens; None: the port it had before, at first a free one.
        admin_port: Where faults are armed, 0: on a free port; None: nowhere.
        on_event: Told of every change of its process.
        on_ready: Told where it is and which accounts it has, once it answers.

    Raises:
        EmbeddedError: Its directory or port cannot be used, the live market is out of reach, or it does not start.
    """
    directory = DataDirectory(data_dir / PLACE)
    directory.create()

    async def work() -> None:
        with directory.locked():
            log_to_file(directory.log_file("supervisor"))
            await asyncio.to_thread(end_leftovers, directory)
            ports = PortBook(directory.ports_file, choice=random.SystemRandom())
            service = exchange_service(
                market,
                symbols,
                None,
                port=ports.port(EXCHANGE, wanted=port),
                data_dir=directory.root,
                scenario_file=None,
            )
            if addresses is not None:
                await _check_reachable(addresses)
                variables = {
                    "PAPER_EXCHANGE_BINANCE_REST_URL": addresses.rest,
                    "PAPER_EXCHANGE_BINANCE_WS_URL": addresses.ws,
                }
                service = replace(service, environment={**service.environment, **variables})
            if admin_port is not None:
                service = replace(service, environment={**service.environment, ADMIN_PORT: str(admin_port)})
            spec = service_spec(service, directory=directory, health_port=ports.port(f"{EXCHANGE}.health"))
            async with Supervisor(directory, on_event=on_event) as supervisor:
                await supervisor.start([spec])
                found = json.loads((directory.root / "exchange.json").read_text(encoding="utf-8"))
                shown = {name: found[name] for name in SHOWN}
                if admin_port is not None:
                    shown["admin"] = json.loads((directory.root / "admin.json").read_text(encoding="utf-8"))
                on_ready(shown)
                await supervisor.broken()

    interrupted = await run_until_signal(work())
    return ExitStatus.INTERRUPTED if interrupted is signal.SIGINT else ExitStatus.DONE


async def _check_reachable(addresses: BinanceAddresses) -> None:
    """Find out now what would otherwise end the exchange again and again."""
    asked = addresses.rest
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_S_MAX)) as session:
            async with session.get(f"{addresses.rest}/api/v3/ping", raise_for_status=True):
                asked = addresses.ws
            async with asyncio.timeout(_ANSWER_S_MAX), session.ws_connect(f"{addresses.ws}/ws"):
                pass
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise EmbeddedError(
            f"--market binance: expected Binance's market data at {asked}, found: {type(error).__name__}: {error}",
            hint="Look at the network, name other addresses with --binance-rest and --binance-ws, "
            "or leave --market out for recorded prices.",
            exit_status=EXIT_NOT_RUNNING,
        ) from error
