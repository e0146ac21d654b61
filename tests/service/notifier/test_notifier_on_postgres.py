"""Alerts become notifications once, and every committed one is delivered or given up."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from libs.common.configuration import NotificationsSection
from libs.common.contracts.event import Envelope
from libs.common.contracts.events import AlertRaised
from libs.common.contracts.vocabulary import AlertType, Severity
from libs.common.errors import RetryableError
from libs.common.messaging.cause import Cause, enclose
from libs.common.observability import metrics
from libs.common.storage.postgres import Database
from services.notifier.adapters import DashboardChannel, LogChannel, PostgresAlerts, PostgresOutbox
from services.notifier.service import ATTEMPTS_MAX, Channel, Delivery, Notification, Notifier, Sender
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.migrated import MigratedDatabase

TOLD = "trader_watchdog_alert_told_timestamp_seconds"


@dataclass
class FakeChannel:
    """Remembers what it was given; fails as often as it is told to."""

    failures: list[Exception | Delivery] = field(default_factory=list)
    delivered: list[Notification] = field(default_factory=list)

    async def deliver(self, notification: Notification) -> Delivery:
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return failure
        self.delivered.append(notification)
        return Delivery(delivered=True)


@dataclass
class Desk:
    """A notifier with its sender."""

    database: Database
    clock: FakeClock
    channels: dict[str, Channel]
    notifier: Notifier
    sender: Sender

    async def raise_alert(self, alert_type: AlertType = AlertType.SYSTEM_ERROR, **changes: Any) -> Envelope[Any]:
        alert = AlertRaised(
            **{
                "occurred_at": self.clock.now(),
                "alert_type": alert_type,
                "severity": Severity.WARNING,
                "component": "market_monitor",
                "subject": "BTC/USDT",
                "symbol": "BTC/USDT",
                "message": "the book is crossed",
                **changes,
            }
        )
        envelope: Envelope[Any] = enclose(alert, cause=Cause.none(), ordinal=0, now=self.clock.now())
        await self.notifier.on_alert(envelope)
        return envelope

    async def rows(self) -> list[tuple[str, str, str]]:
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT channel, state, reason FROM notifications ORDER BY created_at, channel"
            )
        return [(row["channel"], row["state"], row["reason"]) for row in rows]


@pytest.fixture
async def database(migrated: MigratedDatabase) -> AsyncIterator[Database]:
    database = await migrated.connect("notifier")
    yield database
    await database.close()


def a_desk(
    database: Database, *, channels: dict[str, Channel] | None = None, configured: tuple[str, ...] = ("dashboard",)
) -> Desk:
    clock, wanted = FakeClock(), asyncio.Event()
    built_in: dict[str, Channel] = {"dashboard": DashboardChannel(), "log": LogChannel()}
    by_name = built_in if channels is None else channels
    notifier = Notifier(
        alerts=PostgresAlerts(database),
        settings=NotificationsSection.model_validate({"channels": configured}),
        language="ko",
        channels=by_name,
        repeat_after=timedelta(seconds=60),
        clock=clock,
        sender_wanted=wanted,
    )
    sender = Sender(outbox=PostgresOutbox(database), channels=by_name, clock=clock, wanted=wanted)
    return Desk(database, clock, by_name, notifier, sender)


async def test_the_watchdog_is_confirmed_only_what_reached_somebody_outside(database):
    email = FakeChannel(failures=[Delivery(delivered=False, reason="away")])
    channels: dict[str, Channel] = {"dashboard": DashboardChannel(), "log": LogChannel(), "email": email}
    desk = a_desk(database, channels=channels, configured=("dashboard", "email"))
    metrics.WATCHDOG_ALERT_TOLD.set(0)

    alert = await desk.raise_alert(component="watchdog")
    await desk.sender.deliver_due()  # to the table and the log
    assert metrics.REGISTRY.get_sample_value(TOLD) == 0
    desk.clock.advance(60)
    await desk.sender.deliver_due()

    assert metrics.REGISTRY.get_sample_value(TOLD) == alert.event.occurred_at.timestamp()


async def test_an_alert_is_delivered_to_every_channel_and_shown_in_the_views(migrated, database):
    desk = a_desk(database)

    envelope = await desk.raise_alert()
    tried = await desk.sender.deliver_due()

    assert tried == 2
    assert await desk.rows() == [("dashboard", "SENT", ""), ("log", "SENT", "")]
    reader = await migrated.connect("reader")
    async with reader.connection() as connection:
        alert = await connection.fetchrow("SELECT * FROM alerts")
        shown = await connection.fetchrow("SELECT * FROM notifications WHERE channel = 'dashboard'")
    await reader.close()
    assert alert["event_id"] == shown["event_id"] == envelope.event_id
    assert alert["title"] == shown["title"] == "시스템 오류: BTC/USDT"
    assert alert["state"] == "SENT"


async def test_a_redelivered_alert_is_notified_once(database):
    desk = a_desk(database)
    envelope = await desk.raise_alert()

    await desk.notifier.on_alert(envelope)

    assert len(await desk.rows()) == 2


async def test_repetitions_are_held_back_counted_and_told_with_the_next_one(database):
    channel = FakeChannel()
    desk = a_desk(database, channels={"dashboard": channel})

    for _ in range(3):
        await desk.raise_alert()
        desk.clock.advance(10)
    await desk.raise_alert(subject="ETH/USDT")
    desk.clock.advance(31)
    await desk.raise_alert()
    while await desk.sender.deliver_due():
        pass

    told = [(notification.occurred_at - FakeClock().now()).total_seconds() for notification in channel.delivered]
    assert told == [0, 30, 61]
    assert "2건" in channel.delivered[-1].body


async def test_the_end_of_a_trouble_is_told_at_once(database):
    channel = FakeChannel()
    desk = a_desk(database, channels={"dashboard": channel})

    await desk.raise_alert()
    desk.clock.advance(1)
    await desk.raise_alert(severity=Severity.INFO)
    await desk.sender.deliver_due()

    assert [notification.severity for notification in channel.delivered] == ["WARNING", "INFO"]


async def test_a_failed_delivery_is_tried_again_with_growing_pauses(database):
    channel = FakeChannel(failures=[RetryableError("refused"), Delivery(delivered=False, reason="busy")])
    desk = a_desk(database, channels={"dashboard": channel})
    await desk.raise_alert()

    assert await desk.sender.deliver_due() == 1
    assert await desk.rows() == [("dashboard", "QUEUED", "refused"), ("log", "SUPPRESSED", "CHANNEL_UNAVAILABLE")]
    assert await desk.sender.deliver_due() == 0
    desk.clock.advance(1)
    assert await desk.sender.deliver_due() == 1
    desk.clock.advance(1)
    assert await desk.sender.deliver_due() == 0
    desk.clock.advance(1)
    assert await desk.sender.deliver_due() == 1

    assert (await desk.rows())[0] == ("dashboard", "SENT", "")


async def test_a_delivery_is_given_up_after_the_last_attempt(database):
    channel = FakeChannel(failures=[RetryableError("refused")] * ATTEMPTS_MAX)
    desk = a_desk(database, channels={"dashboard": channel})
    await desk.raise_alert()

    attempts = 0
    for _ in range(ATTEMPTS_MAX + 2):
        attempts += await desk.sender.deliver_due()
        desk.clock.advance(61)

    assert attempts == ATTEMPTS_MAX
    assert (await desk.rows())[0] == ("dashboard", "FAILED", "refused")


async def test_what_a_crashed_sender_had_taken_is_delivered_later(database):
    channel = FakeChannel()
    desk = a_desk(database, channels={"dashboard": channel})
    await desk.raise_alert()
    await PostgresOutbox(database).take(desk.clock.now())  # and then the process dies

    assert await desk.sender.deliver_due() == 0
    desk.clock.advance(300)
    assert await desk.sender.deliver_due() == 1

    assert len(channel.delivered) == 1


async def test_two_senders_never_take_the_same_notification(database):
    desk = a_desk(database)
    for number in range(20):
        await desk.raise_alert(subject=str(number))
    outbox = PostgresOutbox(database)

    taken = await asyncio.gather(outbox.take(desk.clock.now()), outbox.take(desk.clock.now()))

    keys = [(notification.event_id, notification.channel) for batch in taken for notification in batch]
    assert len(keys) == len(set(keys)) == 40


async def test_the_sender_wakes_up_for_a_new_alert(database):
    channel = FakeChannel()
    desk = a_desk(database, channels={"dashboard": channel})
    sending = asyncio.create_task(desk.sender.run())

    await desk.raise_alert()

    async def delivered() -> list[Notification]:
        return channel.delivered

    await eventually(delivered, seconds=10)
    sending.cancel()


async def test_a_channel_without_secrets_is_reported_and_the_others_work(database):
    channel = FakeChannel()
    desk = a_desk(database, channels={"dashboard": channel}, configured=("email", "dashboard"))

    await desk.raise_alert()
    await desk.sender.deliver_due()

    assert desk.notifier.unavailable() == ("email",)
    assert len(channel.delivered) == 1
    assert ("email", "SUPPRESSED", "CHANNEL_UNAVAILABLE") in await desk.rows()


async def test_new_settings_hold_from_the_next_alert_on(database):
    desk = a_desk(database)
    await desk.raise_alert(subject="first")

    desk.notifier.configure(NotificationsSection(enabled=False), "en")
    await desk.raise_alert(subject="second")

    assert [state for _, state, _ in await desk.rows()] == ["QUEUED", "QUEUED", "SUPPRESSED", "SUPPRESSED"]
