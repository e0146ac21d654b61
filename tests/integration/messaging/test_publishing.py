"""The publisher's events reach the broker in order, through its restarts, or somebody is told in time."""

from dataclasses import replace

import pytest

from libs.common.contracts.codec import encode
from libs.common.contracts.topics import TopicName
from libs.common.errors import DeadlineExceededError, RetryableError
from libs.common.messaging.cause import Cause, enclose
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.publisher import Publisher
from tests.support.dead_ends import silent_server
from tests.support.events import AT
from tests.support.owners import CLOCK, an_alert
from tests.support.wire import create_topics, events_arrive, events_on, running


@pytest.fixture
async def topics(cluster: Kafka) -> Kafka:
    await create_topics(cluster, TopicName.ALERTS)
    return cluster


async def test_events_are_written_in_the_order_of_publishing(topics: Kafka) -> None:
    publisher = Publisher(topics, clock=CLOCK)
    for number in range(1_200):  # more than two batches
        publisher.publish(an_alert(f"{number:04}"))

    async with running(publisher.run()):
        await publisher.flush(20)

    found = await events_on(topics, TopicName.ALERTS)
    assert [envelope.event.subject for envelope in found] == [f"{number:04}" for number in range(1_200)]


async def test_sending_returns_when_the_broker_has_the_event(topics: Kafka) -> None:
    publisher = Publisher(topics, clock=CLOCK)
    async with running(publisher.run()):
        await publisher.send(an_alert("sent"))

        (found,) = await events_on(topics, TopicName.ALERTS)
    assert found.event.subject == "sent"


async def test_an_answer_carries_its_cause_and_the_moment_of_the_market_data(topics: Kafka) -> None:
    tick = enclose(an_alert("tick"), cause=Cause.none(), ordinal=0, now=AT)
    publisher = Publisher(topics, clock=CLOCK)
    publisher.publish(an_alert("answer"), cause=Cause.of(tick), origin_at=AT)

    async with running(publisher.run()):
        (found,) = await events_arrive(topics, TopicName.ALERTS, 1)

    assert (found.causation_id, found.correlation_id, found.origin_at) == (tick.event_id, tick.correlation_id, AT)
    assert found.traceparent == tick.traceparent


async def test_sending_to_nobody_ends_in_time() -> None:
    publisher = Publisher(Kafka("127.0.0.1:1", "test"), clock=CLOCK)
    async with running(publisher.run()):
        began_s = CLOCK.monotonic_s()
        with pytest.raises(DeadlineExceededError):
            await publisher.send(an_alert("lost"), deadline_s=0.5)
        with pytest.raises(DeadlineExceededError):
            await publisher.flush(0.5)

        assert CLOCK.monotonic_s() - began_s < 2


async def test_a_silent_broker_is_given_up_in_time() -> None:
    async with silent_server() as port:
        kafka = Kafka(f"127.0.0.1:{port}", "test")
        record = encode(enclose(an_alert("lost"), cause=Cause.none(), ordinal=0, now=AT))
        producer = kafka.producer()

        began_s = CLOCK.monotonic_s()
        with pytest.raises(RetryableError):
            await producer.send([(record, None)])
        assert CLOCK.monotonic_s() - began_s < 6
        await producer.close()


async def test_what_was_published_before_the_topic_existed_is_sent_when_it_does(cluster: Kafka) -> None:
    publisher = Publisher(cluster, clock=CLOCK)
    for number in range(3):
        publisher.publish(an_alert(str(number)))

    async with running(publisher.run()):
        with pytest.raises(DeadlineExceededError):
            await publisher.flush(1.0)
        await create_topics(cluster, TopicName.ALERTS)
        found = await events_arrive(cluster, TopicName.ALERTS, 3)

    assert [envelope.event.subject for envelope in found] == ["0", "1", "2"]


async def test_a_producer_that_failed_is_replaced(topics: Kafka) -> None:
    record = encode(enclose(an_alert("again"), cause=Cause.none(), ordinal=0, now=AT))
    producer = topics.producer()
    with pytest.raises(RetryableError):
        await producer.send([(replace(record, value=bytes(2_000_000)), None)])  # no broker takes so much

    await producer.send([(record, None)])
    await producer.close()

    assert len(await events_on(topics, TopicName.ALERTS)) == 1


async def test_nobody_there_answers_no_ping() -> None:
    assert not await Kafka("127.0.0.1:1", "test").ping()


async def test_no_broker_for_a_consumer_is_retryable() -> None:
    with pytest.raises(RetryableError):
        await Kafka("127.0.0.1:1", "test").consumer()
