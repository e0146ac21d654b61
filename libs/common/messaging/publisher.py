"""Publishing by processes that own no state: market data, heartbeats, logs, answers of groups.

The buffer is bounded: market data gives way to newer market data under pressure (counted), nothing else does.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from libs.common.clock import Clock
from libs.common.contracts.codec import WireRecord, encode
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.topics import TOPIC_BY_NAME
from libs.common.errors import RetryableError
from libs.common.messaging.cause import Cause, enclose
from libs.common.messaging.deadlines import deadline
from libs.common.messaging.kafka import Kafka
from libs.common.observability import metrics

BUFFER_RECORDS_MAX: Final = 20_000
BATCH_RECORDS_MAX: Final = 500
RETRY_S_MAX: Final = 1.0

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Pending:
    record: WireRecord
    written: "asyncio.Future[None] | None" = None


class Publisher:
    """Encloses events, buffers them and sends them in order; sends again until the broker has them."""

    def __init__(self, kafka: Kafka, *, clock: Clock, records_max: int = BUFFER_RECORDS_MAX) -> None:
        self._producer = kafka.producer()
        self._clock = clock
        self._records_max = records_max
        self._buffer: deque[_Pending] = deque()
        self._arrived = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()

    def publish(
        self, event: Event, *, cause: Cause | None = None, origin_at: datetime | None = None, ordinal: int = 0
    ) -> None:
        """Buffer an event; it will be sent in order.

        Args:
            event: What happened.
            cause: What it answers; None for facts with a natural key.
            origin_at: When the market data behind it reached us, if the cause does not say it.
            ordinal: Its place among the events of its type with the same cause.

        Raises:
            RetryableError: The buffer is full and the event must not be dropped.
        """
        self._enqueue(self._enclose(event, cause or Cause.none(), origin_at, ordinal))

    async def send(
        self, event: Event, *, cause: Cause | None = None, ordinal: int = 0, deadline_s: float = 10.0
    ) -> None:
        """Publish an event and wait until the broker has it.

        Raises:
            RetryableError: The buffer is full, or the broker did not take it in time; it may still be sent later.
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._enqueue(self._enclose(event, cause or Cause.none(), None, ordinal), written)
        await deadline(written, deadline_s, "publishing to Kafka")

    async def flush(self, deadline_s: float) -> None:
        """Wait until everything buffered is written.

        Raises:
            DeadlineExceededError: It was not in time.
        """
        await deadline(self._drained.wait(), deadline_s, "flushing the publisher")

    async def run(self) -> None:
        """Send what is buffered, for ever."""
        retry_s = 0.05
        try:
            while True:
                await self._arrived.wait()
                batch = [self._buffer[index] for index in range(min(len(self._buffer), BATCH_RECORDS_MAX))]
                try:
                    await self._producer.send([(pending.record, None) for pending in batch])
                except RetryableError as error:
                    _log.warning("Kafka did not take a batch; sending it again", records=len(batch), error=str(error))
                    await asyncio.sleep(retry_s)
                    retry_s = min(2 * retry_s, RETRY_S_MAX)
                    continue
                retry_s = 0.05
                self._written(batch)
        finally:
            await self._producer.close()

    def _written(self, batch: list[_Pending]) -> None:
        sent = {id(pending) for pending in batch}
        while self._buffer and id(self._buffer[0]) in sent:
            self._buffer.popleft()
        for pending in batch:
            if pending.written is not None and not pending.written.done():
                pending.written.set_result(None)
        if not self._buffer:
            self._arrived.clear()
            self._drained.set()

    def _enclose(self, event: Event, cause: Cause, origin_at: datetime | None, ordinal: int) -> Envelope[Event]:
        if origin_at is not None:
            cause = Cause(cause.event_id, cause.correlation_id, cause.traceparent, origin_at)
        return enclose(event, cause=cause, ordinal=ordinal, now=self._clock.now())

    def _enqueue(self, envelope: Envelope[Event], written: "asyncio.Future[None] | None" = None) -> None:
        record = encode(envelope)
        if len(self._buffer) >= self._records_max:
            self._make_room(record)
        self._buffer.append(_Pending(record, written))
        self._drained.clear()
        self._arrived.set()

    def _make_room(self, record: WireRecord) -> None:
        """Drop the oldest market data that is not being sent at this moment, or refuse."""
        for index in range(BATCH_RECORDS_MAX, len(self._buffer)):
            topic = TOPIC_BY_NAME[self._buffer[index].record.topic]
            if topic.market_data:
                del self._buffer[index]
                metrics.MESSAGES_CONFLATED.labels(topic=topic.name).inc()
                return
        raise RetryableError(
            f"publishing to {record.topic}: expected room among {self._records_max} buffered records, found none"
        )
