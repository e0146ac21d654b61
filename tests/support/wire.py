"""Topics of a test's own, written and read without the loops under test."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from libs.common.contracts.codec import WireRecord, encode
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.topics import TOPIC_BY_NAME, TopicName
from libs.common.messaging.cause import Cause, enclose
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.records import RawRecord
from tests.support.events import AT
from tests.support.eventually import eventually


async def create_topics(kafka: Kafka, *names: TopicName) -> None:
    """Create topics as the table has them and wait until they can be read; the others would only cost time."""
    async with _admin(kafka) as admin:
        await admin.create_topics(
            [NewTopic(kafka.wire_topic(name), TOPIC_BY_NAME[name].partitions, 1) for name in names]
        )

        async def led() -> bool:
            described = await admin.describe_topics([kafka.wire_topic(name) for name in names])
            return all(
                topic["error_code"] == 0 and all(partition["leader"] >= 0 for partition in topic["partitions"])
                for topic in described
            )

        await eventually(led, what="leaders of the new topics")


async def delete_topics(kafka: Kafka, *names: TopicName) -> None:
    """Delete topics and wait until they are gone."""
    async with _admin(kafka) as admin:
        wire = [kafka.wire_topic(name) for name in names]
        await admin.delete_topics(wire)

        async def gone() -> bool:
            return not set(wire) & set(await admin.list_topics())

        await eventually(gone, what="deleted topics to go")


async def truncate(kafka: Kafka, name: TopicName, *, before: int) -> None:
    """Delete the records of partition 0 below an offset."""
    async with _admin(kafka) as admin:
        await admin.delete_records({TopicPartition(kafka.wire_topic(name), 0): RecordsToDelete(before)})


async def write(kafka: Kafka, *events: Event) -> list[Envelope[Any]]:
    """Write facts with natural keys, as another service would, and return their envelopes."""
    envelopes = [enclose(event, cause=Cause.none(), ordinal=0, now=AT) for event in events]
    await write_records(kafka, [encode(envelope) for envelope in envelopes])
    return envelopes


async def write_records(kafka: Kafka, records: Iterable[WireRecord]) -> None:
    """Write records as they are, understandable or not."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, acks="all")
    await producer.start()
    try:
        for record in records:
            await producer.send_and_wait(
                kafka.wire_topic(record.topic),
                value=record.value,
                key=record.key.encode(),
                headers=list(record.headers),
            )
    finally:
        await producer.stop()


async def read(kafka: Kafka, name: TopicName) -> list[RawRecord]:
    """Return everything on a topic, in the order of its partitions."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = kafka.partitions([name])
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        records: list[RawRecord] = []
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            polled = await consumer.getmany(timeout_ms=200)
            records += [RawRecord.of(record, kafka) for batch in polled.values() for record in batch]
        return sorted(records, key=lambda record: (record.partition, record.offset))
    finally:
        await consumer.stop()


async def events_on(kafka: Kafka, name: TopicName) -> list[Envelope[Any]]:
    """Return every event on a topic."""
    return [record.decoded() for record in await read(kafka, name)]


async def events_arrive(kafka: Kafka, name: TopicName, count: int, *, seconds: float = 20.0) -> list[Envelope[Any]]:
    """Wait until at least so many events stand on a topic, known by their ids as readers know them, and return them."""

    async def enough() -> list[Envelope[Any]] | None:
        found: dict[uuid.UUID, Envelope[Any]] = {}
        for envelope in await events_on(kafka, name):
            found.setdefault(envelope.event_id, envelope)
        return [*found.values()] if len(found) >= count else None

    found = await eventually(enough, seconds=seconds, what=f"{count} events on {name}")
    return found or []


@asynccontextmanager
async def running(*work: Any) -> AsyncIterator[Sequence["asyncio.Task[None]"]]:
    """Run coroutines in the background and end them with the block; what they raised meanwhile fails the test."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in work]
    try:
        yield tasks
        for task in tasks:
            if task.done() and not task.cancelled():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _admin(kafka: Kafka) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await client.start()
    try:
        yield client
    finally:
        await client.close()
