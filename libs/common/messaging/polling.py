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
from libs.common.messaging.lag import LOOK_INTERVAL_S, LagWatch
from libs.common.messaging.records import RawRecord
from libs.common.observability import metrics

RECORDS_PER_POLL_MAX: Final = 500
CATCH_UP_POLL_MS: Final = 100
"""Whoever waits for us to have caught up shall not wait for a whole poll besides."""
RETRY_S_MAX: Final = 1.0

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
        self._watched = LagWatch(kafka, topics=topics, clock=clock)

    @property
    def lag(self) -> dict[str, int]:
        """Records still to read per topic, as of the last look at the ends."""
        return self._watched.lag

    @property
    def caught_up(self) -> bool:
        """Whether the last look at the ends found nothing left to read."""
        return self._watched.caught_up

    def answered_lately(self, seconds: float) -> bool:
        """Return whether the broker answered a round trip within the last `seconds`."""
        return self._watched.answered_lately(seconds)

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
                self._watched.begin()
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
        wait_ms = POLL_MS if self.caught_up else CATCH_UP_POLL_MS
        polled = await deadline(
            consumer.getmany(timeout_ms=wait_ms, max_records=RECORDS_PER_POLL_MAX),
            CALL_DEADLINE_S + wait_ms / 1_000,
            "Kafka poll",
        )
        records = [RawRecord.of(record, self._kafka) for batch in polled.values() for record in batch]
        if records:
            self._watched.read()
        return records

    async def _watch(self, consumer: AIOKafkaConsumer) -> None:
        """Look at what is left to read, for ever; raise when the broker is silent, or data is there and none comes."""
        while True:
            await self._watched.look(consumer)
            await asyncio.sleep(LOOK_INTERVAL_S)
