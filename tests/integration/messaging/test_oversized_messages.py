"""A message of ten megabytes is refused where it is made, and passed by where it arrives all the same.

It can arrive: packed it is small enough for the broker, and a broker may have other settings than ours.
"""

import tracemalloc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from libs.common.contracts.codec import VALUE_BYTES_MAX, encode
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import AlertRaised, LogRecorded, MessageDeadLettered
from libs.common.contracts.topics import TopicName
from libs.common.messaging.batch_owner import BATCH_BYTES_MAX, BatchOwner
from libs.common.messaging.cause import Cause, enclose
from libs.common.messaging.group import GroupLoop
from libs.common.messaging.kafka import VALUE_BYTES_KEPT_MAX, Kafka
from libs.common.messaging.outbox import OutboxRelay
from libs.common.messaging.ownership import Ownership
from libs.common.messaging.positions import Position, Positions
from libs.common.messaging.publisher import Publisher
from libs.common.messaging.reader import TopicReader
from libs.common.messaging.records import RawRecord
from tests.support.events import AT
from tests.support.eventually import eventually
from tests.support.owners import CLOCK, ROLE, Installation, Tally, a_fill, an_alert
from tests.support.wire import create_topics, events_arrive, events_on, running, write

TEN_MEGABYTES: Final = 10_000_000
BOMBS: Final = 12
MEMORY_BYTES_MAX: Final = 64_000_000
"""A few of the messages at a time, and never all of them."""


@pytest.fixture
async def topics(cluster: Kafka) -> Kafka:
    await create_topics(cluster, TopicName.ALERTS, TopicName.DEAD_LETTERS)
    return cluster


def a_log_line(characters: int) -> LogRecorded:
    return LogRecorded(
        occurred_at=AT,
        component="risk_manager",
        instance="host:1",
        sequence=1,
        level="INFO",
        message="large",
        fields={"content": "x" * characters},
        started_at=AT,
    )


async def test_our_producer_refuses_ten_megabytes_and_goes_on(topics: Kafka) -> None:
    publisher = Publisher(topics, clock=CLOCK)
    async with running(publisher.run()):
        with pytest.raises(ValueError, match=f"LogRecorded: expected at most {VALUE_BYTES_MAX} bytes, found 1000"):
            publisher.publish(a_log_line(TEN_MEGABYTES))
        await publisher.send(an_alert("small"))

    (found,) = await events_on(topics, TopicName.ALERTS)
    assert found.event.subject == "small"


async def test_an_owner_puts_ten_megabytes_aside_and_moves_on(installation: Installation) -> None:
    await write_large(installation.kafka, a_fill(1), compression="lz4")
    await write(installation.kafka, a_fill(2))

    async with installation.owner() as owner, running(owner.run()):
        (letter,) = await events_arrive(installation.kafka, TopicName.DEAD_LETTERS, 1)
        await eventually(partial(_continues_at, installation, 2))

    assert_tells_of_it(letter)
    assert await installation.tally() == 1


@pytest.mark.parametrize("compression", ["lz4", None])
async def test_a_group_puts_ten_megabytes_aside_and_moves_on(topics: Kafka, compression: str | None) -> None:
    await take_records_of(topics, TopicName.ALERTS, bytes_max=2 * TEN_MEGABYTES)
    await write_large(topics, an_alert("large"), compression=compression)
    await write(topics, an_alert("small"))
    subjects: list[str] = []

    async def handle(envelope: Envelope[AlertRaised]) -> Sequence[Event]:
        subjects.append(envelope.event.subject)
        return ()

    publisher = Publisher(topics, clock=CLOCK)
    loop = GroupLoop(
        topics,
        group=f"{topics.topic_prefix}readers",
        member="a",
        topics=(TopicName.ALERTS,),
        handlers={AlertRaised: handle},
        publisher=publisher,
        clock=CLOCK,
    )
    async with running(publisher.run(), loop.run()):
        (letter,) = await events_arrive(topics, TopicName.DEAD_LETTERS, 1)
        await eventually(partial(_are, subjects, "small"))

    assert_tells_of_it(letter)


