"""Months of the audit log move into archives: killed at any moment nothing is lost, and the whole still verifies."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from libs.common.audit import archive_files, archiving
from libs.common.audit.archives import Archive, ArchiveError, Shelf, records_path
from libs.common.audit.archiving import ArchivingError, archive_months, owner_connection
from libs.common.audit.explanation import explain
from libs.common.audit.findings import Verification
from libs.common.audit.verification import verify
from libs.common.contracts.events import OrderFilled
from libs.common.errors import RetryableError
from libs.common.messaging.records import RawRecord
from libs.common.storage.postgres import Database
from libs.invariants import load_books
from services.audit_recorder.adapters import PostgresRepositories, keep_months
from services.audit_recorder.service import AuditRecorder
from tests.support.archives import KEY, a_shelf
from tests.support.events import every_event
from tests.support.migrated import MigratedDatabase
from tests.support.order_story import an_order_story
from tests.support.raw_records import record_of

LOG = "audit_recorder.audit_log"
THIS_MONTH = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
NAMES = [f"audit-{THIS_MONTH - timedelta(days=1 + 31 * number):%Y-%m}" for number in (1, 0)]


def fills(first: int, last: int) -> list[RawRecord]:
    example = next(event for event in every_event() if isinstance(event, OrderFilled))
    return [
        record_of(example.model_copy(update={"trade_id": 100 + offset}), offset=offset) for offset in range(first, last)
    ]


async def record(database: Database, records: list[RawRecord]) -> None:
    async with database.transaction() as transaction:
        await AuditRecorder(follow=lambda _: None).on_records(records, PostgresRepositories(transaction))


async def end_month(owner: Any, months_ago: int) -> None:
    """Have everything that was recorded until now be of an earlier month."""
    begins = THIS_MONTH
    for _ in range(months_ago):
        begins = (begins - timedelta(days=1)).replace(day=1)
    ends = (begins + timedelta(days=32)).replace(day=1)
    (current,) = await owner.fetch(
        "SELECT part FROM months.parts WHERE table_name = $1 AND $2 >= begins_at AND $2 < ends_at", LOG, THIS_MONTH
    )
    part, past = current["part"], f"audit_recorder_audit_log_{begins:%Y_%m}"
    await owner.execute(f"ALTER TABLE {LOG} DETACH PARTITION months.{part}")
    await owner.execute(f"ALTER TABLE months.{part} RENAME TO {past}")
    await owner.execute(f"ALTER TABLE months.{past} DISABLE TRIGGER USER")
    await owner.execute(f"UPDATE months.{past} SET stored_at = $1", begins)
    await owner.execute(f"ALTER TABLE {LOG} ATTACH PARTITION months.{past} FOR VALUES FROM ('{begins}') TO ('{ends}')")


@pytest.fixture
async def owner(migrated: MigratedDatabase) -> AsyncIterator[Any]:
    connection = await owner_connection(migrated.url)
    yield connection
    await connection.close()


@pytest.fixture
async def reader(migrated: MigratedDatabase) -> AsyncIterator[Database]:
    database = await migrated.connect("reader")
    yield database
    await database.close()


@pytest.fixture
async def recorder(migrated: MigratedDatabase, owner: Any) -> AsyncIterator[Database]:
    """Two months that are over and one that is not: an order in the first, its exit in the second, fills in all."""
    database = await migrated.connect("audit_recorder")
    *entry, later = an_order_story()
    await record(database, entry)
    await end_month(owner, 2)
    await keep_months(database)
    await record(database, [later, *fills(2, 5)])
    await end_month(owner, 1)
    await keep_months(database)
    await record(database, fills(5, 7))
    yield database
    await database.close()


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return a_shelf(tmp_path / "archives")


async def archived(owner: Any, shelf: Shelf, **options: Any) -> list[Archive]:
    return [each async for each in archive_months(owner, directory=shelf.directory, key=KEY, **options)]


async def verified(reader: Database, shelf: Shelf) -> Verification:
    async with reader.connection() as connection:
        return await verify(connection, shelf=shelf)


@pytest.mark.usefixtures("recorder")
async def test_months_that_are_over_are_archived_and_the_whole_still_verifies(owner, reader, shelf):
    before = await verified(reader, shelf)

    archives = await archived(owner, shelf)

    after = await verified(reader, shelf)
    assert [archive.name for archive in archives] == NAMES
    assert (before.verified, before.archives) == (True, 0)
    assert (after.verified, after.archives) == (True, 2)
    assert (after.events, after.records, after.chains) == (before.events, before.records, before.chains)
    assert await owner.fetchval(f"SELECT count(*) FROM {LOG}") == 2
    assert await archived(owner, shelf) == []


async def test_what_is_recorded_afterwards_continues_the_chains(recorder, owner, reader, shelf):
    await archived(owner, shelf)

    await record(recorder, fills(7, 9))

    result = await verified(reader, shelf)
    assert result.verified
    with pytest.raises(asyncpg.UniqueViolationError):
        await owner.execute("UPDATE audit_recorder.chain_heads SET offset_last = 3 WHERE topic = 'fills'")


@pytest.mark.usefixtures("recorder")
async def test_an_approval_that_the_decisions_lack_since_a_restore_is_known_after_its_month_was_archived(
    owner, reader, shelf
):
    before = (await load_books(reader)).approvals

    await archived(owner, shelf)

    assert len(before) == 1
    assert (await load_books(reader)).approvals == before


@pytest.mark.usefixtures("recorder")
async def test_only_months_before_the_one_that_is_named_are_archived(owner, shelf):
    last_month = (THIS_MONTH - timedelta(days=1)).replace(day=1)

    archives = await archived(owner, shelf, before=last_month)

    assert [archive.name for archive in archives] == NAMES[:1]


@pytest.mark.usefixtures("recorder")
async def test_a_missing_archive_is_named_and_the_rest_still_verifies(owner, reader, shelf):
    await archived(owner, shelf)
    records_path(shelf.directory, NAMES[0]).unlink()

    result = await verified(reader, shelf)

    assert [broken.topic for broken in result.broken] == ["archives"]
    assert result.broken[0].problem == f"{NAMES[0]}: the archive is missing"


@pytest.mark.usefixtures("recorder")
async def test_an_archive_that_the_database_forgot_is_a_break_of_its_chains(owner, reader, shelf):
    await archived(owner, shelf)
    await owner.execute("TRUNCATE months.archives CASCADE")

    result = await verified(reader, shelf)

    assert result.first_broken is not None
    assert (result.first_broken.topic, result.first_broken.offset) == ("fills", 0)


@pytest.mark.usefixtures("recorder")
async def test_a_story_is_told_from_archives_and_the_database_alike(owner, reader, shelf):
    async with reader.connection() as connection:
        before = await explain(connection, "wish", shelf=shelf)
        await archived(owner, shelf)
        after = await explain(connection, "wish", shelf=shelf)
        records_path(shelf.directory, NAMES[0]).unlink()
        with pytest.raises(ArchiveError, match=f"{NAMES[0]}: the archive is missing"):
            await explain(connection, "wish", shelf=shelf)

    assert len(before) == 8
    assert after == before


@pytest.mark.usefixtures("recorder")
async def test_a_month_that_does_not_verify_is_not_archived(owner, reader, shelf):
    past = NAMES[0].removeprefix("audit-").replace("-", "_")
    await owner.execute(f"UPDATE months.audit_recorder_audit_log_{past} SET payload = 'forged' WHERE topic = 'fills'")

    with pytest.raises(ArchiveError, match="was altered in the database"):
        await archived(owner, shelf)

    result = await verified(reader, shelf)
    assert result.first_broken is not None
    assert (result.first_broken.topic, result.archives) == ("fills", 0)


@pytest.mark.usefixtures("recorder")
async def test_a_month_that_does_not_follow_what_is_archived_is_not_archived(owner, shelf):
    first, _ = NAMES
    past = first.removeprefix("audit-").replace("-", "_")
    await owner.execute(f"DROP TABLE months.audit_recorder_audit_log_{past}")

    with pytest.raises(ArchiveError, match="fills/0 does not follow what is archived"):
        await archived(owner, shelf)


@pytest.mark.usefixtures("recorder")
async def test_a_month_that_grew_after_it_was_read_is_not_dropped(owner, migrated, shelf, monkeypatch):
    async def write_and_grow(directory: Path, name: str, records: Any, key: Any) -> Archive:
        archive = await write(directory, name, records, key)
        late = await asyncpg.connect(migrated.url)
        part = "months.audit_recorder_audit_log_" + name.removeprefix("audit-").replace("-", "_")
        await late.execute(f"CREATE TEMPORARY TABLE late AS SELECT * FROM {part} LIMIT 1")
        await late.execute("UPDATE late SET topic = 'late'")
        await late.execute(f"INSERT INTO {part} SELECT * FROM late")
        await late.close()
        return archive

    write = archive_files.write_archive
    monkeypatch.setattr(archiving, "write_archive", write_and_grow)

    with pytest.raises(ArchiveError, match="the month has grown since"):
        await archived(owner, shelf)


class Watched:
    """A connection of which is known what was asked, and how it is read."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.asked: list[str] = []
        self.plans: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def execute(self, statement: str, *arguments: Any) -> None:
        self.asked.append(statement)
        await self._connection.execute(statement, *arguments)

    async def fetchval(self, statement: str, *arguments: Any) -> Any:
        self.asked.append(statement)
        return await self._connection.fetchval(statement, *arguments)

    async def cursor(self, statement: str, **options: Any) -> AsyncIterator[Any]:
        self.plans += [row[0] for row in await self._connection.fetch(f"EXPLAIN {statement}")]
        async for row in self._connection.cursor(statement, **options):
            yield row

    def times(self, words: str) -> int:
        return sum(words in statement for statement in self.asked)


