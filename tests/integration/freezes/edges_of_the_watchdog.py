"""What the watchdog asks and tells beside Kafka: health, confirmations, webhooks, its own heartbeat."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from services.watchdog.alerting import (
    CONFIRMATION_S_MAX,
    WEBHOOK_ATTEMPTS_MAX,
    WEBHOOK_PAUSE_S,
    WEBHOOK_S_MAX,
    DirectChannel,
    NotifierConfirmation,
)
from services.watchdog.heartbeat import HEARTBEAT_S_MAX, OutsideHeartbeat
from services.watchdog.watching import POLL_S_MAX, HttpHealth
from tests.integration.freezes.edges import Call, Client, Edge
from tests.support.owners import an_alert
from tests.support.virtual_time import VirtualClock


def _asking(calling: Callable[[aiohttp.ClientSession, str], Call]) -> Any:
    @asynccontextmanager
    async def client(url: str) -> AsyncIterator[Client]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
            yield Client(calling(session, url))

    return client


def _health(session: aiohttp.ClientSession, url: str) -> Call:
    health = HttpHealth(session, {"target": f"{url}/healthz"})
    return lambda: health.alive("target")


def _confirmation(session: aiohttp.ClientSession, url: str) -> Call:
    confirmation = NotifierConfirmation(session, f"{url}/metrics")
    return confirmation.told_at


def _webhook(session: aiohttp.ClientSession, url: str) -> Call:
    channel = DirectChannel(session, [f"{url}/webhook"])
    return lambda: channel.post(an_alert("told"))


def _heartbeat(session: aiohttp.ClientSession, url: str) -> Call:
    async def is_polling() -> bool:
        return True

    heartbeat = OutsideHeartbeat(session, f"{url}/switch", is_polling=is_polling, describe=dict, clock=VirtualClock())
    return heartbeat.beat


EDGES = (
    Edge("a health poll", "exchange", _asking(_health), POLL_S_MAX),
    Edge("a confirmation", "exchange", _asking(_confirmation), CONFIRMATION_S_MAX),
    Edge(
        "a webhook",
        "exchange",
        _asking(_webhook),
        WEBHOOK_ATTEMPTS_MAX * WEBHOOK_S_MAX + (WEBHOOK_ATTEMPTS_MAX - 1) * WEBHOOK_PAUSE_S,
    ),
    Edge("the outside heartbeat", "exchange", _asking(_heartbeat), HEARTBEAT_S_MAX),
)
