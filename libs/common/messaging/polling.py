"""One consumer that reads by hand-assigned partitions, survives a silent broker and knows how far behind it is.

It never commits: who uses it decides where to continue.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from libs.common.clock import Clock
from libs.common.contracts.topics import TopicName
from libs.common.errors import RetryableError
from libs.common.messaging.deadlines import deadline
from libs.common.messaging.kafka import CALL_DEADLINE_S, POLL_MS, Kafka
from libs.common.messaging.records import RawRecord
from libs.common.observability import metrics

RECORDS_PER_POLL_MAX: Final = 500
SILENCE_S_MAX: Final = 5.0
LAG_INTERVAL_S: Final = 1.0
RETRY_S_MAX: Final = 2.0

Seek = Callable[[AIOKafkaConsumer], Awaitable[None]]
"""Moves a newly built consumer to where reading continues."""

_log = structlog.get_logger(__name__)


class PartitionPoller:
    """Yields batches of records; rebuilds its consumer when it errs or stays silent before unread data."""

    def __init__(
        self, kafka: Kafka, *, topics: Sequence[TopicName], seek: Seek, clock: Clock, fetch_bytes_min: int = 1
    ) -> None:
        self._kafka = kafka
        self._fetch_bytes_min = fetch_bytes_min
        self._topics = topics
        self._seek = seek
        self._clock = clock
        self._lag: dict[TopicName, int] = {}
        self._answered_at_s: float | None = None
        self._records_at_s = clock.monotonic_s()

    @property
    def lag(self) -> dict[str, int]:
        """Records still to read per topic, as of the last look at the ends."""
        return {name.value: records for name, records in self._lag.items()}

    @property
    def caught_up(self) -> bool:
        """Whether the last look at the ends found nothing left to read."""
        return self._answered_at_s is not None and not any(self._lag.values())

    def answered_lately(self, seconds: float) -> bool:
        """Return whether the broker answered a round trip within the last `seconds`."""
        return self._answered_at_s is not None and self._clock.monotonic_s() - self._answered_at_s <= seconds

    async def batches(self) -> AsyncGenerator[Sequence[RawRecord], None]:
        """Yield batches for ever, empty ones included: they let the caller notice time passing."""
        retry_s = 0.1
        while True:
            consumer: AIOKafkaConsumer | None = None
            watch: asyncio.Task[None] | None = None
            try:
                consumer = await self._kafka.consumer(fetch_bytes_min=self._fetch_bytes_min)
                consumer.assign(self._kafka.partitions(self._topics))
                await self._seek(consumer)
                self._records_at_s = self._clock.monotonic_s()
                watch = asyncio.create_task(self._watch(consumer))
                while not watch.done():
                    yield await self._poll(consumer)
                    retry_s = 0.1
                watch.result()
            except (KafkaError, RetryableError) as error:
                metrics.CONSUMERS_REBUILT.inc()
                _log.warning("Rebuilding a consumer", topics=[str(topic) for topic in self._topics], error=str(error))
                yield ()  # the caller is alive although the broker is not
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, RETRY_S_MAX)
            finally:
                if watch is not None:
                    watch.cancel()
                if consumer is not None:
                    await self._kafka.stop(consumer)

    async def _poll(self, consumer: AIOKafkaConsumer) -> Sequence[RawRecord]:
        polled = await deadline(
            consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_PER_POLL_MAX),
            CALL_DEADLINE_S + POLL_MS / 1_000,
            "Kafka poll",
        )
        records = [RawRecord.of(record, self._kafka) for batch in polled.values() for record in batch]
        if records:
            self._records_at_s = self._clock.monotonic_s()
        return records

    async def _watch(self, consumer: AIOKafkaConsumer) -> None:
        """Look at the ends once a second; raise when data is there and none arrives."""
        while True:
            ends = await self._kafka.end_offsets(consumer)
            lag: dict[TopicName, int] = dict.fromkeys(self._topics, 0)
            for partition, end in ends.items():
                position = await deadline(consumer.position(partition), CALL_DEADLINE_S, "Kafka position")
                lag[self._kafka.topic_name(partition.topic)] += max(0, end - position)
            self._lag = lag
            self._answered_at_s = self._clock.monotonic_s()
            for name, records in lag.items():
                metrics.CONSUMER_LAG.labels(topic=name).set(records)
            silent_s = self._clock.monotonic_s() - self._records_at_s
            if any(lag.values()) and silent_s > SILENCE_S_MAX:
                message = f"Kafka consumer: expected unread records within {SILENCE_S_MAX:g} s, found none"
                raise RetryableError(message)
            await asyncio.sleep(LAG_INTERVAL_S)