@pytest.mark.usefixtures("recorder")
async def test_the_log_is_read_along_its_keys_and_never_sorted(owner, reader, shelf):
    archiving_connection = Watched(owner)
    async with reader.connection() as connection:
        verifying_connection = Watched(connection)
        result = await verify(verifying_connection, shelf=shelf)

    await archived(archiving_connection, shelf)

    assert result.verified
    for plan in (archiving_connection.plans, verifying_connection.plans):
        assert any("Index Scan" in line for line in plan), plan
        assert not any("Sort  (" in line for line in plan), plan


class Died(BaseException):
    """The process ended here."""


class Mortal:
    """A connection whose process dies before its n-th statement, or after it."""

    def __init__(self, connection: Any, chance: "Chance") -> None:
        self._connection = connection
        self._chance = chance

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        return self._chance.wrapped(found) if name in {"fetch", "fetchval", "execute"} else found


class Chance:
    """Lets the process live for a number of steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def take(self) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise Died

    def wrapped(self, work: Any) -> Any:
        async def mortal(*arguments: Any, **options: Any) -> Any:
            self.take()
            result = await work(*arguments, **options)
            self.take()
            return result

        return mortal

    def wrapped_call(self, work: Any) -> Any:
        def mortal(*arguments: Any, **options: Any) -> Any:
            self.take()
            result = work(*arguments, **options)
            self.take()
            return result

        return mortal


@pytest.mark.usefixtures("recorder")
async def test_whenever_it_dies_nothing_is_lost_and_the_next_run_goes_on(owner, reader, shelf, monkeypatch):
    before = await verified(reader, shelf)
    fsync, replace = os.fsync, Path.replace
    deaths = 0

    for steps in count():
        chance = Chance(steps)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", chance.wrapped_call(fsync))
            patched.setattr(Path, "replace", chance.wrapped_call(replace))
            mortal = Mortal(owner, chance)
            try:
                await archived(mortal, shelf)
            except Died:
                deaths += 1
            else:
                break
        result = await verified(reader, shelf)
        assert (result.verified, result.records) == (True, before.records), f"died at step {steps}"

    assert deaths > 20
    after = await verified(reader, shelf)
    assert (after.verified, after.archives, after.records) == (True, 2, before.records)


@pytest.mark.usefixtures("recorder")
async def test_a_log_in_use_is_waited_for_and_then_left_as_it_is(owner, reader, shelf, monkeypatch):
    monkeypatch.setattr(archiving, "RETRY_S", 0.01)
    monkeypatch.setattr(archiving, "TRIES_MAX", 2)
    async with reader.connection() as connection, connection.transaction():
        await connection.fetch("SELECT 1 FROM audit LIMIT 1")
        watched = Watched(owner)

        with pytest.raises(RetryableError, match="expected it to be free"):
            await archived(watched, shelf)

    assert (await verified(reader, shelf)).archives == 0
    assert (watched.times("IN ACCESS EXCLUSIVE MODE"), watched.times("count(*)"), watched.times("stories")) == (2, 1, 1)

    await archived(watched, shelf)

    # What takes long comes before the lock that readers and the recorder wait for.
    locked = [number for number, asked in enumerate(watched.asked) if "ACCESS EXCLUSIVE" in asked]
    assert all("DETACH PARTITION" in watched.asked[number + 1] for number in locked[2:])
    assert len(locked) == 2 + len(NAMES)


@pytest.mark.usefixtures("recorder")
async def test_two_archivings_do_not_run_at_once(owner, migrated, shelf):
    other = await owner_connection(migrated.url)
    try:
        others = archive_months(other, directory=shelf.directory, key=KEY)
        first = await anext(others)

        with pytest.raises(ArchivingError, match="found another one that runs"):
            await archived(owner, shelf)
        rest = [archive.name async for archive in others]
    finally:
        await other.close()

    assert [first.name, *rest] == NAMES


class Failing:
    """A connection to a server that fails where a month is read."""

    def __init__(self, connection: Any, error: Exception) -> None:
        self._connection = connection
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def cursor(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        raise self._error
        yield


@pytest.mark.usefixtures("recorder")
async def test_a_server_that_fails_is_not_taken_for_the_directory(owner, shelf):
    for error in (asyncpg.DiskFullError("no space"), TimeoutError(), ConnectionResetError()):
        with pytest.raises(RetryableError, match="Postgres: expected an answer"):
            await archived(Failing(owner, error), shelf)


async def test_no_server_is_retryable() -> None:
    with pytest.raises(RetryableError, match="expected a connection"):
        await owner_connection("postgresql://nobody:nothing@127.0.0.1:1/nowhere")