async def test_a_reader_passes_many_by_within_its_memory(topics: Kafka) -> None:
    await write_large(topics, *(an_alert(f"large {number}") for number in range(BOMBS)), compression="lz4")
    await write(topics, an_alert("small"))
    subjects: list[str] = []

    async def observe(envelope: Envelope[AlertRaised]) -> None:
        subjects.append(envelope.event.subject)

    publisher = Publisher(topics, clock=CLOCK)
    reader = TopicReader(
        topics,
        component="reader",
        publisher=publisher,
        topics=(TopicName.ALERTS,),
        observers={AlertRaised: observe},
        clock=CLOCK,
        start="beginning",
    )
    tracemalloc.start()
    try:
        async with running(publisher.run(), reader.run()):
            letters = await events_arrive(topics, TopicName.DEAD_LETTERS, BOMBS)
            await eventually(partial(_are, subjects, "small"))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert [letter.event.offset for letter in letters] == [*range(BOMBS)]
    assert peak_bytes < MEMORY_BYTES_MAX


async def test_a_recorder_keeps_the_beginning_and_moves_on(installation: Installation) -> None:
    seen: list[RawRecord] = []
    batches: list[int] = []

    async def record(records: Sequence[RawRecord], _: Tally) -> Positions:
        seen.extend(records)
        batches.append(sum(len(record.value) for record in records))
        return {(record.topic, record.partition): Position(record.offset + 1, "") for record in records}

    largest = [encode(enclose(a_log_line(VALUE_BYTES_MAX - 1_000), cause=Cause.none(), ordinal=0, now=AT))] * 9
    await write_values(installation.kafka, TopicName.FILLS, [wire.value for wire in largest], compression="lz4")
    await write_large(installation.kafka, a_fill(1), compression="lz4")
    async with _recorder(installation, record) as recorder, running(recorder.run()):
        await eventually(partial(_continues_at, installation, 10))

    assert (len(seen[9].value), seen[9].value_bytes > TEN_MEGABYTES) == (VALUE_BYTES_KEPT_MAX, True)
    assert max(batches) <= BATCH_BYTES_MAX


def assert_tells_of_it(letter: Envelope[Any]) -> None:
    event = letter.event
    assert isinstance(event, MessageDeadLettered)
    assert (event.offset, event.reason) == (0, "oversized message")
    assert event.value_bytes > TEN_MEGABYTES
    assert event.detail.startswith(f"oversized message: expected at most {VALUE_BYTES_MAX} bytes, found 1000")


async def write_large(kafka: Kafka, *events: Event, compression: str | None) -> None:
    """Write events as another program would, with ten megabytes behind them that JSON passes over."""
    for event in events:
        wire = encode(enclose(event, cause=Cause.none(), ordinal=0, now=AT))
        await write_values(
            kafka, wire.topic, [wire.value + b" " * TEN_MEGABYTES], compression=compression, headers=wire.headers
        )


async def write_values(
    kafka: Kafka,
    topic: TopicName,
    values: Sequence[bytes],
    *,
    compression: str | None,
    headers: Sequence[tuple[str, bytes]] = (),
) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers,
        compression_type=compression,
        max_request_size=2 * TEN_MEGABYTES,
    )
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(kafka.wire_topic(topic), value=value, key=b"main", headers=list(headers))
    finally:
        await producer.stop()


async def take_records_of(kafka: Kafka, topic: TopicName, *, bytes_max: int) -> None:
    """Have the broker take larger records than ours does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        setting = {"max.message.bytes": str(bytes_max)}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, kafka.wire_topic(topic), configs=setting)])
    finally:
        await admin.close()


@asynccontextmanager
async def _recorder(installation: Installation, handle: Any) -> AsyncIterator[BatchOwner[Tally]]:
    database = await installation.connect("one")
    yield BatchOwner(
        handle=handle,
        database=database,
        ownership=Ownership(dsn=installation.dsn, role=ROLE, holder="one", clock=CLOCK),
        relay=OutboxRelay(database=database, producer=installation.kafka.producer()),
        kafka=installation.kafka,
        role=ROLE,
        topics=(TopicName.FILLS,),
        bind=Tally,
        clock=CLOCK,
    )
    await database.close()


async def _continues_at(installation: Installation, offset: int) -> bool:
    return await installation.next_offset() == offset


async def _are(found: Sequence[str], *expected: str) -> bool:
    return found == [*expected]
