"""Moving months that are over from the database into archives.

Invariant: a month is dropped in the transaction that writes down its archive, and only after the archive was read back
from the disk. Whoever dies before it leaves the month where it was, and files that the next run replaces.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.audit.archive_files import write_archive
from libs.common.audit.archives import Archive, ArchiveError, Section, check_archive, read_archive
from libs.common.audit.explanation import UNTOLD_TOPICS
from libs.common.audit.records import COLUMNS, GENESIS, ChainId, LinkedRecord, from_row
from libs.common.errors import RetryableError
from libs.common.storage.postgres import CONNECT_TIMEOUT_S, prepare

CLOSED_AFTER: Final = timedelta(days=1)
"""How long after its end a month may still be written to: by a transaction that began in it, or a clock set back."""
PREFETCH_ROWS: Final = 1_000
LOCK_TIMEOUT_MS: Final = 200
"""The recorder waits no longer for the drop of a month."""
COMMAND_TIMEOUT_S: Final = 3_600.0
TRIES_MAX: Final = 30
RETRY_S: Final = 1.0

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
        RetryableError: The log was in use all the time.
        OSError: The directory cannot be written.
    """
    for row in await connection.fetch(_CLOSED, before, CLOSED_AFTER):
        part, ends_at = row["part"], row["ends_at"]
        name = f"audit-{ends_at - timedelta(days=1):%Y-%m}"
        archive = await _write(connection, part, directory, name, key)
        _require_continuity(archive, await _ends(connection))
        await asyncio.to_thread(_read_back, directory, archive, key)
        await _drop(connection, part, archive, ends_at)
        yield archive


async def _write(connection: Any, part: str, directory: Path, name: str, key: Ed25519PrivateKey) -> Archive:
    async def records() -> AsyncIterator[LinkedRecord]:
        rows: AsyncIterator[Mapping[str, Any]] = connection.cursor(_SELECT.format(part=part), prefetch=PREFETCH_ROWS)
        async for row in rows:
            yield from_row(row)

    async with connection.transaction(isolation="repeatable_read", readonly=True):
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
    for _ in range(TRIES_MAX):
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
                await connection.execute(f"LOCK TABLE months.{part} IN ACCESS EXCLUSIVE MODE")
                await _require_whole(connection, part, archive)
                await connection.execute(
                    _WRITE_DOWN, archive.name, ends_at, archive.records, archive.sha256, archive.sections
                )
                await connection.execute(_STORIES.format(part=part), archive.name, UNTOLD_TOPICS)
                await connection.execute(f"ALTER TABLE audit_recorder.audit_log DETACH PARTITION months.{part}")
                await connection.execute(f"DROP TABLE months.{part}")
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(RETRY_S)
        else:
            return
    raise RetryableError(f"months.{part}: expected it to be free within {TRIES_MAX * RETRY_S:g} s, found it in use")


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
    except OSError as error:
        raise RetryableError(f"Postgres: expected a connection, found {error!r}") from error
    await prepare(connection)
    return connection
