"""The audit log and the heads of its chains.

The role may only INSERT into `audit_log`, so where a chain stands is kept in `chain_heads`, in the same transaction.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from libs.common.audit.anchors import ChainHead
from libs.common.audit.records import COLUMNS, ChainId, LinkedRecord
from libs.common.storage.postgres import Database, dump_json
from libs.common.storage.transaction import Transaction
from services.audit_recorder.domain.chains import ChainState, Extension, OpenDigest

_LOAD: Final = """
    SELECT topic, partition, offset_last, hash, digest_minute_at, digest_offset_first, digest_offset_last, digest_hash
    FROM chain_heads JOIN unnest($1::text[], $2::integer[]) AS wanted (topic, partition) USING (topic, partition)
"""
_APPEND: Final = f"""
    INSERT INTO audit_log ({", ".join(COLUMNS)})
    SELECT topic, partition, offset_first, offset_last, kind, event_id, event_type, key, recorded_at, occurred_at,
           correlation_id, causation_id, headers::jsonb, payload, previous_hash, hash
    FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::text[], $6::uuid[], $7::text[], $8::text[],
                $9::timestamptz[], $10::timestamptz[], $11::uuid[], $12::uuid[], $13::text[], $14::text[],
                $15::bytea[], $16::bytea[])
        AS record ({", ".join(COLUMNS)})
"""  # noqa: S608 - the names are constants of this project
_MOVE: Final = """
    INSERT INTO chain_heads AS head (topic, partition, offset_last, hash,
                                     digest_minute_at, digest_offset_first, digest_offset_last, digest_hash)
    SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bytea[],
                         $5::timestamptz[], $6::bigint[], $7::bigint[], $8::bytea[])
    ON CONFLICT (topic, partition) DO UPDATE SET
        offset_last = excluded.offset_last,
        hash = excluded.hash,
        digest_minute_at = excluded.digest_minute_at,
        digest_offset_first = excluded.digest_offset_first,
        digest_offset_last = excluded.digest_offset_last,
        digest_hash = excluded.digest_hash
"""
_HEADS: Final = "SELECT topic, partition, offset_last, hash FROM chain_heads WHERE offset_last >= 0"


class PostgresChains:
    """Appends to the audit log within one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def load(self, chains: Collection[ChainId]) -> Mapping[ChainId, ChainState]:
        """Return where chains stand; those without a record are left out."""
        rows = await self._transaction.fetch(
            _LOAD, [chain.topic for chain in chains], [chain.partition for chain in chains]
        )
        return {ChainId(row["topic"], row["partition"]): _state(row) for row in rows}

    async def append(self, extensions: Sequence[Extension]) -> None:
        """Write the new records and where the chains stand now."""
        rows = [_row(linked) for extension in extensions for linked in extension.linked]
        if rows:
            await self._transaction.execute(_APPEND, *(list(column) for column in zip(*rows, strict=True)))
        if extensions:
            moved = [_head(extension) for extension in extensions]
            await self._transaction.execute(_MOVE, *(list(column) for column in zip(*moved, strict=True)))


class PostgresHeads:
    """Reads where every chain stands, for the anchors."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> Sequence[ChainHead]:
        """Return the committed head of every chain that has a record."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_HEADS)
        return [ChainHead(ChainId(row["topic"], row["partition"]), row["offset_last"], row["hash"]) for row in rows]


def _state(row: Any) -> ChainState:
    digest = None
    if row["digest_hash"] is not None:
        digest = OpenDigest(
            minute_at=row["digest_minute_at"],
            offset_first=row["digest_offset_first"],
            offset_last=row["digest_offset_last"],
            hash=row["digest_hash"],
        )
    return ChainState(offset=row["offset_last"], hash=row["hash"], digest=digest)


def _row(linked: LinkedRecord) -> tuple[Any, ...]:
    record = linked.record
    return (
        record.topic,
        record.partition,
        record.offset_first,
        record.offset_last,
        record.kind.value,
        record.event_id,
        record.event_type,
        record.key,
        record.recorded_at,
        record.occurred_at,
        record.correlation_id,
        record.causation_id,
        dump_json(record.headers),
        record.payload,
        linked.previous_hash,
        linked.hash,
    )


def _head(extension: Extension) -> tuple[Any, ...]:
    state, digest = extension.state, extension.state.digest
    return (
        extension.chain.topic,
        extension.chain.partition,
        state.offset,
        state.hash,
        digest.minute_at if digest else None,
        digest.offset_first if digest else None,
        digest.offset_last if digest else None,
        digest.hash if digest else None,
    )
