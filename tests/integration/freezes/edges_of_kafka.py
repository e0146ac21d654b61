"""Kafka, through `libs/common/messaging`."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from aiokafka import AIOKafkaConsumer, TopicPartition

from libs.common.contracts.codec import encode
from libs.common.contracts.events import AlertRaised
from libs.common.contracts.topics import TopicName
from libs.common.messaging.administration import APPLY_DEADLINE_S, apply_topics
from libs.common.messaging.cause import Cause, enclose
from libs.common.messaging.group import GroupLoop, _Assignment
from libs.common.messaging.kafka import CALL_DEADLINE_S, POLL_MS, START_DEADLINE_S, STOP_DEADLINE_S, Kafka
from libs.common.messaging.lag import LagWatch
from libs.common.messaging.polling import PartitionPoller
from libs.common.messaging.publisher import Publisher
from libs.common.messaging.reader import TopicReader
from tests.integration.freezes.edges import Call, Client, Edge
from tests.support.events import AT
from tests.support.owners import an_alert
from tests.support.virtual_time import VirtualClock
from tests.support.wire import running

PUBLISHED_S = 10.0
OPENING_S = START_DEADLINE_S + STOP_DEADLINE_S


def cluster(url: str) -> Kafka:
    """Return the cluster of a URL, whose path is the prefix of its topics."""
    parts = urlsplit(url)
    return Kafka(f"127.0.0.1:{parts.port}", client_id="test", topic_prefix=parts.path.removeprefix("/"))


@asynccontextmanager
async def _producer(url: str) -> AsyncIterator[Client]:
    producer = cluster(url).producer()
    record = encode(enclose(an_alert("sent"), cause=Cause.none(), ordinal=0, now=AT))

    async def call() -> bool:
        await producer.send([(record, None)])
        return True

    try:
        yield Client(call)
    finally:
        await producer.close()


@asynccontextmanager
async def _publisher(url: str) -> AsyncIterator[Client]:
    publisher = Publisher(cluster(url), clock=VirtualClock())

    async def call() -> bool:
        await publisher.send(an_alert("sent"))
        return True

    async with running(publisher.run()):
        yield Client(call)


def _consumer(calling: Callable[[Kafka, AIOKafkaConsumer], Call]) -> Any:
    @asynccontextmanager
    async def client(url: str) -> AsyncIterator[Client]:
        kafka = cluster(url)
        consumer = await kafka.consumer()
        try:
            consumer.assign(kafka.partitions([TopicName.ALERTS]))
            await consumer.seek_to_end()
            yield Client(calling(kafka, consumer), before=lambda: kafka.end_offsets(consumer))
        finally:
            await kafka.stop(consumer)

    return client


class _OneRecord:
    """A member's consumer that has polled already; what it commits goes to the broker."""

    def __init__(self, consumer: AIOKafkaConsumer, partition: TopicPartition) -> None:
        self.commit = consumer.commit
        self._polled = {partition: [_record(partition)]}

    async def getmany(self, **_: int) -> Any:
        return self._polled


def _record(partition: TopicPartition) -> SimpleNamespace:
    wire = encode(enclose(an_alert("sent"), cause=Cause.none(), ordinal=0, now=AT))
    return SimpleNamespace(
        topic=partition.topic,
        partition=partition.partition,
        offset=0,
        key=b"main",
        value=wire.value,
        headers=wire.headers,
        timestamp=0,
    )


@asynccontextmanager
async def _member(url: str) -> AsyncIterator[Client]:
    """A turn of a member of a group, which ends with a commit."""
    kafka = cluster(url)
    publisher = Publisher(kafka, clock=VirtualClock())
    loop = GroupLoop(
        kafka,
        group=f"{kafka.topic_prefix}group",
        member="test",
        topics=[TopicName.ALERTS],
        handlers={},
        publisher=publisher,
        clock=VirtualClock(),
    )
    consumer = await kafka.consumer(group=f"{kafka.topic_prefix}group", instance="test")
    try:
        (partition,) = kafka.partitions([TopicName.ALERTS])
        consumer.assign([partition])

        async def call() -> bool:
            await loop._turn(_OneRecord(consumer, partition), _Assignment())
            return True

        yield Client(call)
    finally:
        await kafka.stop(consumer)


def _ends(kafka: Kafka, consumer: AIOKafkaConsumer) -> Call:
    return lambda: kafka.end_offsets(consumer)


def _look(kafka: Kafka, consumer: AIOKafkaConsumer) -> Call:
    watch = LagWatch(kafka, topics=[TopicName.ALERTS], clock=VirtualClock())

    async def call() -> bool:
        await watch.look(consumer)
        return True

    return call


def _poll(kafka: Kafka, consumer: AIOKafkaConsumer) -> Call:
    async def seek(_: AIOKafkaConsumer) -> None:
        """It has sought."""

    poller = PartitionPoller(kafka, topics=[TopicName.ALERTS], seek=seek, clock=VirtualClock())
    return lambda: poller._poll(consumer)


@asynccontextmanager
async def _ping(url: str) -> AsyncIterator[Client]:
    yield Client(cluster(url).ping)


def _beginnings(kafka: Kafka, consumer: AIOKafkaConsumer) -> Call:
    async def observe(_: object) -> None:
        """Take no note of it."""

    reader = TopicReader(
        kafka,
        component="test",
        publisher=Publisher(kafka, clock=VirtualClock()),
        topics=[TopicName.ALERTS],
        observers={AlertRaised: observe},
        clock=VirtualClock(),
        start="beginning",
    )

    async def call() -> bool:
        await reader._seek(consumer)
        return True

    return call


@asynccontextmanager
async def _topics(url: str) -> AsyncIterator[Client]:
    kafka = cluster(url)
    yield Client(lambda: apply_topics(kafka), before=kafka.ping)


EDGES = (
    Edge("sending", "kafka", _producer, CALL_DEADLINE_S),
    Edge("publishing", "kafka", _publisher, PUBLISHED_S),
    Edge("reading the ends", "kafka", _consumer(_ends), CALL_DEADLINE_S, OPENING_S),
    Edge("looking at the lag", "kafka", _consumer(_look), 2 * CALL_DEADLINE_S, OPENING_S),
    Edge("seeking", "kafka", _consumer(_beginnings), CALL_DEADLINE_S, OPENING_S),
    Edge("making the topics", "kafka", _topics, APPLY_DEADLINE_S + STOP_DEADLINE_S),
    Edge("polling", "kafka", _consumer(_poll), CALL_DEADLINE_S + POLL_MS / 1_000, OPENING_S),
    Edge("committing", "kafka", _member, CALL_DEADLINE_S, OPENING_S),
    Edge("set-up's question", "kafka", _ping, START_DEADLINE_S + CALL_DEADLINE_S + STOP_DEADLINE_S),
)
