"""Postgres that answers and refuses: the notifier goes on, because people must be told just then."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from libs.common.errors import InvalidMessageError, RetryableError
from libs.common.storage.postgres import Database
from services.notifier.adapters.outbox import PostgresOutbox
from tests.support.eventually import eventually
from tests.support.migrated import MigratedDatabase
from tests.support.notifier_desk import a_desk


@pytest.fixture
async def database(migrated: MigratedDatabase) -> AsyncIterator[Database]:
    database = await migrated.connect("notifier")
    yield database
    await database.close()


async def refuse_writes(migrated: MigratedDatabase, condition: str) -> None:
    """Let every write of the notifier fail with one of Postgres' error conditions."""
    owner = await asyncpg.connect(migrated.url)
    try:
        await owner.execute(
            f"""
            CREATE FUNCTION notifier.refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION '{condition}' USING ERRCODE = '{condition}'; END $$
            """
        )
        for table in ("alerts", "notifications", "channels"):
            await owner.execute(
                f"CREATE TRIGGER refused BEFORE INSERT OR UPDATE OR DELETE ON notifier.{table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION notifier.refuse()"
            )
    finally:
        await owner.close()


async def test_a_full_disk_is_waited_for_and_ends_nothing(migrated, database):
    desk = a_desk(database)
    await desk.raise_alert()
    await refuse_writes(migrated, "disk_full")

    with pytest.raises(RetryableError, match="disk_full"):
        await desk.raise_alert(subject="DiskFull")
    with pytest.raises(RetryableError):
        await desk.sender.deliver_due()
    with pytest.raises(RetryableError):
        await desk.outbox.release(desk.clock.now())
    await desk.inventory.note()  # and does not raise

    assert [state for _, state, _ in await desk.rows()] == ["QUEUED", "QUEUED"]


async def test_a_value_that_can_never_be_stored_keeps_no_later_alert_back(migrated, database):
    desk = a_desk(database)
    await refuse_writes(migrated, "numeric_value_out_of_range")

    with pytest.raises(InvalidMessageError, match="numeric_value_out_of_range"):
        await desk.raise_alert()


async def test_characters_that_postgres_does_not_hold_are_replaced_wherever_an_alert_has_them(database):
    desk = a_desk(database)

    await desk.raise_alert(component="a\0b", channels=("fax\0", "fax\ufffd", "log"))

    assert sorted(await desk.rows()) == [("fax\ufffd", "SUPPRESSED", "CHANNEL_UNAVAILABLE"), ("log", "QUEUED", "")]
    await desk.raise_alert(component="a\0b", subject="again")  # remembered as a kind as well


async def test_two_notifiers_write_down_their_channels_at_once(migrated, database):
    desk, others = a_desk(database), await migrated.connect("notifier")
    problems = {"log": "", "email": "broken"}

    async def waits() -> bool:
        async with others.connection() as connection:
            return bool(await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    async with others.connection() as connection:
        await connection.execute("BEGIN")
        await connection.execute("INSERT INTO channels VALUES ('log', TRUE, 'of the other', now())")
        outbox = PostgresOutbox(database, member="1")
        noting = asyncio.create_task(outbox.note_channels(problems, configured=["email"], at=desk.clock.now()))
        await eventually(waits, seconds=20)
        await connection.execute("COMMIT")
        await noting
        rows = await connection.fetch("SELECT channel, is_configured, problem FROM channels ORDER BY channel")
    await others.close()

    assert [tuple(row) for row in rows] == [("email", True, "broken"), ("log", False, "")]
