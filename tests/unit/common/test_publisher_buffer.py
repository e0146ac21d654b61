"""The publisher's buffer is bounded: market data gives way to newer market data, nothing else does."""

import pytest

from libs.common.contracts.event import Event
from libs.common.contracts.events import TradePrinted
from libs.common.errors import RetryableError
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.publisher import BATCH_RECORDS_MAX, Publisher
from libs.common.observability import metrics
from tests.support.clock import FakeClock
from tests.support.events import every_event
from tests.support.owners import an_alert

ROOM = BATCH_RECORDS_MAX + 10
"""The oldest batch may be on its way: nothing is dropped out of it."""


def a_tick(trade_id: int) -> Event:
    (example,) = (event for event in every_event() if isinstance(event, TradePrinted))
    return example.model_copy(update={"trade_id": trade_id})


@pytest.fixture
def publisher() -> Publisher:
    return Publisher(Kafka("127.0.0.1:1", "test"), clock=FakeClock(), records_max=ROOM)


def test_under_pressure_the_oldest_market_data_that_is_not_on_its_way_is_dropped_and_counted(
    publisher: Publisher,
) -> None:
    before = metrics.MESSAGES_CONFLATED.labels(topic="market.ticks")._value.get()
    for number in range(ROOM):
        publisher.publish(a_tick(number))

    publisher.publish(an_alert("must not be lost"))

    kept = [pending.record.value for pending in publisher._buffer]
    assert len(kept) == ROOM
    assert b"must not be lost" in kept[-1]
    assert not any(f'"trade_id":{BATCH_RECORDS_MAX},'.encode() in value for value in kept)
    assert metrics.MESSAGES_CONFLATED.labels(topic="market.ticks")._value.get() == before + 1


def test_what_must_not_be_dropped_is_refused_when_there_is_no_room(publisher: Publisher) -> None:
    for number in range(ROOM):
        publisher.publish(an_alert(str(number)))

    with pytest.raises(RetryableError, match="alerts: expected room among 510 buffered records"):
        publisher.publish(an_alert("one too many"))
    with pytest.raises(RetryableError):
        publisher.publish(a_tick(1))
    assert len(publisher._buffer) == ROOM


async def test_sending_into_a_full_buffer_is_refused_at_once(publisher: Publisher) -> None:
    for number in range(ROOM):
        publisher.publish(an_alert(str(number)))

    with pytest.raises(RetryableError):
        await publisher.send(an_alert("one too many"))


async def test_an_empty_buffer_is_flushed_at_once(publisher: Publisher) -> None:
    await publisher.flush(0.01)
