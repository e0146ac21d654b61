"""A lag rests on a recent answer of the broker: on that to the consumer's own fetch, or on one asked for."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from aiokafka import TopicPartition

from libs.common.clock import epoch_ms
from libs.common.contracts.topics import TopicName
from libs.common.errors import RetryableError
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.lag import FRESH_MS_MAX, SILENCE_S_MAX, LagWatch
from tests.support.clock import FakeClock

FIRST = TopicPartition("signals", 0)
SECOND = TopicPartition("signals", 1)


@dataclass
class FakeConsumer:
    """What aiokafka's consumer says of its partitions, and what the broker would say."""

    clock: FakeClock
    fetched_at_ms: dict[TopicPartition, int | None] = field(default_factory=dict)
    fetched_ends: dict[TopicPartition, int] = field(default_factory=dict)
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    asked: int = 0

    def fetch(self, partition: TopicPartition, *, end: int, position: int) -> None:
        """The broker has answered a fetch just now."""
        self.fetched_at_ms[partition] = epoch_ms(self.clock.now())
        self.fetched_ends[partition] = end
        self.positions[partition] = position

    def assignment(self) -> set[TopicPartition]:
        return set(self.positions)

    def last_poll_timestamp(self, partition: TopicPartition) -> int | None:
        return self.fetched_at_ms.get(partition)

    def highwater(self, partition: TopicPartition) -> int:
        return self.fetched_ends[partition]

    async def position(self, partition: TopicPartition) -> int:
        return self.positions[partition]

    async def end_offsets(self, _: list[TopicPartition]) -> dict[TopicPartition, int]:
        self.asked += 1
        return self.ends


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def consumer(clock: FakeClock) -> FakeConsumer:
    found = FakeConsumer(clock)
    found.fetch(FIRST, end=7, position=5)
    found.fetch(SECOND, end=4, position=4)
    found.ends = {FIRST: 105, SECOND: 4}
    return found


@pytest.fixture
def watch(clock: FakeClock) -> LagWatch:
    return LagWatch(Kafka("nowhere:1", client_id="test"), topics=[TopicName.SIGNALS], clock=clock)


async def test_what_was_fetched_lately_says_what_is_left_and_nobody_is_asked(
    consumer: FakeConsumer, watch: LagWatch, clock: FakeClock
) -> None:
    clock.advance(FRESH_MS_MAX / 1_000)

    await watch.look(consumer)

    assert watch.lag == {"signals": 2}
    assert watch.answered_lately(0)
    assert not watch.caught_up
    assert consumer.asked == 0


async def test_of_a_consumer_that_fetches_no_more_the_broker_is_asked(
    consumer: FakeConsumer, watch: LagWatch, clock: FakeClock
) -> None:
    clock.advance(FRESH_MS_MAX / 1_000)
    consumer.fetch(SECOND, end=4, position=4)
    clock.advance(0.001)

    await watch.look(consumer)

    assert watch.lag == {"signals": 100}
    assert consumer.asked == 1


@pytest.mark.parametrize("fetched_in", [None, timedelta(seconds=1)])
async def test_of_a_partition_never_fetched_or_fetched_in_the_future_the_broker_is_asked(
    consumer: FakeConsumer, watch: LagWatch, clock: FakeClock, fetched_in: timedelta | None
) -> None:
    consumer.fetched_at_ms[FIRST] = None if fetched_in is None else epoch_ms(clock.now() + fetched_in)

    await watch.look(consumer)

    assert consumer.asked == 1


async def test_having_read_everything_is_having_caught_up(consumer: FakeConsumer, watch: LagWatch) -> None:
    consumer.positions[FIRST] = 7

    await watch.look(consumer)

    assert watch.caught_up
    watch.forget()
    assert not watch.caught_up
    assert not watch.answered


async def test_unread_records_of_which_none_comes_are_an_error(
    consumer: FakeConsumer, watch: LagWatch, clock: FakeClock
) -> None:
    clock.advance(SILENCE_S_MAX)
    await watch.look(consumer)
    clock.advance(0.001)

    with pytest.raises(RetryableError, match="signals: expected unread records"):
        await watch.look(consumer)

    watch.read()
    await watch.look(consumer)
