"""The consume loop of an owner of state: one transaction an input, with its effects, its answers and its offset.

A handler loads, decides and answers; only this loop publishes and commits. An input from Kafka and one from
elsewhere (an exchange's answer, a timer) go through the same transaction, one after another.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar

import asyncpg
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from libs.common.clock import Clock
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.topics import FOREVER, TOPIC_BY_NAME, TopicName
from libs.common.errors import InvalidMessageError, OwnershipLostError, RetryableError, TraderError
from libs.common.messaging.cause import Cause, enclose_all
from libs.common.messaging.deadlines import deadline
from libs.common.messaging.kafka import CALL_DEADLINE_S, POLL_MS, Kafka
from libs.common.messaging.outbox import OutboxRelay, append_to_outbox
from libs.common.messaging.ownership import Ownership
from libs.common.messaging.polling import PartitionPoller
from libs.common.messaging.records import RawRecord
from libs.common.observability import metrics
from libs.common.observability.health import Progress
from libs.common.storage.postgres import Connection, Database

R = TypeVar("R")
Handler = Callable[[Envelope[Any], R], Awaitable[Sequence[Event]]]
"""Takes an event and the repositories bound to its transaction; returns what it answers."""

RETRIED: Final = (RetryableError, asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
"""What another attempt of the same transaction may cure."""

RETRY_S_MIN: Final = 0.05
RETRY_S_MAX: Final = 2.0
LAST_RECORDS_DEADLINE_S: Final = 10.0

_log = structlog.get_logger(__name__)

_POSITIONS: Final = "SELECT topic, partition, next_offset, last_event_id FROM consumer_offsets WHERE role = $1"
_BEGIN: Final = """
    SELECT consumer_offsets.next_offset FROM ownership
    LEFT JOIN consumer_offsets ON consumer_offsets.role = ownership.role AND topic = $3 AND partition = $4
    WHERE ownership.role = $1 AND ownership.epoch = $2 FOR SHARE OF ownership
"""
"""No row means that another process has taken over; the row says where the input's partition continues."""
_ADVANCE: Final = """
    INSERT INTO consumer_offsets (role, topic, partition, next_offset, last_event_id) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (role, topic, partition)
    DO UPDATE SET next_offset = excluded.next_offset, last_event_id = excluded.last_event_id
"""


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


class CommittedUnseenError(TraderError):
    """The transaction that is tried again had committed, and only its answer was lost.

    What the process keeps in memory beside the database is behind it: the restart reads it again.
    """

    def __init__(self, record: RawRecord, *, next_offset: int) -> None:
        super().__init__(
            f"{record.topic}/{record.partition}: expected to continue at offset {record.offset}, found {next_offset}; "
            "the transaction had committed although the connection failed: start again from what is stored"
        )


