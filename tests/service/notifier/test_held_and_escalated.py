"""Quiet hours, a flood, a channel that fails for good, an emergency that nobody acknowledges."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from libs.common.contracts.vocabulary import AlertType, Severity
from libs.common.errors import RetryableError
from libs.common.storage.postgres import Database
from services.notifier.domain.texts import short_id
from services.notifier.service.ports import Channel, Delivery
from services.notifier.service.sending import ATTEMPTS_MAX
from tests.support.migrated import MigratedDatabase
from tests.support.notifier_desk import Desk, FakeChannel, a_desk

NIGHT = {"quiet_hours": "11:00-13:00"}
"""The clock of these tests begins at noon."""


@pytest.fixture
async def database(migrated: MigratedDatabase) -> AsyncIterator[Database]:
    database = await migrated.connect("notifier")
    yield database
    await database.close()


def a_desk_with(database: Database, *names: str, **notifications: Any) -> tuple[Desk, dict[str, FakeChannel]]:
    outside = {name: FakeChannel() for name in names}
    channels: dict[str, Channel] = {"log": FakeChannel(), "dashboard": FakeChannel(), **outside}
    wishes = {"channels": list(names), **notifications}
    return a_desk(database, channels=channels, language="en", notifications=wishes), outside


async def test_what_can_wait_is_told_at_the_end_of_the_quiet_hours_as_one_message_with_every_id(database):
    desk, outside = a_desk_with(database, "email", **NIGHT)
    told = [await desk.raise_alert(subject=str(number)) for number in range(3)]
    await desk.deliver()

    assert outside["email"].delivered == []
    assert await desk.states_of(told[0].event_id) == {"email": "HELD", "log": "SENT"}
    desk.clock.advance(timedelta(hours=1).total_seconds())
    await desk.deliver()

    (summary,) = outside["email"].delivered
    assert summary.title == "3 notifications that were held back"
    assert [short_id(alert.event_id) in summary.body for alert in told] == [True, True, True]
    assert await desk.states_of(told[0].event_id) == {"email": "SENT", "log": "SENT"}


async def test_a_single_held_notification_is_told_as_itself(database):
    desk, outside = a_desk_with(database, "email", **NIGHT)
    await desk.raise_alert()

    desk.clock.advance(timedelta(hours=1).total_seconds())
    await desk.deliver()

    assert outside["email"].titles == ["System error: BTC/USDT"]


@pytest.mark.parametrize(
    ("alert_type", "severity"),
    [
        (AlertType.EMERGENCY_STOP, Severity.CRITICAL),
        (AlertType.EMERGENCY_STOP, Severity.INFO),
        (AlertType.SYSTEM_ERROR, Severity.CRITICAL),
    ],
)
async def test_an_emergency_and_what_is_critical_pass_quiet_hours_and_a_full_channel(database, alert_type, severity):
    desk, outside = a_desk_with(database, "email", messages_per_minute_max=1, **NIGHT)
    for number in range(3):
        await desk.raise_alert(alert_type, severity=severity, subject=str(number))

    await desk.deliver()

    assert len(outside["email"].delivered) == 3


async def test_an_alert_that_names_its_channels_goes_there_at_once_and_nowhere_else(database):
    desk, outside = a_desk_with(database, "email", "discord", error_notifications=False, **NIGHT)

    alert = await desk.raise_alert(channels=("discord", "fax"))
    await desk.deliver()

    assert len(outside["discord"].delivered) == 1
    assert await desk.states_of(alert.event_id) == {"discord": "SENT", "fax": "SUPPRESSED", "log": "SENT"}


async def test_a_flood_is_told_as_one_message_when_there_is_room_again(database):
    desk, outside = a_desk_with(database, "email", messages_per_minute_max=2)
    alerts = [await desk.raise_alert(subject=str(number)) for number in range(5)]
    await desk.deliver()

    assert len(outside["email"].delivered) == 2
    assert ("email", "HELD", "RATE_LIMIT") in await desk.rows()
    desk.clock.advance(59.9)
    await desk.deliver()
    assert len(outside["email"].delivered) == 2
    desk.clock.advance(0.1)
    await desk.deliver()

    assert outside["email"].titles[2:] == ["3 notifications that were held back"]
    assert {(await desk.states_of(alert.event_id))["email"] for alert in alerts} == {"SENT"}


async def test_held_notifications_that_fail_are_tried_again_together(database):
    desk, outside = a_desk_with(database, "email", **NIGHT)
    await desk.raise_alert(subject="a")
    await desk.raise_alert(subject="b")
    outside["email"].failures.append(RetryableError("away"))

    desk.clock.advance(timedelta(hours=1).total_seconds())
    await desk.deliver()
    assert outside["email"].delivered == []
    desk.clock.advance(1)
    await desk.deliver()

    assert outside["email"].titles == ["2 notifications that were held back"]


async def test_what_one_channel_never_takes_goes_to_the_next_of_the_escalation(database):
    desk, outside = a_desk_with(
        database, "email", "telegram", "sms", channels=["email"], escalation=["telegram", "sms"]
    )
    outside["email"].failures.extend([Delivery(delivered=False, reason="no such user")] * ATTEMPTS_MAX)
    alert = await desk.raise_alert()

    for _ in range(ATTEMPTS_MAX):
        await desk.deliver()
        desk.clock.advance(61)
    await desk.deliver()

    assert await desk.states_of(alert.event_id) == {"email": "FAILED", "telegram": "SENT", "log": "SENT"}
    assert outside["sms"].delivered == []
    assert ("email", "FAILED", "no such user") in await desk.rows()


async def test_what_was_queued_for_a_channel_that_is_gone_is_escalated(database):
    before, _ = a_desk_with(database, "email")
    alert = await before.raise_alert()
    desk, outside = a_desk_with(database, "sms", channels=["sms"], escalation=["sms"])

    await desk.sender.give_up_orphaned()
    await desk.deliver()

    assert await desk.states_of(alert.event_id) == {"email": "FAILED", "sms": "SENT", "log": "SENT"}
    assert len(outside["sms"].delivered) == 1


async def test_an_emergency_that_nobody_acknowledges_wakes_one_after_the_other(database):
    desk, outside = a_desk_with(
        database,
        "email",
        "telegram",
        "sms",
        channels=["email"],
        escalation=["telegram", "sms"],
        acknowledge_within_min=5,
    )
    await desk.raise_alert(AlertType.EMERGENCY_STOP, severity=Severity.CRITICAL, account="main")

    told = []
    for _ in range(4):
        await desk.reminders.look()
        await desk.deliver()
        told.append({name: len(channel.delivered) for name, channel in outside.items()})
        desk.clock.advance(300)

    assert told[0] == {"email": 1, "telegram": 0, "sms": 0}
    assert told[1] == {"email": 1, "telegram": 1, "sms": 0}
    assert told[2] == told[3] == {"email": 1, "telegram": 1, "sms": 1}
    assert outside["sms"].titles == ["Not acknowledged: Emergency stop: BTC/USDT"]
    assert "Nobody has acknowledged this for 10 min." in outside["sms"].delivered[0].body


async def test_without_an_escalation_everybody_is_told_once_more(database):
    desk, outside = a_desk_with(database, "email", "discord")
    await desk.raise_alert(AlertType.EMERGENCY_STOP, severity=Severity.CRITICAL)

    for _ in range(3):
        await desk.deliver()
        desk.clock.advance(600)
        await desk.reminders.look()

    assert [len(channel.delivered) for channel in outside.values()] == [2, 2]


async def test_nobody_is_reminded_of_what_somebody_acknowledged_or_what_is_over(database):
    desk, outside = a_desk_with(database, "email")
    alert = await desk.raise_alert(AlertType.EMERGENCY_STOP, severity=Severity.CRITICAL, subject="a", account="main")
    await desk.raise_alert(AlertType.EMERGENCY_STOP, severity=Severity.CRITICAL, subject="b", account="second")
    await desk.raise_alert(AlertType.EMERGENCY_STOP, severity=Severity.INFO, subject="c", account="second")
    seen: dict[str, Any] = {"at": desk.clock.now(), "account": "main", "may_all": False}
    by = await desk.alerts.acknowledge(alert.event_id, by="alice", **seen)
    again = await desk.alerts.acknowledge(alert.event_id, by="bob", **seen)
    await desk.deliver()

    desk.clock.advance(600)
    await desk.reminders.look()
    await desk.deliver()

    assert (by, again) == ("alice", "alice")
    assert len(outside["email"].delivered) == 3


async def test_what_a_crashed_process_had_taken_is_delivered_as_soon_as_it_is_back(database):
    desk, outside = a_desk_with(database, "email")
    await desk.raise_alert()
    await desk.outbox.take("email", desk.clock.now(), at_once_max=1)  # and then the process dies

    await desk.outbox.release(desk.clock.now())
    await desk.deliver()

    assert [notification.attempts for notification in outside["email"].delivered] == [1]


async def test_the_views_tell_deliveries_acknowledgements_and_channels(migrated, database):
    desk, _ = a_desk_with(database, "email", escalation=["sms"], **NIGHT)
    await desk.raise_alert(AlertType.EMERGENCY_STOP, severity=Severity.CRITICAL, account="main")
    held = await desk.raise_alert(subject="b")
    await desk.deliver()
    await desk.inventory.note()

    reader = await migrated.connect("reader")
    async with reader.connection() as connection:
        alerts = {row["event_id"]: row for row in await connection.fetch("SELECT * FROM alerts")}
        channels = await connection.fetch("SELECT channel, is_configured, problem FROM channels ORDER BY channel")
    await reader.close()

    assert sorted(row["unacknowledged"] for row in alerts.values()) == [False, True]
    assert alerts[held.event_id]["deliveries"] == {"email": "QUIET_HOURS", "log": "SENT"}
    assert alerts[held.event_id]["id"] == short_id(held.event_id)
    assert [tuple(row) for row in channels] == [
        ("dashboard", False, ""),
        ("email", True, ""),
        ("log", False, ""),
        ("sms", True, "no address in the secret file notification-channels"),
    ]
