"""The sender is killed at random: every alert arrives everywhere, what arrives twice has one id, the dead harm nobody.

NOTIFICATIONS=1000 KILLS=25 is the long form, `make notifications`; it also tells how long an alert takes to arrive.
"""

import asyncio
import json
import os
import random
import re
import statistics
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import pytest

from libs.common.clock import SystemClock
from libs.common.configuration import LiveConfiguration
from libs.common.contracts.events import AlertRaised
from libs.common.contracts.vocabulary import AlertType, Severity
from libs.common.messaging.cause import Cause, enclose
from libs.common.storage.postgres import Database
from services.notifier.adapters.alerts import PostgresAlerts
from services.notifier.domain.texts import short_id
from services.notifier.service.notifying import Notifier
from tests.support.eventually import eventually
from tests.support.migrated import MigratedDatabase
from tests.support.notifier_desk import configured
from tests.support.receivers import MailServer, WebServer, mail_server, web_server

ALERTS = int(os.environ.get("NOTIFICATIONS", "20"))
KILLS = int(os.environ.get("KILLS", "2"))
SEED = int(os.environ.get("SEED", "1"))
ARRIVED_S_MAX = 150.0 + ALERTS / 2
PACED_PER_S = 10.0
"""How fast alerts come where their way is timed."""
CHANNELS = ("email", "hook", "dead")

pytestmark = pytest.mark.timeout(2 * ARRIVED_S_MAX)


@pytest.fixture
async def database(migrated: MigratedDatabase) -> AsyncIterator[Database]:
    database = await migrated.connect("notifier")
    yield database
    await database.close()


def a_notifier(database: Database) -> Notifier:
    return Notifier(
        alerts=PostgresAlerts(database),
        live=LiveConfiguration(configured({"channels": CHANNELS, "messages_per_minute_max": 10_000})),
        channels={*CHANNELS, "dashboard", "log"},
        repeat_after=timedelta(0),
        clock=SystemClock(),
        wake=lambda: None,
    )


async def raise_alert(notifier: Notifier, number: int) -> str:
    """Raise an alert and return its short id."""
    now = SystemClock().now()
    alert = AlertRaised(
        occurred_at=now,
        alert_type=AlertType.EMERGENCY_STOP if number % 10 == 0 else AlertType.SYSTEM_ERROR,
        severity=Severity.CRITICAL if number % 10 == 0 else Severity.WARNING,
        component="test",
        subject=str(number),
        message=f"alert {number}",
    )
    envelope: Any = enclose(alert, cause=Cause.none(), ordinal=0, now=now)
    await notifier.on_alert(envelope)
    return short_id(envelope.event_id)


class Sending:
    """The process that sends, killed and started again."""

    def __init__(self, dsn: str, directory: Path) -> None:
        self._addresses, self._log = directory / "notification-channels", directory / "sending.log"
        self._command = (sys.executable, "-m", "tests.support.sending_process", dsn, str(self._addresses))
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.kill()

    def know(self, addresses: dict[str, str]) -> None:
        self._addresses.write_text(json.dumps(addresses))

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*self._command, stdout=log, stderr=log)

    async def kill(self) -> None:
        assert self._process is not None
        assert self._process.returncode is None, self._log.read_text()[-3_000:]
        self._process.kill()
        await self._process.wait()


def ids_of_mails(mail: MailServer) -> list[str]:
    return [match[1] for _, body in mail.received if (match := re.search(r"id ([0-9a-f]{8})", body))]


def ids_of_hooks(web: WebServer) -> list[str]:
    return [match[1] for hook in web.received if (match := re.search(r"id ([0-9a-f]{8})", hook["message"]))]


async def test_killed_senders_lose_nothing_and_a_dead_channel_delays_no_other(migrated, database, tmp_path, capsys):
    draw = random.Random(SEED)
    notifier = a_notifier(database)
    async with mail_server() as mail, web_server() as web, Sending(migrated.url_of("notifier"), tmp_path) as sending:
        sending.know({"email": mail.address, "hook": web.address(), "dead": web.address("dead")})
        expected = [await raise_alert(notifier, number) for number in range(ALERTS // 2)]
        await sending.start()

        for moment in sorted(draw.sample(range(1, ALERTS), KILLS)):

            async def reached(moment: int = moment) -> bool:
                return min(len(mail.received), moment) + len(web.received) >= moment

            if moment >= ALERTS // 2 and len(expected) < ALERTS:
                expected += [await raise_alert(notifier, number) for number in range(ALERTS // 2, ALERTS)]
            await eventually(reached, seconds=ARRIVED_S_MAX, every_s=draw.uniform(0.001, 0.05))
            await sending.kill()
            await sending.start()
        expected += [await raise_alert(notifier, number) for number in range(len(expected), ALERTS)]

        async def arrived() -> bool:
            return set(ids_of_mails(mail)) == set(ids_of_hooks(web)) == set(expected)

        await eventually(arrived, seconds=ARRIVED_S_MAX, what="every alert at every channel that lives")
        mails, hooks = ids_of_mails(mail), ids_of_hooks(web)
        took_ms = await _timed(notifier, mail, web) if "NOTIFICATIONS" in os.environ else []

    assert len(expected) == len(set(expected)) == ALERTS
    assert len(mails) - ALERTS <= KILLS
    assert len(hooks) - ALERTS <= KILLS
    async with database.connection() as connection:
        dead = await connection.fetch("SELECT DISTINCT state FROM notifications WHERE channel = 'dead'")
    assert "SENT" not in {row["state"] for row in dead}
    if took_ms:
        with capsys.disabled():
            print(  # noqa: T201 - the long form tells what it found
                f"\n{ALERTS} alerts, {KILLS} kills, 0 lost; twice: {len(mails) - ALERTS} mails, "
                f"{len(hooks) - ALERTS} hooks; {len(took_ms)} timed: p50 {statistics.median(took_ms):.0f} ms, "
                f"p99 {statistics.quantiles(took_ms, n=100)[98]:.0f} ms"
            )


async def _timed(notifier: Notifier, mail: MailServer, web: WebServer) -> list[float]:
    """Return how long alerts take that come one after the other, to their last channel, in milliseconds."""
    loop, took_ms = asyncio.get_running_loop(), []
    for number in range(200):
        began = loop.time()
        wanted = await raise_alert(notifier, ALERTS + number)

        async def told(wanted: str = wanted) -> bool:
            return wanted in ids_of_mails(mail)[-5:] and wanted in ids_of_hooks(web)[-5:]

        await eventually(told, seconds=ARRIVED_S_MAX, every_s=0.005)
        took_ms.append(1_000 * (loop.time() - began))
        await asyncio.sleep(max(0.0, 1 / PACED_PER_S - (loop.time() - began)))
    return took_ms
