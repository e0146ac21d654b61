"""What a store's client raises is told apart, and a client that cannot be closed holds nobody up."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaConnectionError

from libs.common.contracts.codec import encode
from libs.common.contracts.topics import TopicName
from libs.common.errors import DeadlineExceededError, RetryableError
from libs.common.messaging import kafka as kafka_module
from libs.common.messaging.cause import Cause, enclose
from libs.common.messaging.group import RETRY_S_MAX, GroupLoop, _Assignment
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.publisher import Publisher
from libs.common.storage.postgres import _is_open
from libs.common.storage.redis import RedisStore
from tests.support.events import AT
from tests.support.owners import an_alert
from tests.support.virtual_time import VirtualClock, run_in_virtual_time

KAFKA = Kafka("127.0.0.1:1", client_id="test")
PARTITION = TopicPartition(TopicName.ALERTS.value, 0)


class FailingConsumer:
    """Starts never, stops with an error, and answers nothing."""

    def __init__(self, **_: Any) -> None:
        self.stops = 0

    async def start(self) -> None:
        await asyncio.Event().wait()

    async def stop(self) -> None:
        self.stops += 1
        raise KafkaConnectionError

    def assignment(self) -> set[TopicPartition]:
        return {PARTITION}

    async def end_offsets(self, _: list[TopicPartition]) -> dict[TopicPartition, int]:
        raise KafkaConnectionError


class FailingProducer(FailingConsumer):
    """Is given up while it starts."""

    async def start(self) -> None:
        raise KafkaConnectionError


class LeftMember:
    """A consumer whose partitions went to another member while a record was handled."""

    async def getmany(self, **_: int) -> dict[TopicPartition, list[SimpleNamespace]]:
        wire = encode(enclose(an_alert("handled"), cause=Cause.none(), ordinal=0, now=AT))
        record = SimpleNamespace(
            topic=PARTITION.topic,
            partition=0,
            offset=0,
            key=b"main",
            value=wire.value,
            headers=wire.headers,
            timestamp=0,
        )
        return {PARTITION: [record]}

    async def commit(self, _: dict[TopicPartition, int]) -> None:
        raise CommitFailedError


class AbsentKafka:
    """A cluster that nobody reaches."""

    def __init__(self) -> None:
        self.asked_at_s: list[float] = []

    async def consumer(self, **_: Any) -> None:
        self.asked_at_s.append(asyncio.get_running_loop().time())
        raise RetryableError("away")


def a_loop(kafka: Any) -> GroupLoop:
    return GroupLoop(
        kafka,
        group="group",
        member="member",
        topics=[TopicName.ALERTS],
        handlers={},
        publisher=Publisher(KAFKA, clock=VirtualClock()),
        clock=VirtualClock(),
    )


def test_a_consumer_that_does_not_start_in_time_is_stopped(monkeypatch: pytest.MonkeyPatch):
    made: list[FailingConsumer] = []

    def make(**options: Any) -> FailingConsumer:
        made.append(FailingConsumer(**options))
        return made[-1]

    async def start() -> None:
        with pytest.raises(DeadlineExceededError):
            await KAFKA.consumer()

    monkeypatch.setattr(kafka_module, "AIOKafkaConsumer", make)

    run_in_virtual_time(start())

    assert [consumer.stops for consumer in made] == [1]


async def test_a_producer_that_does_not_start_is_stopped(monkeypatch: pytest.MonkeyPatch):
    producer = FailingProducer()
    monkeypatch.setattr(kafka_module, "AIOKafkaProducer", lambda **_: producer)
    record = encode(enclose(an_alert("sent"), cause=Cause.none(), ordinal=0, now=AT))

    with pytest.raises(RetryableError, match="Kafka send"):
        await KAFKA.producer().send([(record, None)])

    assert producer.stops == 1


async def test_ends_that_are_not_told_are_retryable():
    with pytest.raises(RetryableError, match="end offsets"):
        await KAFKA.end_offsets(FailingConsumer())


async def test_a_client_that_does_not_stop_cleanly_is_left():
    consumer = FailingConsumer()

    await KAFKA.stop(consumer)

    assert consumer.stops == 1


def test_a_member_joins_again_with_growing_pauses():
    kafka = AbsentKafka()

    async def a_minute() -> None:
        running = asyncio.create_task(a_loop(kafka).run())
        await asyncio.sleep(60)
        running.cancel()
        await asyncio.wait({running})

    run_in_virtual_time(a_minute())

    pauses = [later - earlier for earlier, later in zip(kafka.asked_at_s, kafka.asked_at_s[1:], strict=False)]
    assert pauses[0] < pauses[1] < RETRY_S_MAX
    assert pauses[-1] == pytest.approx(RETRY_S_MAX)


def test_a_commit_that_comes_too_late_is_the_next_members():
    async def turn() -> None:
        await a_loop(KAFKA)._turn(LeftMember(), _Assignment())

    run_in_virtual_time(turn())  # the other member handles the record again: its answers have the same ids


@pytest.mark.parametrize("failure", [ConnectionResetError, TimeoutError])
async def test_a_redis_client_that_does_not_close_is_left(failure: Callable[[], Exception]):
    async def aclose() -> None:
        raise failure()

    client: Any = SimpleNamespace(aclose=aclose)

    await RedisStore(client).close()


def test_a_connection_that_the_pool_took_back_is_not_open():
    def is_closed() -> bool:
        raise asyncpg.InterfaceError("released")

    connection: Any = SimpleNamespace(is_closed=is_closed)

    assert not _is_open(connection)
