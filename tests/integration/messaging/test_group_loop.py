"""A group's member publishes what it answers, then commits; what it takes over it warms up first."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import pytest
from aiokafka import TopicPartition

from libs.common.contracts.codec import WireRecord
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import MarketStatusChanged
from libs.common.contracts.topics import TopicName
from libs.common.errors import InvalidMessageError, RetryableError
from libs.common.messaging.group import GroupLoop, Handler, OnAssigned
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.publisher import Publisher
from tests.support.events import every_event
from tests.support.eventually import eventually
from tests.support.owners import CLOCK, an_alert
from tests.support.wire import create_topics, events_arrive, events_on, running, write, write_records

SYMBOLS = tuple(f"C{number}/USDT" for number in range(12))
"""Enough for each of the topic's four partitions."""


@pytest.fixture
async def topics(cluster: Kafka) -> Kafka:
    await create_topics(cluster, TopicName.MARKET_STATUS, TopicName.ALERTS, TopicName.DEAD_LETTERS)
    return cluster


async def test_answers_are_published_before_the_offset_is_committed(topics: Kafka) -> None:
    await write(topics, *map(a_status, SYMBOLS))

    async with member(topics, _alert_about_it):
        first = await events_arrive(topics, TopicName.ALERTS, len(SYMBOLS))
        await eventually(partial(_committed, topics, len(SYMBOLS)))
    await write(topics, a_status(SYMBOLS[0], second=1))
    async with member(topics, _alert_about_it):
        await eventually(partial(_committed, topics, len(SYMBOLS) + 1))

    assert {answer.event.subject for answer in first} == set(SYMBOLS)
    assert len(await events_on(topics, TopicName.ALERTS)) == len(SYMBOLS) + 1  # nothing was handled twice


async def test_what_was_not_committed_is_handled_again_under_the_same_ids(topics: Kafka) -> None:
    async def dies_after_its_answer(envelope: Envelope[MarketStatusChanged]) -> Sequence[Event]:
        handled.append(envelope.event.symbol)
        if len(handled) == 2:
            raise KeyError("a bug")
        return [an_alert(envelope.event.symbol)]

    handled: list[str] = []
    await write(topics, a_status(SYMBOLS[0]), a_status(SYMBOLS[0], second=1))
    publisher = Publisher(topics, clock=CLOCK)
    async with running(publisher.run()):
        with pytest.raises(KeyError):
            await asyncio.wait_for(_loop(topics, publisher, dies_after_its_answer).run(), timeout=20)
        await events_arrive(topics, TopicName.ALERTS, 1)

    async with member(topics, _alert_about_it):
        await eventually(partial(_committed, topics, 2))

    assert len({answer.event_id for answer in await events_on(topics, TopicName.ALERTS)}) == 1


async def test_partitions_are_warmed_up_before_their_records_are_handled(topics: Kafka) -> None:
    seen: list[str] = []

    async def warm_up(_: Any, partitions: Sequence[TopicPartition]) -> None:
        seen.extend(f"warmed {partition.partition}" for partition in partitions)

    async def handle(_: Envelope[MarketStatusChanged]) -> Sequence[Event]:
        seen.append("handled")
        return ()

    await write(topics, a_status())
    async with member(topics, handle, on_assigned=warm_up):
        await eventually(partial(_committed, topics, 1))

    assert seen == ["warmed 0", "warmed 1", "warmed 2", "warmed 3", "handled"]


async def test_a_second_member_takes_a_share_and_only_what_is_new_is_warmed_up(topics: Kafka) -> None:
    warmed: dict[str, set[int]] = {"a": set(), "b": set()}

    def warm_up(name: str) -> OnAssigned:
        async def remember(_: Any, partitions: Sequence[TopicPartition]) -> None:
            fresh = {partition.partition for partition in partitions}
            assert not fresh & warmed[name] or name == "a"
            warmed[name] |= fresh

        return remember

    async with member(topics, _alert_about_it, name="a", on_assigned=warm_up("a")):
        await eventually(lambda: _has(warmed["a"], 4))
        async with member(topics, _alert_about_it, name="b", on_assigned=warm_up("b")):
            await eventually(lambda: _has(warmed["b"], 2))
            await write(topics, *map(a_status, SYMBOLS))
            await events_arrive(topics, TopicName.ALERTS, len(SYMBOLS))
            await eventually(partial(_committed, topics, len(SYMBOLS)))

    assert len(warmed["b"]) == 2


