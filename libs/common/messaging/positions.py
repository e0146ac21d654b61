"""Where an owner continues in each partition, and the proof that the topic is still the one it read.

Invariant: nothing is read before the record that was read last has been found where it stood.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from libs.common.contracts.topics import FOREVER, TOPIC_BY_NAME, TopicName
from libs.common.errors import TraderError
from libs.common.messaging.deadlines import deadline
from libs.common.messaging.kafka import CALL_DEADLINE_S, POLL_MS, Kafka
from libs.common.storage.postgres import Database

LAST_RECORDS_DEADLINE_S: Final = 10.0

_POSITIONS: Final = "SELECT topic, partition, next_offset, last_event_id FROM consumer_offsets WHERE role = $1"


@dataclass(frozen=True, slots=True)
class Position:
    """Where an owner continues in a partition, and the event that it read last: "" where there was none."""

    next_offset: int
    last_event_id: str


Positions = Mapping[tuple[TopicName, int], Position]


class TopicReplacedError(TraderError):
    """The record that was read last is not where it stood: the topic was truncated or recreated."""

    def __init__(self, topic: TopicName, *, partition: int, offset: int, expected: str, found: str) -> None:
        super().__init__(
            f"{topic}/{partition}: expected event {expected} at offset {offset}, found {found}; "
            "the topic was truncated or recreated: halt, then restore it or see docs/runbook.md"
        )


class StoredPositions:
    """The positions of a role, as its transactions left them.

    Args:
        database: The role's connections, with its schema as search path.
        kafka: The cluster.
        role: The owner's.
    """

    def __init__(self, *, database: Database, kafka: Kafka, role: str) -> None:
        self._database = database
        self._kafka = kafka
        self._role = role

    async def seek(self, consumer: AIOKafkaConsumer) -> None:
        """Move every partition to its stored offset, after proving that the last record read still stands there.

        Raises:
            TopicReplacedError: It does not.
        """
        async with self._database.connection() as connection:
            rows = await connection.fetch(_POSITIONS, self._role)
        stored = {(row["topic"], row["partition"]): row for row in rows}
        beginnings = await deadline(
            consumer.beginning_offsets(list(consumer.assignment())), CALL_DEADLINE_S, "Kafka offsets"
        )
        ends = await self._kafka.end_offsets(consumer)
        read_last: dict[TopicPartition, Position] = {}
        for partition in sorted(consumer.assignment()):
            row = stored.get((self._kafka.topic_name(partition.topic).value, partition.partition))
            next_offset = row["next_offset"] if row is not None else 0
            if row is not None and next_offset > ends[partition]:
                raise self._replaced(partition, next_offset - 1, row["last_event_id"], "the end of the topic before it")
            if row is not None and next_offset < beginnings[partition] and self._kept_forever(partition):
                raise self._replaced(partition, next_offset - 1, row["last_event_id"], "a topic that begins after it")
            if row is not None and row["last_event_id"] and beginnings[partition] < next_offset:
                read_last[partition] = Position(next_offset, row["last_event_id"])
            consumer.seek(partition, max(next_offset, beginnings[partition]))
        if read_last:
            await deadline(self._prove(read_last), LAST_RECORDS_DEADLINE_S, "reading the last records again")

    async def _prove(self, read_last: Mapping[TopicPartition, Position]) -> None:
        """Read the last record of each partition again, by a consumer of its own that waits for no larger batch."""
        consumer = await self._kafka.consumer()
        try:
            consumer.assign(list(read_last))
            for partition, position in read_last.items():
                consumer.seek(partition, position.next_offset - 1)
            unread = set(read_last)
            while unread:
                for partition, records in (await consumer.getmany(*unread, timeout_ms=POLL_MS)).items():
                    self._prove_last_record(partition, records[0], read_last[partition])
                    unread.remove(partition)
        finally:
            await self._kafka.stop(consumer)

    def _prove_last_record(self, partition: TopicPartition, record: Any, expected: Position) -> None:
        headers = {name: content.decode(errors="replace") for name, content in record.headers}
        found = headers.get("event_id", "no event id")
        offset = expected.next_offset - 1
        if record.offset != offset or found != expected.last_event_id:
            raise self._replaced(partition, offset, expected.last_event_id, found)

    def _kept_forever(self, partition: TopicPartition) -> bool:
        return TOPIC_BY_NAME[self._kafka.topic_name(partition.topic)].retention_ms == FOREVER

    def _replaced(self, partition: TopicPartition, offset: int, expected: str, found: str) -> TopicReplacedError:
        return TopicReplacedError(
            self._kafka.topic_name(partition.topic),
            partition=partition.partition,
            offset=offset,
            expected=expected,
            found=found,
        )
