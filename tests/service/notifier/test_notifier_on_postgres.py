"""Alerts become notifications once, and every committed one is delivered or given up."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from libs.common.contracts.vocabulary import Severity
from libs.common.errors import RetryableError
from libs.common.observability import metrics
from libs.common.storage.postgres import Database
from services.notifier.adapters.built_in import DashboardChannel, LogChannel
from services.notifier.adapters.outbox import PostgresOutbox
from services.notifier.service.inventory import NO_ADDRESS
from services.notifier.service.ports import Channel, Delivery, Notification
from services.notifier.service.sending import ATTEMPTS_MAX
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.migrated import MigratedDatabase
from tests.support.notifier_desk import FakeChannel, a_desk

TOLD = "trader_watchdog_alert_told_timestamp_seconds"


@pytest.fixture
async def database(migrated: MigratedDatabase) -> AsyncIterator[Database]:
    database = await migrated.connect("notifier")
    yield database
    await database.close()


async def test_the_watchdog_is_confirmed_only_what_reached_somebody_outside(database):
    email = FakeChannel(failures=[Delivery(delivered=False, reason="away")])
    channels: dict[str, Channel] = {"dashboard": DashboardChannel(), "log": LogChannel(), "email": email}
    desk = a_desk(database, channels=channels)
    desk.configure(channels=["dashboard", "email"])
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
    await desk.outbox.take("dashboard", desk.clock.now(), at_once_max=1)  # and then the process dies

    assert await desk.sender.deliver_due() == 0
    desk.clock.advance(300)
    assert await desk.sender.deliver_due() == 1

    assert len(channel.delivered) == 1


async def test_two_senders_never_take_the_same_notification(database):
    desk = a_desk(database)
    for number in range(20):
        await desk.raise_alert(subject=str(number))
    now, others = desk.clock.now(), PostgresOutbox(database, member="1")

    taken = await asyncio.gather(*(outbox.take("log", now, at_once_max=15) for outbox in (desk.outbox, others)))

    assert len({notification.event_id for batch in taken for notification in batch}) == 20


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
    desk = a_desk(database, channels={"dashboard": channel})
    desk.configure(channels=["email", "dashboard"], escalation=["sms"])

    await desk.raise_alert()
    await desk.sender.deliver_due()

    assert desk.inventory.unavailable() == {"email": NO_ADDRESS, "sms": NO_ADDRESS}
    assert len(channel.delivered) == 1
    assert ("email", "SUPPRESSED", "CHANNEL_UNAVAILABLE") in await desk.rows()


async def test_new_settings_hold_from_the_next_alert_on(database):
    desk = a_desk(database)
    await desk.raise_alert(subject="first")

    desk.configure(enabled=False)
    await desk.raise_alert(subject="second")

    assert [state for _, state, _ in await desk.rows()] == ["QUEUED", "QUEUED", "SUPPRESSED", "SUPPRESSED"]