async def test_a_static_member_that_restarts_gets_its_partitions_back_at_once(topics: Kafka) -> None:
    async with member(topics, _alert_about_it):
        await write(topics, a_status())
        await eventually(partial(_committed, topics, 1))

    began_s = CLOCK.monotonic_s()
    async with member(topics, _alert_about_it):
        await write(topics, a_status(second=1))
        await eventually(partial(_committed, topics, 2))

    assert CLOCK.monotonic_s() - began_s < 5  # the session of a vanished member would take 6 s


async def test_poison_is_put_aside_and_a_retryable_error_is_tried_again(topics: Kafka) -> None:
    async def handle(envelope: Envelope[MarketStatusChanged]) -> Sequence[Event]:
        attempts.append(envelope.event.occurred_at.second)
        if envelope.event.occurred_at.second == 1:
            raise InvalidMessageError("implausible", expected="a status", found="nonsense")
        if len(attempts) == 1:
            raise RetryableError("expected an answer, found none")
        return ()

    attempts: list[int] = []
    key = SYMBOLS[0]
    await write_records(topics, [WireRecord(TopicName.MARKET_STATUS, key, b"poison", ())])
    await write(topics, a_status(key), a_status(key, second=1), a_status(key, second=2))
    async with member(topics, handle):
        letters = await events_arrive(topics, TopicName.DEAD_LETTERS, 2)
        await eventually(partial(_committed, topics, 4))

    assert [letter.event.reason for letter in letters] == ["unknown event type", "implausible"]
    assert attempts == [0, 0, 1, 2]


async def test_a_member_is_ready_and_knows_its_lag_once_it_has_partitions(topics: Kafka) -> None:
    publisher = Publisher(topics, clock=CLOCK)
    loop = _loop(topics, publisher, _alert_about_it)
    assert not await loop.answered()

    async with running(publisher.run(), loop.run()):
        await eventually(loop.answered)
        await eventually(lambda: _equal(loop.lag, {"market.status": 0}))


def a_status(symbol: str = SYMBOLS[0], *, second: int = 0) -> MarketStatusChanged:
    (example,) = (event for event in every_event() if isinstance(event, MarketStatusChanged))
    return example.model_copy(
        update={"symbol": symbol, "occurred_at": example.occurred_at.replace(second=second), "conditions": ()}
    )


async def _alert_about_it(envelope: Envelope[MarketStatusChanged]) -> Sequence[Event]:
    return [an_alert(envelope.event.symbol)]


def member(
    kafka: Kafka, handle: Handler, *, name: str = "a", on_assigned: OnAssigned | None = None
) -> AbstractAsyncContextManager[Any]:
    publisher = Publisher(kafka, clock=CLOCK)
    return running(publisher.run(), _loop(kafka, publisher, handle, name=name, on_assigned=on_assigned).run())


def _loop(
    kafka: Kafka, publisher: Publisher, handle: Handler, *, name: str = "a", on_assigned: OnAssigned | None = None
) -> GroupLoop:
    return GroupLoop(
        kafka,
        group=f"{kafka.topic_prefix}group",
        member=name,
        topics=(TopicName.MARKET_STATUS,),
        handlers={MarketStatusChanged: handle},
        publisher=publisher,
        clock=CLOCK,
        on_assigned=on_assigned,
    )


async def _committed(kafka: Kafka, records: int) -> bool:
    consumer = await kafka.consumer(group=f"{kafka.topic_prefix}group")
    try:
        committed = [await consumer.committed(place) for place in kafka.partitions([TopicName.MARKET_STATUS])]
        return sum(offset or 0 for offset in committed) == records
    finally:
        await kafka.stop(consumer)


async def _has(things: Sequence[object] | set[int], count: int) -> bool:
    return len(things) >= count


async def _equal(found: object, expected: object) -> bool:
    return found == expected
