"""The outbox: events written in the transaction that caused them, published afterwards in account order.

A sequence is taken under the account's row lock, so rows commit in the order of their numbers and a reader of the
table can never overtake a row that commits later.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncpg
import structlog

from libs.common.clock import Clock
from libs.common.contracts.codec import WireRecord, encode
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.topics import FOREVER, TOPICS, TopicName
from libs.common.errors import RetryableError
from libs.common.messaging.kafka import Producer
from libs.common.observability import metrics
from libs.common.storage.postgres import Connection, Database

RELAY_ROWS_MAX: Final = 500
IDLE_S: Final = 1.0
RETRY_S: Final = 0.2
PRUNE_INTERVAL_S: Final = 600.0
PRUNE_ROWS_MAX: Final = 10_000
NO_ACCOUNT: Final = ""
"""The order in which events without an account of their own are published."""

_log = structlog.get_logger(__name__)

_APPEND: Final = """
    WITH head AS (
        INSERT INTO outbox_heads AS current (account, sequence) VALUES ($1, cardinality($2::text[]))
        ON CONFLICT (account) DO UPDATE SET sequence = current.sequence + excluded.sequence
        RETURNING sequence - cardinality($2::text[]) AS before
    )
    INSERT INTO outbox (account, sequence, topic, key, value, headers, recorded_at)
    SELECT $1, head.before + entry.ordinal, entry.topic, entry.key, entry.value, entry.headers, clock_timestamp()
    FROM head, unnest($2::text[], $3::text[], $4::text[], $5::jsonb[])
        WITH ORDINALITY AS entry (topic, key, value, headers, ordinal)
"""
_UNPUBLISHED: Final = """
    SELECT account, sequence, topic, key, value, headers,
        extract(epoch FROM clock_timestamp() - recorded_at)::float8 AS age_s
    FROM outbox WHERE published_at IS NULL ORDER BY account, sequence LIMIT $1
"""
_MARK: Final = """
    UPDATE outbox SET published_at = clock_timestamp()
    FROM unnest($1::text[], $2::bigint[]) AS sent (account, sequence)
    WHERE outbox.account = sent.account AND outbox.sequence = sent.sequence
"""
_PRUNE: Final = """
    DELETE FROM outbox WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM outbox WHERE topic = $1 AND published_at < clock_timestamp() - make_interval(secs => $2)
        LIMIT $3
    ))
"""


async def append_to_outbox(connection: Connection, envelopes: Sequence[Envelope[Event]]) -> None:
    """Write events to the outbox within the caller's transaction, keeping their order per account."""
    by_account: dict[str, list[WireRecord]] = {}
    for envelope in envelopes:
        account = getattr(envelope.event, "account", None) or NO_ACCOUNT
        by_account.setdefault(account, []).append(encode(envelope))
    for account in sorted(by_account):  # one order of locks for everybody
        records = by_account[account]
        await connection.execute(
            _APPEND,
            account,
            [record.topic.value for record in records],
            [record.key for record in records],
            [record.value.decode() for record in records],
            [{name: content.decode() for name, content in record.headers} for record in records],
        )


class OutboxRelay:
    """Publishes committed rows in account order, at least once; marks them when the broker has them."""

    def __init__(self, *, database: Database, producer: Producer, clock: Clock) -> None:
        self._database = database
        self._producer = producer
        self._clock = clock
        self._woken = asyncio.Event()
        self._pruned_at_s = clock.monotonic_s()

    def wake(self) -> None:
        """Say that rows were committed."""
        self._woken.set()

    async def run(self) -> None:
        """Publish, for ever; close the producer at the end."""
        try:
            await self._run()
        finally:
            await self._producer.close()

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                while await self._relay() == RELAY_ROWS_MAX:
                    pass
                await self._prune()
            except (RetryableError, asyncpg.PostgresError) as error:
                _log.warning("The outbox waits", error=str(error))
                await asyncio.sleep(RETRY_S)
                continue
            try:
                async with asyncio.timeout(IDLE_S):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _relay(self) -> int:
        async with self._database.connection() as connection:
            rows = await connection.fetch(_UNPUBLISHED, RELAY_ROWS_MAX)
        metrics.OUTBOX_OLDEST_SECONDS.set(max((row["age_s"] for row in rows), default=0.0))
        if not rows:
            return 0
        await self._producer.send([(_record(row), None) for row in rows])
        metrics.OUTBOX_RELAYED.inc(len(rows))
        async with self._database.transaction() as connection:
            # Losing a mark republishes a row, which readers know by its id: no need to wait for the disk.
            await connection.execute("SET LOCAL synchronous_commit = off")
            await connection.execute(_MARK, [row["account"] for row in rows], [row["sequence"] for row in rows])
        return len(rows)

    async def _prune(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._pruned_at_s < PRUNE_INTERVAL_S:
            return
        self._pruned_at_s = now_s
        async with self._database.connection() as connection:
            for topic in TOPICS:
                if topic.retention_ms != FOREVER:
                    await connection.execute(_PRUNE, topic.name.value, topic.retention_ms / 1_000, PRUNE_ROWS_MAX)


def _record(row: asyncpg.Record) -> WireRecord:
    return WireRecord(
        topic=TopicName(row["topic"]),
        key=row["key"],
        value=row["value"].encode(),
        headers=tuple((name, text.encode()) for name, text in row["headers"].items()),
    )
