"""The Kafka cluster: producers and consumers with the settings that lose nothing and the deadlines that never hang.

aiokafka's defaults lose data and wait for ever; every setting here that differs from them has its reason.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from libs.common.contracts.codec import VALUE_BYTES_MAX, WireRecord
from libs.common.contracts.topics import TOPIC_BY_NAME, TopicName
from libs.common.errors import RetryableError
from libs.common.messaging.deadlines import deadline
from libs.common.messaging.login import KafkaLogin
from libs.common.observability import metrics

CALL_DEADLINE_S: Final = 5.0
START_DEADLINE_S: Final = 10.0
STOP_DEADLINE_S: Final = 2.0
POLL_MS: Final = 1_000
FETCH_WAIT_MS: Final = 1_000
"""The broker answers a fetch so late when there is nothing, and at once when there is something."""
BATCH_WAIT_MS: Final = 500
"""The same for who waits for larger batches: so late are they at most."""
FETCHER_PERIOD_MS: Final = 1_000
"""aiokafka turns so often without a reason; seeking, fetched and consumed records wake it at once."""
GROUP_SESSION_MS: Final = 6_000
GROUP_HEARTBEAT_MS: Final = 2_000
"""A third of the session: two may be lost."""

VALUE_BYTES_KEPT_MAX: Final = 65_536
"""So much is kept of a value that is too large to be a message of ours."""

_log = structlog.get_logger(__name__)


class CutValue(bytes):
    """The beginning of a value that is larger than any message of ours; never decoded.

    A packed batch can hold values far beyond what the broker would take of each: they are not carried around.
    """

    bytes_cut: int

    @classmethod
    def of(cls, value: bytes) -> "CutValue":
        """Return the beginning of a value, and how much of it is left out."""
        cut = cls(value[:VALUE_BYTES_KEPT_MAX])
        cut.bytes_cut = len(value) - len(cut)
        return cut


def _kept(value: bytes | None) -> bytes | None:
    return CutValue.of(value) if value is not None and len(value) > VALUE_BYTES_MAX else value


@dataclass(frozen=True, slots=True)
class Kafka:
    """A cluster, who we are there if it asks, and the prefix under which this installation's topics stand on it."""

    bootstrap_servers: str
    client_id: str
    topic_prefix: str = ""
    login: KafkaLogin | None = None

    @property
    def connection(self) -> dict[str, Any]:
        """Return what every client needs to connect."""
        login = self.login.options() if self.login is not None else {}
        return {"bootstrap_servers": self.bootstrap_servers, "client_id": self.client_id, **login}

    def wire_topic(self, name: TopicName) -> str:
        """Return a topic's name on the cluster."""
        return self.topic_prefix + name.value

    def topic_name(self, wire_topic: str) -> TopicName:
        """Return the topic behind a name on the cluster."""
        return TopicName(wire_topic.removeprefix(self.topic_prefix))

    def partitions(self, names: Sequence[TopicName]) -> list[TopicPartition]:
        """Return every partition of the topics, from the topics table."""
        return [
            TopicPartition(self.wire_topic(name), partition)
            for name in names
            for partition in range(TOPIC_BY_NAME[name].partitions)
        ]

    def producer(self) -> "Producer":
        """Return a producer, not started yet."""
        return Producer(self)

    async def consumer(
        self, *, group: str | None = None, instance: str | None = None, fetch_bytes_min: int = 1
    ) -> AIOKafkaConsumer:
        """Return a started consumer that commits nothing by itself.

        Args:
            group: The consumer group; None: partitions are assigned by hand.
            instance: The static member id, so that a restart within the session needs no rebalance.
            fetch_bytes_min: The broker answers once it has so much, or after `BATCH_WAIT_MS`: larger batches, later.

        Raises:
            RetryableError: The cluster cannot be reached.
        """
        consumer = AIOKafkaConsumer(
            **self.connection,
            group_id=group,
            group_instance_id=instance,
            enable_auto_commit=False,
            # Who seeks by hand must learn that its place is gone, not be moved to another one in silence.
            auto_offset_reset="earliest" if group else "none",
            isolation_level="read_committed",
            request_timeout_ms=int(CALL_DEADLINE_S * 1_000),
            session_timeout_ms=GROUP_SESSION_MS,
            heartbeat_interval_ms=GROUP_HEARTBEAT_MS,
            max_poll_interval_ms=60_000,
            fetch_max_wait_ms=FETCH_WAIT_MS if fetch_bytes_min == 1 else BATCH_WAIT_MS,
            fetch_min_bytes=fetch_bytes_min,
            consumer_timeout_ms=FETCHER_PERIOD_MS,
            retry_backoff_ms=100,
            metadata_max_age_ms=30_000,
            value_deserializer=_kept,
        )
        try:
            await deadline(consumer.start(), START_DEADLINE_S, "Kafka consumer start")
        except (KafkaError, OSError) as error:
            await self.stop(consumer)
            raise RetryableError(
                f"Kafka at {self.bootstrap_servers}: expected a connection, found {error!r}"
            ) from error
        except BaseException:
            await self.stop(consumer)
            raise
        return consumer

    async def end_offsets(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        """Return the end of every assigned partition: a round trip that proves the broker answers.

        Raises:
            RetryableError: It does not.
        """
        try:
            ends: dict[TopicPartition, int] = await deadline(
                consumer.end_offsets(list(consumer.assignment())), CALL_DEADLINE_S, "Kafka end offsets"
            )
        except KafkaError as error:
            raise RetryableError(f"Kafka end offsets: expected an answer, found {error!r}") from error
        return ends

    async def ping(self) -> bool:
        """Return whether the cluster answers a metadata request of a new connection."""
        admin = AIOKafkaAdminClient(**self.connection, request_timeout_ms=2_000)
        try:
            await deadline(admin.start(), START_DEADLINE_S, "Kafka admin start")
            await deadline(admin.describe_cluster(), CALL_DEADLINE_S, "Kafka describe cluster")
        except (KafkaError, OSError, RetryableError):
            return False
        finally:
            await self.stop(admin)
        return True

    @staticmethod
    async def stop(client: Any) -> None:
        """Stop a client if it lets itself be stopped in time; a frozen broker must not keep us here."""
        closing = client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop()
        try:
            await deadline(closing, STOP_DEADLINE_S, "Kafka client stop")
        except (KafkaError, OSError, RetryableError) as error:
            _log.debug("A Kafka client did not stop cleanly", error=repr(error))


class Producer:
    """Sends records in order and waits for the broker; renewed whenever it fails, because a stuck one stays stuck.

    An error means that the records may or may not be written: the caller sends them again, readers know them by id.
    """

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._client: AIOKafkaProducer | None = None

    async def send(self, records: Sequence[tuple[WireRecord, int | None]]) -> None:
        """Send records, each with its partition or None for the partition of its key; return once all are written.

        Raises:
            RetryableError: Not all of them were acknowledged in time.
        """
        try:
            await deadline(self._send(records), CALL_DEADLINE_S, "Kafka send")
        except (KafkaError, OSError, RetryableError) as error:
            await self.close(wait=False)
            if isinstance(error, RetryableError):
                raise
            raise RetryableError(f"Kafka send: expected an acknowledgement, found {error!r}") from error
        for record, _ in records:
            metrics.MESSAGES_PUBLISHED.labels(topic=record.topic).inc()

    async def _send(self, records: Sequence[tuple[WireRecord, int | None]]) -> None:
        client = self._client or await self._start()
        pending = [
            await client.send(
                self._kafka.wire_topic(record.topic),
                value=record.value,
                key=record.key.encode(),
                partition=partition,
                headers=list(record.headers),
            )
            for record, partition in records
        ]
        await asyncio.gather(*pending)

    async def _start(self) -> AIOKafkaProducer:
        client = AIOKafkaProducer(
            **self._kafka.connection,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            compression_type="lz4",
            request_timeout_ms=int(CALL_DEADLINE_S * 1_000),
            retry_backoff_ms=50,
            metadata_max_age_ms=30_000,
        )
        try:
            await client.start()
        except BaseException:
            await self._kafka.stop(client)
            raise
        self._client = client
        return client

    async def close(self, *, wait: bool = True) -> None:
        """Let go of the connection; a failed one is stopped in the background."""
        client, self._client = self._client, None
        if client is None:
            return
        if wait:
            await self._kafka.stop(client)
        else:
            task = asyncio.ensure_future(self._kafka.stop(client))
            _background.add(task)
            task.add_done_callback(_background.discard)


_background: set["asyncio.Future[None]"] = set()
"""asyncio keeps only weak references to tasks."""
