"""The consume loop of readers that scale: a consumer group whose handlers' answers are published, then committed.

At least once: a crash between the two publishes the same answers again, under the same ids.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from libs.common.clock import Clock
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.topics import TopicName
from libs.common.errors import InvalidMessageError, RetryableError
from libs.common.messaging.cause import Cause
from libs.common.messaging.deadlines import deadline
from libs.common.messaging.kafka import CALL_DEADLINE_S, POLL_MS, Kafka
from libs.common.messaging.lag import LOOK_INTERVAL_S, LagWatch
from libs.common.messaging.publisher import Publisher
from libs.common.messaging.records import RawRecord
from libs.common.observability import metrics
from libs.common.observability.health import Progress

Handler = Callable[[Envelope[Any]], Awaitable[Sequence[Event]]]
OnAssigned = Callable[[AIOKafkaConsumer, Sequence[TopicPartition]], Awaitable[None]]
"""Warms up what newly assigned partitions need, before any of their records is handled."""

RECORDS_PER_POLL_MAX: Final = 200
RETRY_S_MIN: Final = 0.05
RETRY_S_MAX: Final = 2.0
ANSWERED_S_MAX: Final = 5.0

_log = structlog.get_logger(__name__)


class GroupLoop:
    """Reads its share of some topics as a static member of a group.

    Args:
        kafka: The cluster.
        group: The consumer group, `member` the static id of this process in it.
        topics: What the group shares out.
        handlers: What to do with each event type; other types are passed over.
        publisher: Takes the answers and the dead letters.
        clock: The time of dead letters and lags.
        on_assigned: Warms up newly assigned partitions.
        progress: Told at every turn of the loop.
    """

    def __init__(
        self,
        kafka: Kafka,
        *,
        group: str,
        member: str,
        topics: Sequence[TopicName],
        handlers: Mapping[type[Event], Handler],
        publisher: Publisher,
        clock: Clock,
        on_assigned: OnAssigned | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._kafka = kafka
        self._group = group
        self._member = member
        self._topics = topics
        self._handlers = handlers
        self._publisher = publisher
        self._clock = clock
        self._on_assigned = on_assigned
        self._progress = progress
        self._watched = LagWatch(kafka, topics=topics, clock=clock)

    @property
    def lag(self) -> dict[str, int]:
        """Records still to read per topic, in the partitions assigned to this member."""
        return self._watched.lag

    async def answered(self) -> bool:
        """Readiness: partitions are assigned and the broker answered lately."""
        return self._watched.answered_lately(ANSWERED_S_MAX)

    async def run(self) -> None:
        """Read, handle, publish and commit, for ever; joins the group again after an error."""
        retry_s = RETRY_S_MIN
        while True:
            try:
                await self._run_as_member()
            except (KafkaError, RetryableError) as error:
                if self._watched.answered:
                    retry_s = RETRY_S_MIN
                metrics.CONSUMERS_REBUILT.inc()
                _log.warning("Joining the group again", group=self._group, error=str(error))
                self._watched.forget()
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, RETRY_S_MAX)

    async def _run_as_member(self) -> None:
        consumer = await self._kafka.consumer(group=self._group, instance=self._member)
        watch: asyncio.Task[None] | None = None
        try:
            assignment = _Assignment()
            consumer.subscribe([self._kafka.wire_topic(name) for name in self._topics], listener=assignment)
            self._watched.begin()
            watch = asyncio.create_task(self._watch(consumer))
            while not watch.done():
                await self._turn(consumer, assignment)
            watch.result()
        finally:
            if watch is not None:
                watch.cancel()
            await self._kafka.stop(consumer)

    async def _turn(self, consumer: AIOKafkaConsumer, assignment: "_Assignment") -> None:
        if self._progress is not None:
            self._progress.made()
        polled = await deadline(
            consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_PER_POLL_MAX),
            CALL_DEADLINE_S + POLL_MS / 1_000,
            "Kafka poll",
        )
        fresh = assignment.take_fresh()
        if fresh and self._on_assigned is not None:
            await self._on_assigned(consumer, fresh)
        if not polled:
            return
        self._watched.read()
        done: dict[TopicPartition, int] = {}
        for partition, records in polled.items():
            for record in records:
                await self._handle_until_done(RawRecord.of(record, self._kafka))
                done[partition] = record.offset + 1
        await self._publisher.flush(CALL_DEADLINE_S)
        try:
            await deadline(consumer.commit(done), CALL_DEADLINE_S, "Kafka commit")
        except CommitFailedError:
            _log.info("The partitions went to another member before the commit", group=self._group)

    async def _handle_until_done(self, record: RawRecord) -> None:
        retry_s = RETRY_S_MIN
        while True:
            try:
                with metrics.HANDLING_SECONDS.labels(topic=record.topic).time():
                    await self._handle(record)
            except RetryableError as error:
                metrics.MESSAGES_RETRIED.labels(topic=record.topic).inc()
                _log.warning("Trying a message again", topic=record.topic, offset=record.offset, error=str(error))
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, RETRY_S_MAX)
            else:
                return

    async def _handle(self, record: RawRecord) -> None:
        try:
            envelope = record.decoded()
            handler = self._handlers.get(type(envelope.event))
            answers = await handler(envelope) if handler is not None else ()
        except InvalidMessageError as error:
            metrics.MESSAGES_DEAD_LETTERED.labels(topic=record.topic).inc()
            _log.warning("Poison message", topic=record.topic, offset=record.offset, reason=str(error))
            self._publisher.publish(record.dead_letter(self._group, error, self._clock.now()))
            return
        cause = Cause.of(envelope)
        seen: dict[type[Event], int] = {}
        for answer in answers:
            ordinal = seen.get(type(answer), 0)
            seen[type(answer)] = ordinal + 1
            self._publisher.publish(answer, cause=cause, ordinal=ordinal)
        metrics.MESSAGES_HANDLED.labels(topic=record.topic, type=type(envelope.event).__name__).inc()
        metrics.EVENT_AGE_SECONDS.labels(topic=record.topic).observe(
            max(0.0, (self._clock.now() - envelope.recorded_at).total_seconds())
        )

    async def _watch(self, consumer: AIOKafkaConsumer) -> None:
        """Look at what is left to read, for ever; raise when the broker is silent, or data is there and none comes."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL_S)
            if consumer.assignment():
                await self._watched.look(consumer)


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Remembers which partitions came newly to this member."""

    def __init__(self) -> None:
        self._fresh: set[TopicPartition] = set()
        self._held: set[TopicPartition] = set()

    def take_fresh(self) -> Sequence[TopicPartition]:
        """Return, once, the partitions that were assigned since the last call."""
        fresh, self._fresh = sorted(self._fresh), set()
        return fresh

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Forget partitions that may go elsewhere."""
        self._held -= set(revoked)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Note what is new."""
        self._fresh |= set(assigned) - self._held
        self._held = set(assigned)
