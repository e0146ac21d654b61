"""A flood that lasts: what waits is told as soon as there is room, before what is new."""

from collections.abc import AsyncIterator

import pytest

from libs.common.contracts.vocabulary import Severity
from libs.common.errors import RetryableError
from libs.common.storage.postgres import Database
from services.notifier.domain.texts import short_id
from services.notifier.service.sending import ATTEMPTS_MAX
from tests.support.migrated import MigratedDatabase
from tests.support.notifier_desk import Desk, FakeChannel, a_desk


@pytest.fixture
async def database(migrated: MigratedDatabase) -> AsyncIterator[Database]:
    database = await migrated.connect("notifier")
    yield database
    await database.close()


def a_desk_with(database: Database, email: FakeChannel, **notifications: object) -> Desk:
    wishes = {"channels": ["email"], **notifications}
    return a_desk(database, channels={"email": email, "sms": FakeChannel()}, language="en", notifications=wishes)


async def test_what_was_held_is_told_before_what_is_new_however_long_the_flood_lasts(database):
    email = FakeChannel()
    desk = a_desk_with(database, email, messages_per_minute_max=1)
    for number in range(3):
        await desk.raise_alert(subject=str(number))
    await desk.deliver()  # one; two are held

    desk.clock.advance(60)
    await desk.raise_alert(subject="new")
    await desk.raise_alert(subject="urgent", severity=Severity.CRITICAL)
    await desk.deliver()
    desk.clock.advance(60)
    newer = await desk.raise_alert(subject="newer")
    await desk.deliver()

    assert email.delivered[1].severity == "CRITICAL"  # and takes the room of that minute
    assert email.titles[2] == "3 notifications that were held back"
    desk.clock.advance(60)
    await desk.deliver()
    assert [message.event_id for message in email.delivered[3:]] == [newer.event_id]


async def test_of_what_was_told_together_each_is_given_up_after_its_own_attempts(database):
    email = FakeChannel()
    desk = a_desk_with(database, email, quiet_hours="11:00-13:00", escalation=["sms"])
    old = await desk.raise_alert(subject="old")
    young = await desk.raise_alert(subject="young")
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE notifications SET attempts = $2 WHERE event_id = $1", old.event_id, ATTEMPTS_MAX - 1
        )
    email.failures.append(RetryableError("away"))

    desk.clock.advance(3_600)
    await desk.sender.deliver_due()

    assert (await desk.states_of(old.event_id))["email"] == "FAILED"
    assert (await desk.states_of(young.event_id))["email"] == "HELD"
    desk.clock.advance(1)
    await desk.deliver()
    assert short_id(young.event_id) in email.delivered[0].body
    assert await desk.states_of(young.event_id) == {"email": "SENT", "log": "SUPPRESSED"}
    assert (await desk.states_of(old.event_id))["sms"] == "SENT"
