"""Moving months that are over from the database into archives.

Invariant: a month is dropped in the transaction that writes down its archive, and only after the archive was read back
from the disk. Whoever dies before it leaves the month where it was, and files that the next run replaces.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.audit.archive_files import write_archive
from libs.common.audit.archives import Archive, ArchiveError, Section, check_archive, read_archive
from libs.common.audit.explanation import UNTOLD_TOPICS
from libs.common.audit.records import COLUMNS, GENESIS, READ_IN_ORDER, ChainId, LinkedRecord, from_row
from libs.common.errors import RetryableError, TraderError
from libs.common.storage.postgres import CONNECT_TIMEOUT_S, UNREACHABLE, prepare

CLOSED_AFTER: Final = timedelta(days=1)
"""How long after its end a month may still be written to: by a transaction that began in it, or a clock set back."""
PREFETCH_ROWS: Final = 1_000
LOCK_TIMEOUT_MS: Final = 200
"""The recorder waits no longer for the drop of a month."""
CLOSE_TIMEOUT_MS: Final = 60_000
"""For writers of a month that is over, of which there are none: a vacuum makes way within seconds."""
COMMAND_TIMEOUT_S: Final = 3_600.0
TRIES_MAX: Final = 30
RETRY_S: Final = 1.0
_LOCK: Final = 7_276_347_212
"""Number of the advisory lock that lets one archiving run at a time."""

_TRY_LOCK: Final = "SELECT pg_try_advisory_lock($1)"
_NEXT: Final = """
    SELECT coalesce(min(ends_at), date_trunc('month', clock_timestamp()) + interval '1 month') + $1::interval
    FROM months.parts
    WHERE table_name = 'audit_recorder.audit_log' AND ends_at > clock_timestamp() - $1::interval
"""
_CLOSED: Final = """
    SELECT part, ends_at FROM months.parts
    WHERE table_name = 'audit_recorder.audit_log'
      AND ends_at <= least($1::timestamptz, clock_timestamp() - $2::interval)
    ORDER BY ends_at
"""
_ENDS: Final = "SELECT sections FROM months.archives ORDER BY ends_at"
_SELECT: Final = f"SELECT {', '.join(COLUMNS)} FROM months.{{part}} ORDER BY topic, partition, offset_last"  # noqa: S608 - constants of this package
_WRITE_DOWN: Final = (
    "INSERT INTO months.archives (name, ends_at, records, sha256, sections) VALUES ($1, $2, $3, $4, $5)"
)
_STORIES: Final = """
    INSERT INTO months.archived_stories
    SELECT DISTINCT correlation_id, $1 FROM months.{part} JOIN audit_recorder.audit_references USING (correlation_id)
    WHERE topic <> ALL ($2)
"""
_APPROVALS: Final = """
    WITH told AS MATERIALIZED (
        SELECT payload::jsonb AS approval FROM months.{part}
        WHERE topic = 'orders.approved' AND kind = 'EVENT' AND event_type = 'OrderApproved'
    )
    INSERT INTO months.archived_approvals
    SELECT (approval ->> 'intent_id')::uuid, approval ->> 'account', approval ->> 'symbol', approval ->> 'side', $1
    FROM told
    WHERE (approval ->> 'intent_id')::uuid NOT IN (SELECT intent_id FROM risk_manager.risk_decisions WHERE approved)
    ON CONFLICT DO NOTHING
