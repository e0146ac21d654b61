"""Start the paper exchange: the only place that wires it, reads the environment and opens ports."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from random import Random
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from libs.common.clock import Clock, SystemClock
from libs.common.errors import ConfigurationError, InvalidMessageError, RetryableError
from services.paper_exchange.api.keys import load_or_create_keys, write_private
from services.paper_exchange.api.periodic import PERIOD_MS
from services.paper_exchange.exchange import VISITOR, Exchange, openings_of
from services.paper_exchange.faults.admin import ADMIN_FILE, AdminApi, load_or_create_key, tell_where
from services.paper_exchange.faults.layer import FaultLayer
from services.paper_exchange.health import Health
from services.paper_exchange.market.source import LIVE, open_market
from services.paper_exchange.market.tape import Market
from services.paper_exchange.settings import PaperExchangeSettings, load_settings

EXIT_FAILED = 1
EXIT_UNREACHABLE = 3
EXIT_CONFIGURATION = 4
TURN_MS_MIN = 5
"""What happens on the market within so short a time is shown together."""
LIVE_TURN_MS_MAX = 10
"""A live market does not say beforehand when something happens, so it is looked at this often."""
SHUTDOWN_S_MAX = 1.0
LOOPBACK = "127.0.0.1"
"""Where the admin API listens, wherever clients come from."""


def main() -> None:
    """Run until told to stop."""
    try:
        asyncio.run(run(load_settings(), SystemClock()))
    except ConfigurationError as error:
        sys.exit(_complain(str(error), EXIT_CONFIGURATION))
    except RetryableError as error:
        hint = "look at the network, or choose PAPER_EXCHANGE_MARKET=recorded"
        sys.exit(_complain(f"{error}; {hint}", EXIT_UNREACHABLE))
    except (InvalidMessageError, OSError) as error:
        sys.exit(_complain(str(error), EXIT_FAILED))


async def run(settings: PaperExchangeSettings, clock: Clock) -> None:
    """Serve clients until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await serve(settings, clock, ended)


async def serve(settings: PaperExchangeSettings, clock: Clock, ended: asyncio.Event) -> None:
    """Serve clients until `ended` is set."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    async with open_market(settings, clock, tell=_tell) as market:
        await _serve_market(market, settings, clock, ended)


async def _serve_market(market: Market, settings: PaperExchangeSettings, clock: Clock, ended: asyncio.Event) -> None:
    keys = load_or_create_keys(settings.data_dir / "keys.json", settings.accounts)
    exchange = Exchange(
        clock=clock,
        tape=market,
        speed=Fraction(settings.speed),
        seed=settings.seed,
        journal_dir=settings.data_dir / "journal",
        keys=list(keys.values()),
        openings=openings_of(settings.accounts),
    )
    health = Health(clock=clock)
    crash: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    application = exchange.server.application([_crash_on_bug(crash, health.answered)])
    async with (
        _administered(exchange, settings, crash),
        _listening(application, settings.host, settings.port, "PORT") as port,
        _listening(health.application(), settings.host, settings.health_port, "HEALTH_PORT") as health_port,
    ):
        turn_ms_max = LIVE_TURN_MS_MAX if settings.market == LIVE else PERIOD_MS
        turning = asyncio.create_task(_turn(exchange, health, turn_ms_max))
        write_private(
            settings.data_dir / "exchange.json",
            {
                "exchange_rest": f"http://{settings.host}:{port}",
                "exchange_ws": f"ws://{settings.host}:{port}",
                "health": f"http://{settings.host}:{health_port}",
                "exchange_accounts": {
                    name: {"api_key": keys[name].api_key, "api_secret": keys[name].api_secret}
                    for name in (*settings.accounts, VISITOR)
                },
            },
        )
        health.ready()
        _tell(f"ready: http://{settings.host}:{port} ({market.identity})")
        turning.add_done_callback(lambda _: ended.set())
        crash.add_done_callback(lambda _: ended.set())
        await ended.wait()
        for future in (turning, crash):
            if future.done():
                future.result()
        turning.cancel()
    exchange.venue.close()


async def _turn(exchange: Exchange, health: Health, turn_ms_max: int) -> None:
    """Let the market catch up with the clock, and publish by the clock."""
    venue = exchange.venue
    period = -1
    while True:
        now_ms = venue.advance()
        if now_ms // PERIOD_MS != period:
            period = now_ms // PERIOD_MS
            exchange.periodic.publish()
            feed = exchange.feed
            health.turned(place_ms=venue.history.place_ms, frames=feed.frames_total, listeners=feed.account_listeners)
        quiet_ms = venue.quiet_ms(min(turn_ms_max, PERIOD_MS - now_ms % PERIOD_MS))
        await asyncio.sleep(max(quiet_ms, TURN_MS_MIN) / 1_000)


@asynccontextmanager
async def _administered(
    exchange: Exchange, settings: PaperExchangeSettings, crash: "asyncio.Future[None]"
) -> AsyncIterator[None]:
    """Put faults between the exchange and its clients, and say where they are armed, if that is asked for."""
    if settings.admin_port is None:
        (settings.data_dir / ADMIN_FILE).unlink(missing_ok=True)
        yield
        return
    randomness = Random(settings.fault_seed)  # noqa: S311 - it decides about faults, not about secrets
    layer = FaultLayer(exchange, randomness=randomness, tell=_tell)
    key = load_or_create_key(settings.data_dir)
    application = AdminApi(layer, venue=exchange.venue, key=key).application((_crash_on_bug(crash),))
    async with _listening(application, LOOPBACK, settings.admin_port, "ADMIN_PORT") as port:
        tell_where(settings.data_dir, url=f"http://{LOOPBACK}:{port}", key=key)
        _tell(f"can be told to fail: http://{LOOPBACK}:{port}")
        yield


def _crash_on_bug(crash: "asyncio.Future[None]", answered: Callable[[int], None] | None = None) -> Any:
    """An error that nobody expected ends the process: after it the venue's state is not to be trusted."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except (web.HTTPException, ConnectionError):
            raise
        except Exception as error:
            if not crash.done():
                crash.set_exception(error)
            raise
        if answered is not None:
            answered(response.status)
        return response

    return middleware


@asynccontextmanager
async def _listening(application: web.Application, host: str, port: int, name: str) -> AsyncIterator[int]:
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_S_MAX)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            hint = f"stop what uses it, or set PAPER_EXCHANGE_{name}=0 for a free port"
            raise OSError(f"cannot listen on {host}:{port}: {error.strerror}; {hint}") from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _tell(text: str) -> None:
    print(f"paper exchange {text}", flush=True)  # noqa: T201 - the reader is a person or a supervisor


def _complain(text: str, status: int) -> int:
    print(f"paper exchange: {text}", file=sys.stderr)  # noqa: T201 - the reader is a person or a supervisor
    return status


if __name__ == "__main__":
    main()
