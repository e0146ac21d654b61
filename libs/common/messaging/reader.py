"""Observing topics: market data and state that every process reads whole and nothing is committed for."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any, Literal

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from libs.common.clock import Clock, epoch_ms
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.topics import TOPIC_BY_NAME, TopicName
from libs.common.errors import InvalidMessageError
from libs.common.messaging.deadlines import deadline
from libs.common.messaging.kafka import CALL_DEADLINE_S, Kafka
from libs.common.messaging.polling import PartitionPoller
from libs.common.messaging.publisher import Publisher
from libs.common.messaging.records import RawRecord
from libs.common.observability import metrics

Observer = Callable[[Envelope[Any]], Awaitable[None]]
Start = Literal["beginning", "end"] | timedelta
Starts = Start | Mapping[TopicName, Start]
"""Where all topics start, or each of them."""

_log = structlog.get_logger(__name__)


class TopicReader:
    """Hands every event of some topics to observers; after a reconnection it continues where it was.

    Args:
        kafka: The cluster.
        component: Named on dead letters.
        publisher: Takes the dead letters.
        topics: What to read.
        observers: What to do with each event type; other types are passed over.
        start: "beginning", "end", or how far back in time.
        conflate: Of market data keep only the latest event of each type and key within a batch.
        clock: Tells how far back "how far back" is.
    """

    def __init__(
        self,
        kafka: Kafka,
        *,
        component: str,
        publisher: Publisher,
        topics: Sequence[TopicName],
        observers: Mapping[type[Event], Observer],
        clock: Clock,
        start: Starts = "end",
        conflate: bool = False,
    ) -> None:
        self._component = component
        self._publisher = publisher
        self._observers = observers
        self._starts = start if isinstance(start, Mapping) else dict.fromkeys(topics, start)
        self._conflate = conflate
        self._clock = clock
        self._next: dict[tuple[TopicName, int], int] = {}
        self._kafka = kafka
        self._poller = PartitionPoller(kafka, topics=topics, seek=self._seek, clock=clock)
        self.caught_up = asyncio.Event()

    @property
    def lag(self) -> dict[str, int]:
        """Records still to read per topic."""
        return self._poller.lag

    async def answered(self) -> bool:
        """Readiness: the broker answered lately and everything that was there at the start has been read."""
        return self.caught_up.is_set() and self._poller.answered_lately(5.0)

    async def run(self) -> None:
        """Read, for ever."""
        async with aclosing(self._poller.batches()) as batches:
            async for records in batches:
                await self._observe(records)
                if self._poller.caught_up:
                    self.caught_up.set()

    async def _observe(self, records: Sequence[RawRecord]) -> None:
        for record, envelope in self._understood(records):
            await self._observers[type(envelope.event)](envelope)
            metrics.EVENT_AGE_SECONDS.labels(topic=record.topic).observe(
                max(0.0, (self._clock.now() - envelope.recorded_at).total_seconds())
            )
        for record in records:
            self._next[record.topic, record.partition] = record.offset + 1

    def _understood(self, records: Sequence[RawRecord]) -> list[tuple[RawRecord, Envelope[Event]]]:
        understood: dict[tuple[object, ...], tuple[RawRecord, Envelope[Event]]] = {}
        for record in records:
            try:
                envelope = record.decoded()
            except InvalidMessageError as error:
                metrics.MESSAGES_DEAD_LETTERED.labels(topic=record.topic).inc()
                _log.warning("Poison message", topic=record.topic, offset=record.offset, reason=str(error))
                self._publisher.publish(record.dead_letter(self._component, error, self._clock.now()))
                continue
            if type(envelope.event) not in self._observers:
                continue
            place: tuple[object, ...] = (record.topic, record.partition, record.offset)
            if self._conflate and TOPIC_BY_NAME[record.topic].market_data:
                place = (type(envelope.event), record.key)
                if understood.pop(place, None) is not None:
                    metrics.MESSAGES_CONFLATED.labels(topic=record.topic).inc()
            understood[place] = (record, envelope)
            metrics.MESSAGES_HANDLED.labels(topic=record.topic, type=type(envelope.event).__name__).inc()
        return list(understood.values())

    async def _seek(self, consumer: AIOKafkaConsumer) -> None:
        """Move to the start once, afterwards to where reading stopped, or to the beginning if that is gone."""
        partitions = sorted(consumer.assignment())
        ends = await self._kafka.end_offsets(consumer)
        beginnings = await deadline(consumer.beginning_offsets(partitions), CALL_DEADLINE_S, "Kafka offsets")
        starts = ends | await self._starts_by_time(consumer, partitions)
        for partition in partitions:
            topic = self._kafka.topic_name(partition.topic)
            start = beginnings[partition] if self._starts[topic] == "beginning" else starts[partition]
            place = (topic, partition.partition)
            # Kept even where nothing was read: what is written while we are disconnected must not be passed over.
            offset = self._next.setdefault(place, start)
            if not beginnings[partition] <= offset <= ends[partition]:
                offset = self._next[place] = beginnings[partition]
            consumer.seek(partition, offset)

    async def _starts_by_time(
        self, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """Return the first offset within its time of each partition that starts at a time and has any since."""
        now = self._clock.now()
        since_ms = {
            partition: epoch_ms(now - start)
            for partition in partitions
            if isinstance(start := self._starts[self._kafka.topic_name(partition.topic)], timedelta)
        }
        if not since_ms:
            return {}
        found = await deadline(consumer.offsets_for_times(since_ms), CALL_DEADLINE_S, "Kafka offsets")
        return {partition: place.offset for partition, place in found.items() if place is not None}