"""
"""Those that a restored database has forgotten: libs/invariants finds them in the log while it is in the database."""


class ArchivingError(TraderError):
    """Archiving cannot begin, or cannot go on where it writes to; nothing is dropped.

    Attributes:
        advice: What to do about it.
    """

    def __init__(self, message: str, *, advice: str) -> None:
        super().__init__(message)
        self.advice = advice


async def archive_months(
    connection: "asyncpg.Connection[asyncpg.Record]",
    *,
    directory: Path,
    key: Ed25519PrivateKey,
    before: datetime | None = None,
) -> AsyncIterator[Archive]:
    """Archive every month that is over, oldest first; yield each archive once its month is dropped.

    Args:
        connection: Of the database's owner, with jsonb decoded.
        directory: Where archives are.
        key: That of the anchors.
        before: Only months that end by then.

    Raises:
        ArchiveError: A month does not verify, or its archive is not what was written: nothing of it is dropped.
        ArchivingError: Another archiving runs, or the directory cannot be written.
        RetryableError: The log was in use all the time, or the server went away or has no room.
    """
    with _answers():
        if not await connection.fetchval(_TRY_LOCK, _LOCK):  # held until the connection is closed
            raise ArchivingError(
                "expected to be the only archiving, found another one that runs", advice="Wait until it has ended."
            )
        for row in await connection.fetch(_CLOSED, before, CLOSED_AFTER):
            part, ends_at = row["part"], row["ends_at"]
            name = f"audit-{ends_at - timedelta(days=1):%Y-%m}"
            archive = await _write(connection, part, directory, name, key)
            _require_continuity(archive, await _ends(connection))
            with _files(directory):
                await asyncio.to_thread(_read_back, directory, archive, key)
            await _drop(connection, part, archive, ends_at)
            yield archive


async def next_closing(connection: "asyncpg.Connection[asyncpg.Record]") -> datetime:
    """Return from when on the next month can be archived.

    Raises:
        RetryableError: The server went away.
    """
    with _answers():
        closing: datetime = await connection.fetchval(_NEXT, CLOSED_AFTER)
    return closing


@contextmanager
def _answers() -> Iterator[None]:
    try:
        yield
    except (*UNREACHABLE, asyncpg.InsufficientResourcesError) as error:
        raise RetryableError(f"Postgres: expected an answer, found {error!r}") from error


@contextmanager
def _files(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArchivingError(
            f"{directory}: expected to write a month there, found: {error.strerror or error}",
            advice="Make room, or name another directory with --to.",
        ) from error


async def _write(connection: Any, part: str, directory: Path, name: str, key: Ed25519PrivateKey) -> Archive:
    async def records() -> AsyncIterator[LinkedRecord]:
        rows: AsyncIterator[Mapping[str, Any]] = connection.cursor(_SELECT.format(part=part), prefetch=PREFETCH_ROWS)
        with _answers():
            async for row in rows:
                yield from_row(row)

    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(READ_IN_ORDER)
        with _files(directory):
            return await write_archive(directory, name, records(), key)


async def _ends(connection: Any) -> Mapping[ChainId, Section]:
    """Return where the archived part of each chain ends."""
    rows = await connection.fetch(_ENDS)
    return {section.chain: section for row in rows for section in (Section(*each) for each in row["sections"])}


def _require_continuity(archive: Archive, ends: Mapping[ChainId, Section]) -> None:
    for section in archive.sections:
        end = ends.get(section.chain)
        following, digest = (end.offset_last + 1, end.hash) if end else (0, GENESIS.hex())
        if (section.offset_first, section.hash_before) != (following, digest):
            raise ArchiveError(
                archive.name,
                f"{section.topic}/{section.partition} does not follow what is archived",
                expected=f"offset {following} after {digest}",
                found=f"offset {section.offset_first} after {section.hash_before}",
            )


def _read_back(directory: Path, archive: Archive, key: Ed25519PrivateKey) -> None:
    found = check_archive(directory, archive.name, key.public_key())
    read = sum(1 for _ in read_archive(directory, found))
    if found != archive or read != archive.records:
        raise ArchiveError(
            archive.name, "it is not what was written", expected=f"{archive.records} records", found=str(read)
        )


async def _drop(connection: Any, part: str, archive: Archive, ends_at: datetime) -> None:
    async with connection.transaction():
        # What takes minutes comes first: nobody adds to the month any more, but everybody may read it.
        await _lock(connection, f"months.{part} IN SHARE MODE", timeout_ms=CLOSE_TIMEOUT_MS, tries_max=1)
        await _require_whole(connection, part, archive)
        await connection.execute(_WRITE_DOWN, archive.name, ends_at, archive.records, archive.sha256, archive.sections)
        await connection.execute(_STORIES.format(part=part), archive.name, UNTOLD_TOPICS)
        await connection.execute(_APPROVALS.format(part=part), archive.name)
        await _lock(
            connection,
            "audit_recorder.audit_log IN ACCESS EXCLUSIVE MODE",
            timeout_ms=LOCK_TIMEOUT_MS,
            tries_max=TRIES_MAX,
        )
        await connection.execute(f"ALTER TABLE audit_recorder.audit_log DETACH PARTITION months.{part}")
        await connection.execute(f"DROP TABLE months.{part}")


async def _lock(connection: Any, what: str, *, timeout_ms: int, tries_max: int) -> None:
    for _ in range(tries_max):
        try:
            async with connection.transaction():  # a savepoint: what was done before it stays
                await connection.execute(f"SET LOCAL lock_timeout = {timeout_ms}")
                await connection.execute(f"LOCK TABLE {what}")
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(RETRY_S)
        else:
            return
    raise RetryableError(f"{what}: expected it to be free within {tries_max} tries, found it in use")


async def _require_whole(connection: Any, part: str, archive: Archive) -> None:
    found = await connection.fetchval(f"SELECT count(*) FROM months.{part}")  # noqa: S608 - a name of the catalogue
    if found != archive.records:
        raise ArchiveError(
            archive.name, "the month has grown since", expected=f"{archive.records} records", found=str(found)
        )


async def owner_connection(dsn: str) -> "asyncpg.Connection[asyncpg.Record]":
    """Connect as the database's owner; a month takes as long as it takes.

    Raises:
        RetryableError: The server cannot be reached.
    """
    try:
        connection = await asyncpg.connect(
            dsn, timeout=CONNECT_TIMEOUT_S, command_timeout=COMMAND_TIMEOUT_S, server_settings={"timezone": "UTC"}
        )
    except (*UNREACHABLE, asyncpg.InsufficientResourcesError) as error:
        raise RetryableError(f"Postgres: expected a connection, found {error!r}") from error
    await prepare(connection)
    return connection
