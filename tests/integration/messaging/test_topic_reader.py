"""A reader hands over what its topics hold from its start on, and nothing is passed over after a reconnection."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError

from libs.common.clock import epoch_ms
from libs.common.contracts.codec import WireRecord, encode
from libs.common.contracts.event import Envelope
from libs.common.contracts.events import AlertRaised, MarketStatusChanged
from libs.common.contracts.topics import TopicName
from libs.common.messaging.cause import Cause, enclose
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.publisher import Publisher
from libs.common.messaging.reader import Start, Starts, TopicReader
from libs.common.observability import metrics
from tests.support.eventually import eventually
from tests.support.owners import CLOCK, an_alert
from tests.support.wire import create_topics, delete_topics, events_arrive, running, write, write_records


@dataclass
class Seen:
    """What a reader handed over."""

    reader: TopicReader
    subjects: list[str] = field(default_factory=list)

    async def observe(self, envelope: Envelope[AlertRaised]) -> None:
        self.subjects.append(envelope.event.subject)

    async def observe_status(self, envelope: Envelope[MarketStatusChanged]) -> None:
        self.subjects.append(f"{envelope.event.symbol} {envelope.event.data_age_ms}")

    async def are(self, *subjects: str) -> bool:
        return self.subjects == [*subjects]


class Breakable(Kafka):
    """A cluster whose newest consumer can be broken off."""

    consumers: list[AIOKafkaConsumer] = []  # noqa: RUF012 - a frozen dataclass keeps no state of its own

    async def consumer(self, **options: Any) -> AIOKafkaConsumer:
        built = await super().consumer(**options)
        self.consumers.append(built)
        return built

    def break_off(self) -> None:
        """Let every further poll of the newest consumer fail."""

        async def fail(*_: Any, **__: Any) -> None:
            raise KafkaConnectionError("broken off")

        self.consumers[-1].getmany = fail


@pytest.fixture
async def topics(cluster: Kafka) -> Kafka:
    await create_topics(cluster, TopicName.ALERTS, TopicName.DEAD_LETTERS)
    return cluster


async def test_a_reader_from_the_beginning_reads_what_was_there_and_is_ready_then(topics: Kafka) -> None:
    await write(topics, an_alert("old"))
    async with reading(topics, start="beginning") as seen:
        assert not await seen.reader.answered()
        await eventually(seen.reader.answered)
        await write(topics, an_alert("new"))

        await eventually(lambda: seen.are("old", "new"))
        assert seen.reader.lag == {"alerts": 0}


async def test_a_reader_from_the_end_reads_only_what_comes(topics: Kafka) -> None:
    await write(topics, an_alert("old"))
    async with reading(topics, start="end") as seen:
        await eventually(seen.reader.answered)
        await write(topics, an_alert("new"))

        await eventually(lambda: seen.are("new"))


@pytest.mark.parametrize(("since_s", "expected"), [(60, ("recent",)), (7_200, ("old", "recent")), (1, ())])
async def test_a_reader_goes_back_as_far_as_it_is_told(topics: Kafka, since_s: int, expected: Sequence[str]) -> None:
    await _write_at(topics, "old", seconds_ago=3_600)
    await _write_at(topics, "recent", seconds_ago=30)

    async with reading(topics, start=timedelta(seconds=since_s)) as seen:
        await eventually(seen.reader.answered)

        assert seen.subjects == [*expected]


async def test_after_a_reconnection_a_reader_continues_where_it_was(topics: Kafka) -> None:
    breakable = Breakable(topics.bootstrap_servers, "test", topics.topic_prefix)
    async with reading(breakable, start="end") as seen:
        await eventually(seen.reader.answered)
        await write(topics, an_alert("before"))
        await eventually(lambda: seen.are("before"))

        breakable.break_off()
        await write(topics, an_alert("meanwhile"))

        await eventually(lambda: seen.are("before", "meanwhile"))


async def test_what_is_written_to_a_quiet_topic_during_a_reconnection_is_read(topics: Kafka) -> None:
    breakable = Breakable(topics.bootstrap_servers, "test", topics.topic_prefix)
    async with reading(breakable, start="end") as seen:
        await eventually(seen.reader.answered)

        breakable.break_off()
        await write(topics, an_alert("the first ever"))

        await eventually(lambda: seen.are("the first ever"))


async def test_a_recreated_topic_is_read_from_its_beginning(topics: Kafka) -> None:
    await write(topics, an_alert("1"), an_alert("2"))
    async with reading(topics, start="beginning") as seen:
        await eventually(lambda: seen.are("1", "2"))

        await delete_topics(topics, TopicName.ALERTS)
        await create_topics(topics, TopicName.ALERTS)
        await write(topics, an_alert("3"))

        await eventually(lambda: seen.are("1", "2", "3"), seconds=40)


async def test_of_a_conflated_batch_only_the_newest_of_each_key_is_handed_over(topics: Kafka) -> None:
    before = metrics.MESSAGES_CONFLATED.labels(topic="market.status")._value.get()
    await create_topics(topics, TopicName.MARKET_STATUS)
    await write(topics, *(a_status("BTC/USDT", age_ms) for age_ms in range(5)), a_status("ETH/USDT", 0))

    async with reading(topics, of=(TopicName.MARKET_STATUS,), start="beginning", conflate=True) as seen:
        await eventually(seen.reader.answered)

        assert sorted(seen.subjects) == ["BTC/USDT 4", "ETH/USDT 0"]
    assert metrics.MESSAGES_CONFLATED.labels(topic="market.status")._value.get() - before == 4


async def test_nothing_but_market_data_is_conflated(topics: Kafka) -> None:
    await write(topics, *(an_alert(f"main {number}") for number in range(3)))

    async with reading(topics, start="beginning", conflate=True) as seen:
        await eventually(lambda: seen.are("main 0", "main 1", "main 2"))


async def test_each_topic_can_have_a_start_of_its_own(topics: Kafka) -> None:
    await create_topics(topics, TopicName.MARKET_STATUS)
    await write(topics, an_alert("old"), a_status("BTC/USDT", 1))
    starts: dict[TopicName, Start] = {TopicName.ALERTS: "beginning", TopicName.MARKET_STATUS: "end"}

    async with reading(topics, of=tuple(starts), start=starts) as seen:
        await eventually(seen.reader.answered)
        await write(topics, a_status("BTC/USDT", 2))

        await eventually(lambda: seen.are("old", "BTC/USDT 2"))


async def test_poison_is_put_aside_and_reading_goes_on(topics: Kafka) -> None:
    await write_records(topics, [WireRecord(TopicName.ALERTS, "main", b"poison", ())])
    await write(topics, an_alert("good"))

    async with reading(topics, start="beginning") as seen:
        await eventually(lambda: seen.are("good"))
        (letter,) = await events_arrive(topics, TopicName.DEAD_LETTERS, 1)

    assert (letter.event.component, letter.event.topic, letter.event.offset) == ("reader", "alerts", 0)


async def test_types_that_nobody_observes_are_passed_over(topics: Kafka) -> None:
    await write(topics, an_alert("unseen"))
    async with reading(topics, start="beginning", observed=False) as seen:
        await eventually(seen.reader.answered)

        assert seen.subjects == []


@asynccontextmanager
async def reading(
    kafka: Kafka,
    *,
    start: Starts,
    of: Sequence[TopicName] = (TopicName.ALERTS,),
    conflate: bool = False,
    observed: bool = True,
) -> AsyncIterator[Seen]:
    publisher = Publisher(kafka, clock=CLOCK)
    observers: dict[Any, Any] = {}
    reader = TopicReader(
        kafka,
        component="reader",
        publisher=publisher,
        topics=of,
        observers=observers,
        clock=CLOCK,
        start=start,
        conflate=conflate,
    )
    seen = Seen(reader)
    if observed:
        observers |= {AlertRaised: seen.observe, MarketStatusChanged: seen.observe_status}
    async with running(publisher.run(), reader.run()):
        yield seen


def a_status(symbol: str, data_age_ms: int) -> MarketStatusChanged:
    return MarketStatusChanged(
        occurred_at=CLOCK.now(),
        symbol=symbol,
        reachable=True,
        calm=True,
        trading=True,
        data_age_ms=data_age_ms,
        clock_skew_ms=0,
    )


async def _write_at(kafka: Kafka, subject: str, *, seconds_ago: float) -> None:
    record = encode(enclose(an_alert(subject), cause=Cause.none(), ordinal=0, now=CLOCK.now()))
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    await producer.start()
    await producer.send_and_wait(
        kafka.wire_topic(record.topic),
        value=record.value,
        headers=list(record.headers),
        timestamp_ms=epoch_ms(CLOCK.now() - timedelta(seconds=seconds_ago)),
    )
    await producer.stop()
