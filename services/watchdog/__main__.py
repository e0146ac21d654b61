"""Wires the watchdog. Kafka carries its heartbeats and alerts, and may be down for all that the watchdog does."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import structlog

from libs.common.control.file_latch import FileHaltLatch
from libs.common.messaging.deadlines import every
from libs.common.runtime import Runtime, run_service
from libs.exchange.identities import refuse_shared_keys
from libs.exchange.limits import AddressBudget
from services.watchdog.alerting import Alarm, DirectChannel, NotifierConfirmation, load_urls
from services.watchdog.backups import Backups
from services.watchdog.cancelling import EntryCanceller
from services.watchdog.disk import look_at_disk
from services.watchdog.exchange import ExchangeAccount, load_keys
from services.watchdog.heartbeat import OutsideHeartbeat
from services.watchdog.settings import Settings
from services.watchdog.silence import Target
from services.watchdog.watching import EmergencyStop, HttpHealth, Watchdog

POLLING_AGE_S_MAX = 5.0
DISK_INTERVAL_S = 10.0
BACKUPS_INTERVAL_S = 10.0

_log = structlog.get_logger(__name__)


async def serve(runtime: Runtime[Settings]) -> None:
    """Watch until stopped."""
    settings, exchange = runtime.settings, runtime.configuration.exchange
    progress = runtime.health.progress("polling", POLLING_AGE_S_MAX)
    settings.halt_dir.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(open_session())
        alarm = Alarm(
            publish=runtime.publisher.publish,
            direct=DirectChannel(session, _webhooks(settings)),
            confirmation=_confirmation(session, settings),
        )
        stack.push_async_callback(alarm.drain)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        watchdog = Watchdog(
            targets=[
                Target(name=name, alert_after_s=settings.alert_after_s, dead_after_s=settings.halt_after_s)
                for name in settings.targets
            ],
            critical=settings.critical,
            health=HttpHealth(session, {name: str(url) for name, url in settings.targets.items()}),
            emergency=EmergencyStop(
                FileHaltLatch(settings.halt_dir),
                _cancellers(
                    session,
                    settings,
                    accounts=exchange.accounts,
                    recv_window_ms=exchange.recv_window_ms,
                    budget=AddressBudget(runtime.clock),
                ),
            ),
            alarm=alarm,
            clock=runtime.clock,
            tasks=tasks,
        )
        unwatched = [name for name in settings.critical if name not in settings.targets]
        if unwatched:
            _log.warning("Nobody would notice their silence: TRADER_TARGETS does not name them", targets=unwatched)

        async def poll() -> None:
            await watchdog.poll()
            progress.made()

        runtime.health.check("polling", progress.is_made)
        look = partial(look_at_disk, settings.halt_dir)
        tasks.create_task(every(DISK_INTERVAL_S, look, clock=runtime.clock), name="disk")
        if settings.backups_status_file:
            backups = Backups(Path(settings.backups_status_file), since=runtime.clock.now())
            tasks.create_task(every(BACKUPS_INTERVAL_S, backups.look, clock=runtime.clock), name="backups")
        tasks.create_task(every(settings.poll_interval_s, poll, clock=runtime.clock), name="polling")
        if settings.heartbeat_url is not None:
            heartbeat = OutsideHeartbeat(
                session,
                str(settings.heartbeat_url),
                is_polling=progress.is_made,
                describe=watchdog.describe,
                clock=runtime.clock,
            )
            tasks.create_task(
                every(settings.heartbeat_interval_s, heartbeat.beat, clock=runtime.clock), name="outside heartbeat"
            )


def open_session() -> aiohttp.ClientSession:
    """Return a session: a new connection each time, over the proxy that the environment names for the address."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True), trust_env=True)


def _webhooks(settings: Settings) -> list[str]:
    """Return where unconfirmed alerts go."""
    named = [str(settings.webhook_url)] if settings.webhook_url is not None else []
    urls = [*named, *(load_urls(settings.webhook_urls_file) if settings.webhook_urls_file is not None else ())]
    if not urls:
        _log.warning("Nobody is told directly: neither TRADER_WEBHOOK_URL nor TRADER_WEBHOOK_URLS_FILE has an address")
    return urls


def _confirmation(session: aiohttp.ClientSession, settings: Settings) -> NotifierConfirmation | None:
    health = settings.targets.get(settings.notifier)
    if health is None:
        return None
    return NotifierConfirmation(session, urlsplit(str(health))._replace(path="/metrics", query="").geturl())


def _cancellers(
    session: aiohttp.ClientSession,
    settings: Settings,
    *,
    accounts: tuple[str, ...],
    recv_window_ms: int,
    budget: AddressBudget,
) -> list[EntryCanceller]:
    keys = load_keys(settings.exchange_keys_file) if settings.exchange_keys_file else {}
    refuse_shared_keys(
        {account: keys[account].api_key for account in accounts if account in keys},
        where=str(settings.exchange_keys_file),
    )
    missing = [account for account in accounts if account not in keys]
    if missing:
        _log.warning("Entries of these accounts cannot be cancelled: the watchdog has no key", accounts=missing)
    return [
        EntryCanceller(
            account,
            ExchangeAccount(session, address=settings.exchange_rest_url, key=keys[account], budget=budget),
            installation=settings.installation,
            recv_window_ms=recv_window_ms,
        )
        for account in accounts
        if account in keys
    ]


if __name__ == "__main__":
    run_service("watchdog", Settings, serve)
