"""Whether the outbox knows what its owner has published: a database that was restored to an earlier moment does not.

Invariant: only topics that nobody else writes are compared, and what they hold beyond the outbox is returned whole, so
that the owner can take it back before it decides anything.
"""

from collections.abc import Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from libs.common.contracts.topics import TopicName
from libs.common.errors import TraderError
from libs.common.messaging.deadlines import deadline
from libs.common.messaging.kafka import CALL_DEADLINE_S, POLL_MS, Kafka
from libs.common.messaging.records import RawRecord
from libs.common.messaging.sealing import NO_ACCOUNT
from libs.common.storage.postgres import Database
from libs.common.storage.transaction import Transaction

WINDOW_RECORDS: Final = 100
"""Read at every start; more only where the outbox does not know them."""
FORGOTTEN_RECORDS_MAX: Final = 100_000
OUTBOX_ROWS_MAX: Final = 20_000
"""Of each account and topic: how many rows may not be published yet for the last published one to be found."""
READ_DEADLINE_S: Final = 30.0

_KNOWN: Final = """
    SELECT event_id FROM (
        SELECT headers ->> 'event_id' AS event_id FROM outbox WHERE account = $1 AND topic = $2
        ORDER BY sequence DESC LIMIT $4
    ) AS latest WHERE event_id = ANY ($3)
"""
_REMEMBER: Final = """
    WITH entry AS (
        SELECT *, row_number() OVER (PARTITION BY account ORDER BY ordinal) AS place,
               count(*) OVER (PARTITION BY account) AS places
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[])
            WITH ORDINALITY AS entry (account, topic, key, value, headers, ordinal)
    ), head AS (
        INSERT INTO outbox_heads AS current (account, sequence)
        SELECT account, count(*) FROM entry GROUP BY account ORDER BY account
        ON CONFLICT (account) DO UPDATE SET sequence = current.sequence + excluded.sequence
        RETURNING account, sequence
    )
    INSERT INTO outbox (account, sequence, topic, key, value, headers, recorded_at, published_at)
    SELECT account, head.sequence - places + place, topic, key, value, headers, clock_timestamp(), clock_timestamp()
    FROM entry JOIN head USING (account)
"""


class RestoredTooFarError(TraderError):
    """More was published since than can be taken back at a start."""

    def __init__(self, topic: TopicName) -> None:
        super().__init__(
            f"{topic}: expected an outbox that lacks at most {FORGOTTEN_RECORDS_MAX} published events, found more; "
            'the database was restored to a moment too long ago: see "A restored database" in docs/runbook.md'
        )


class PublishedEvents:
    """What an owner has published, against its outbox.

    Args:
        database: The role's connections, with its schema as search path.
        kafka: The cluster.
        topics: Those that only this owner writes, keyed by account.
    """

    def __init__(self, *, database: Database, kafka: Kafka, topics: Sequence[TopicName]) -> None:
        self._database = database
        self._kafka = kafka
        self._topics = topics

    async def forgotten(self) -> Sequence[RawRecord]:
        """Return the published records that the outbox does not know, in the order of each partition.

        Raises:
            RetryableError: The broker or the database is away.
            RestoredTooFarError: There are too many of them.
        """
        consumer = await self._kafka.consumer()
        try:
            partitions = self._kafka.partitions(self._topics)
            consumer.assign(partitions)
            beginnings = await deadline(consumer.beginning_offsets(partitions), CALL_DEADLINE_S, "Kafka offsets")
            ends = await self._kafka.end_offsets(consumer)
            found: list[RawRecord] = []
            for partition in partitions:
                found.extend(await self._forgotten_of(consumer, partition, beginnings[partition], ends[partition]))
            return found
        finally:
            await self._kafka.stop(consumer)

    async def _forgotten_of(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, beginning: int, end: int
    ) -> Sequence[RawRecord]:
        found: list[RawRecord] = []
        size = WINDOW_RECORDS
        while end > beginning:
            start = max(beginning, end - size)
            window = await deadline(self._read(consumer, partition, start, end), READ_DEADLINE_S, "published events")
            known = await self._known(window)
            unknown = [record for record in window if _event_id(record) and _event_id(record) not in known]
            found = [*unknown, *found]
            if len(found) > FORGOTTEN_RECORDS_MAX:
                raise RestoredTooFarError(self._kafka.topic_name(partition.topic))
            if len(unknown) < len(window):
                break
            end, size = start, min(2 * size, FORGOTTEN_RECORDS_MAX)
        return found

    async def _read(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, start: int, end: int
    ) -> Sequence[RawRecord]:
        consumer.seek(partition, start)
        window: list[RawRecord] = []
        while not window or window[-1].offset < end - 1:
            for records in (await consumer.getmany(partition, timeout_ms=POLL_MS)).values():
                window.extend(RawRecord.of(record, self._kafka) for record in records)
        return [record for record in window if record.offset < end]

    async def _known(self, window: Sequence[RawRecord]) -> frozenset[str]:
        by_origin: dict[tuple[str, TopicName], list[str]] = {}
        for record in window:
            by_origin.setdefault((_storable(record.key), record.topic), []).append(_event_id(record))
        known: set[str] = set()
        async with self._database.connection() as connection:
            for (account, topic), event_ids in by_origin.items():
                rows = await connection.fetch(_KNOWN, account, topic.value, event_ids, OUTBOX_ROWS_MAX)
                known.update(row["event_id"] for row in rows)
        return frozenset(known)


async def remember_published(transaction: Transaction, records: Sequence[RawRecord]) -> None:
    """Take records back into the outbox, as published: the next start knows them again."""
    await transaction.execute(
        _REMEMBER,
        [_storable(record.key) or NO_ACCOUNT for record in records],
        [record.topic.value for record in records],
        [_storable(record.key) for record in records],
        [_text(record.value) for record in records],
        [{_storable(name): _text(content) for name, content in record.headers} for record in records],
    )


def _event_id(record: RawRecord) -> str:
    return next((_text(content) for name, content in record.headers if name == "event_id"), "")


def _text(content: bytes) -> str:
    return _storable(content.decode(errors="replace"))


def _storable(text: str) -> str:
    """Return it without the one character that Postgres does not store."""
    return text.replace("\x00", "\ufffd")
