"""How far a consumer is behind, learnt from the answers to its own fetches wherever these are recent.

Invariant: a lag that is returned rests on an answer of the broker within the last `FRESH_MS_MAX`.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from libs.common.clock import Clock, epoch_ms
from libs.common.contracts.topics import TopicName
from libs.common.errors import RetryableError
from libs.common.messaging.deadlines import deadline
from libs.common.messaging.kafka import CALL_DEADLINE_S, FETCH_WAIT_MS, Kafka
from libs.common.observability import metrics

LOOK_INTERVAL_S: Final = 1.0
SILENCE_S_MAX: Final = 5.0
FRESH_MS_MAX: Final = FETCH_WAIT_MS + 500
"""Every partition's end comes with every fetch, which the broker answers within its wait even if nothing is new."""


class LagWatch:
    """Looks at what is left to read, and at whether reading still works.

    Args:
        kafka: The cluster.
        topics: What is read.
        clock: Tells how old an answer is.
    """

    def __init__(self, kafka: Kafka, *, topics: Sequence[TopicName], clock: Clock) -> None:
        self._kafka = kafka
        self._topics = topics
        self._clock = clock
        self._lag: dict[TopicName, int] = {}
        self._answered_at_s: float | None = None
        self._records_at_s = clock.monotonic_s()

    @property
    def lag(self) -> dict[str, int]:
        """Records still to read per topic, as of the last look."""
        return {name.value: records for name, records in self._lag.items()}

    @property
    def caught_up(self) -> bool:
        """Whether the last look found nothing left to read."""
        return self.answered and not any(self._lag.values())

    @property
    def answered(self) -> bool:
        """Whether the broker has answered the present consumer."""
        return self._answered_at_s is not None

    def answered_lately(self, seconds: float) -> bool:
        """Return whether a look within the last `seconds` found that the broker answers."""
        return self._answered_at_s is not None and self._clock.monotonic_s() - self._answered_at_s <= seconds

    def begin(self) -> None:
        """A new consumer begins to read."""
        self._records_at_s = self._clock.monotonic_s()

    def read(self) -> None:
        """Records have come."""
        self._records_at_s = self._clock.monotonic_s()

    def forget(self) -> None:
        """The consumer is gone: that the broker answered it holds no longer."""
        self._answered_at_s = None

    async def look(self, consumer: AIOKafkaConsumer) -> None:
        """Find out what is left to read.

        Raises:
            RetryableError: The broker does not answer, or there are unread records and none has come for too long.
        """
        ends = self._fetched_ends(consumer)
        if ends is None:  # the first look, or a consumer that does not fetch: it waits for us, or it hangs
            ends = await self._kafka.end_offsets(consumer)
        positions = await deadline(_positions(consumer, ends), CALL_DEADLINE_S, "Kafka position")
        lag = dict.fromkeys(self._topics, 0)
        for partition, end in ends.items():
            lag[self._kafka.topic_name(partition.topic)] += max(0, end - positions[partition])
        self._lag = lag
        self._answered_at_s = self._clock.monotonic_s()
        for name, records in lag.items():
            metrics.CONSUMER_LAG.labels(topic=name).set(records)
        if any(lag.values()) and self._clock.monotonic_s() - self._records_at_s > SILENCE_S_MAX:
            raise RetryableError(
                f"Kafka consumer of {', '.join(self._topics)}: expected unread records within {SILENCE_S_MAX:g} s, "
                "found none"
            )

    def _fetched_ends(self, consumer: AIOKafkaConsumer) -> Mapping[TopicPartition, int] | None:
        """Return the end of every partition if each has been fetched lately."""
        now_ms = epoch_ms(self._clock.now())
        ends: dict[TopicPartition, int] = {}
        for partition in consumer.assignment():
            fetched_at_ms = consumer.last_poll_timestamp(partition)
            if fetched_at_ms is None or not 0 <= now_ms - fetched_at_ms <= FRESH_MS_MAX:
                return None
            ends[partition] = consumer.highwater(partition)
        return ends


async def _positions(consumer: AIOKafkaConsumer, partitions: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    return {partition: await consumer.position(partition) for partition in partitions}