class Owner(Generic[R]):
    """Owns a role: waits for it as a hot standby, recovers, then handles its topics and its other inputs.

    Args:
        database: The role's connections, with its schema as search path.
        ownership: The claim on the role.
        relay: Publishes what the transactions leave in the outbox.
        kafka: The cluster.
        role: Names the owner in offsets and dead letters.
        topics: What is consumed, each record once, in a transaction of its own.
        handlers: What to do with each event type; other types are passed over.
        bind: Makes the repositories of a transaction from its connection.
        clock: The time of what is written.
        on_owned: Recovery: runs after the role is taken and before anything is consumed; may use `apply`.
        progress: Told at every turn of the loop.
        fetch_bytes_min: See `Kafka.consumer`: 1 for decisions, more for a recorder.
    """

    def __init__(
        self,
        *,
        database: Database,
        ownership: Ownership,
        relay: OutboxRelay,
        kafka: Kafka,
        role: str,
        topics: Sequence[TopicName],
        handlers: Mapping[type[Event], Handler[R]],
        bind: Callable[[Connection], R],
        clock: Clock,
        on_owned: Callable[[], Awaitable[None]] | None = None,
        progress: Progress | None = None,
        fetch_bytes_min: int = 1,
    ) -> None:
        self._database = database
        self._ownership = ownership
        self._relay = relay
        self._role = role
        self._handlers = handlers
        self._bind = bind
        self._clock = clock
        self._on_owned = on_owned
        self._progress = progress
        self._kafka = kafka
        self._poller = PartitionPoller(
            kafka, topics=topics, seek=self._seek, clock=clock, fetch_bytes_min=fetch_bytes_min
        )
        self._one_at_a_time = asyncio.Lock()
        self._after_commit: list[Callable[[], None]] = []
        self.is_owner = False

    @property
    def epoch(self) -> int:
        """The epoch under which this process owns the role."""
        return self._ownership.epoch

    @property
    def lag(self) -> dict[str, int]:
        """Records still to handle per topic."""
        return self._poller.lag

    async def answered(self) -> bool:
        """Readiness: recovered, and the broker answered lately. A standby is ready to take over."""
        return not self.is_owner or self._poller.answered_lately(5.0)

    def after_commit(self, action: Callable[[], None]) -> None:
        """Within a transaction: run `action` once it has committed, never if it does not."""
        self._after_commit.append(action)

    async def apply(self, work: Callable[[R], Awaitable[Sequence[Event]]], *, cause: Cause | None = None) -> None:
        """Run `work` in a transaction of its own: an input that did not come from Kafka.

        Raises:
            RetryableError: The database is away; whether the transaction took effect is unknown.
            OwnershipLostError: Another process owns the role now.
        """
        await self._transact(work, cause=cause or Cause.none())

    async def run(self) -> None:
        """Own the role for as long as it can be held.

        Raises:
            OwnershipLostError: Another process took over.
        """
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._ownership.release)
            await self._stand_by()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._ownership.keep(), name=f"{self._role} lease")
                tasks.create_task(self._relay.run(), name=f"{self._role} outbox")
                if self._on_owned is not None:
                    await self._on_owned()
                self.is_owner = True
                async with aclosing(self._poller.batches()) as batches:
                    async for records in batches:
                        await self._handle_batch(records)
                        self._made_progress()

    async def _stand_by(self) -> None:
        waiting = asyncio.ensure_future(self._ownership.take())
        try:
            while not waiting.done():
                self._made_progress()
                await asyncio.wait({waiting}, timeout=1.0)
            waiting.result()
        finally:
            waiting.cancel()

    def _made_progress(self) -> None:
        if self._progress is not None:
            self._progress.made()

    async def _handle_batch(self, records: Sequence[RawRecord]) -> None:
        for record in records:
            with metrics.HANDLING_SECONDS.labels(topic=record.topic).time():
                await self._until_done(partial(self._handle, record), record)

    async def _until_done(self, attempt: Callable[[], Awaitable[None]], first: RawRecord) -> None:
        """Attempt a transaction until it succeeds: nothing after it may be handled before."""
        retry_s = RETRY_S_MIN
        while True:
            self._made_progress()
            try:
                return await attempt()
            except RETRIED as error:
                metrics.MESSAGES_RETRIED.labels(topic=first.topic).inc()
                _log.warning("Trying a message again", topic=first.topic, offset=first.offset, error=str(error))
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, RETRY_S_MAX)

    async def _handle(self, record: RawRecord) -> None:
        try:
            envelope = record.decoded()
            handler = self._handlers.get(type(envelope.event))
            await self._transact(
                (lambda repositories: handler(envelope, repositories)) if handler else _nothing,
                cause=Cause.of(envelope),
                first=record,
                positions=lambda: _after(record, str(envelope.event_id)),
            )
        except InvalidMessageError as error:
            metrics.MESSAGES_DEAD_LETTERED.labels(topic=record.topic).inc()
            _log.warning("Poison message", topic=record.topic, offset=record.offset, reason=str(error))
            dead_letter = record.dead_letter(self._role, error, self._clock.now())
            await self._transact(
                _answer(dead_letter), cause=Cause.none(), first=record, positions=lambda: _after(record, "")
            )
        else:
            metrics.MESSAGES_HANDLED.labels(topic=record.topic, type=type(envelope.event).__name__).inc()
            metrics.EVENT_AGE_SECONDS.labels(topic=record.topic).observe(
                max(0.0, (self._clock.now() - envelope.recorded_at).total_seconds())
            )

    async def _transact(
        self,
        work: Callable[[R], Awaitable[Sequence[Event]]],
        *,
        cause: Cause,
        first: RawRecord | None = None,
        positions: Callable[[], Positions] | None = None,
    ) -> None:
        """Run `work` and store its answers and where reading continues; `first` is the first record behind it."""
        async with self._one_at_a_time:
            self._after_commit.clear()
            async with self._database.transaction() as connection:
                await self._begin(connection, first)
                events = await work(self._bind(connection))
                if events:
                    envelopes = enclose_all(events, cause=cause, now=self._clock.now())
                    await append_to_outbox(connection, envelopes)
                if positions is not None:
                    await self._advance(connection, positions())
            if events:
                self._relay.wake()
            actions, self._after_commit = self._after_commit, []
            for action in actions:
                action()

    async def _begin(self, connection: Connection, first: RawRecord | None) -> None:
        partition = (first.topic.value, first.partition) if first is not None else (None, None)
        row = await connection.fetchrow(_BEGIN, self._role, self.epoch, *partition)
        if row is None:
            raise OwnershipLostError(self._role, epoch=self.epoch)
        if first is not None and (row["next_offset"] or 0) > first.offset:
            raise CommittedUnseenError(first, next_offset=row["next_offset"])

    async def _advance(self, connection: Connection, positions: Positions) -> None:
        rows = [
            (self._role, topic.value, partition, position.next_offset, position.last_event_id)
            for (topic, partition), position in positions.items()
        ]
        if len(rows) == 1:  # the usual case, without a second round trip
            await connection.execute(_ADVANCE, *rows[0])
        else:
            await connection.executemany(_ADVANCE, rows)

    async def _seek(self, consumer: AIOKafkaConsumer) -> None:
        """Move every partition to its stored offset, after proving that the last record read still stands there."""
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


def _after(record: RawRecord, event_id: str) -> Positions:
    return {(record.topic, record.partition): Position(record.offset + 1, event_id)}


async def _nothing(_: Any) -> Sequence[Event]:
    """An event that this owner does not handle: only its offset moves."""
    return ()


def _answer(event: Event) -> Callable[[Any], Awaitable[Sequence[Event]]]:
    async def answer(_: Any) -> Sequence[Event]:
        return (event,)

    return answer
