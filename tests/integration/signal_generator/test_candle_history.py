"""Past candles are read back from their topic as every replica would read them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from libs.common.clock import SystemClock
from libs.common.contracts.events import CandleClosed
from libs.common.messaging.administration import apply_topics
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.publisher import Publisher
from services.signal_generator.adapters import KafkaCandleHistory
from tests.support.stores import KafkaForTests

BTC, ETH = "BTC/USDT", "ETH/USDT"
NOW = datetime.now(UTC).replace(microsecond=0)


def a_candle(
    number: int, close: int = 100, *, symbol: str = BTC, partial: bool = False, backfilled: bool = False
) -> CandleClosed:
    """Return the candle of one second, `number` seconds from now."""
    open_at = NOW + timedelta(seconds=number)
    price = Decimal(close)
    return CandleClosed(
        occurred_at=open_at + timedelta(seconds=1),
        symbol=symbol,
        interval_s=1,
        open_at=open_at,
        close_at=open_at + timedelta(seconds=1),
        open=price,
        high=price,
        low=price,
        close=price,
        volume=Decimal(1),
        trades=1,
        partial=partial,
        backfilled=backfilled,
    )


@pytest.fixture
async def topic(kafka: KafkaForTests, topic_prefix: str) -> Kafka:
    cluster = Kafka(kafka.bootstrap_servers, client_id="test", topic_prefix=topic_prefix)
    await apply_topics(cluster)
    return cluster


async def publish(topic: Kafka, candles: Sequence[CandleClosed]) -> None:
    publisher = Publisher(topic, clock=SystemClock())
    sending = asyncio.create_task(publisher.run())
    for candle in candles:
        publisher.publish(candle)
    await publisher.flush(20)
    sending.cancel()
    await asyncio.wait({sending})


async def before(topic: Kafka, number: int, count: int, *, symbol: str = BTC) -> list[tuple[int, int]]:
    """Return number and close of the candles before candle `number`."""
    candles = await KafkaCandleHistory(topic).before(symbol, 1, NOW + timedelta(seconds=number), count)
    return [(round((candle.open_at - NOW).total_seconds()), int(candle.close)) for candle in candles]


async def test_the_last_complete_candles_of_the_symbol_are_read_oldest_first(topic: Kafka) -> None:
    published = [a_candle(number, 100 + number) for number in range(-5, 0)]
    published += [a_candle(number, 7, symbol=ETH) for number in range(-5, 0)]
    published += [a_candle(-2, 999, backfilled=True), a_candle(0, 1, partial=True), a_candle(0, 2, backfilled=True)]
    await publish(topic, published)

    assert await before(topic, 1, 3) == [(-2, 98), (-1, 99), (0, 2)]
    assert await before(topic, -1, 10) == [(-5, 95), (-4, 96), (-3, 97), (-2, 98)]
    assert await before(topic, 0, 2, symbol=ETH) == [(-2, 7), (-1, 7)]


async def test_nothing_published_is_an_empty_history(topic: Kafka) -> None:
    assert await before(topic, 0, 5) == []


async def test_more_candles_than_one_poll_are_read(topic: Kafka) -> None:
    await publish(topic, [a_candle(number, 100) for number in range(-1_500, 0)])

    assert [number for number, _ in await before(topic, 0, 1_400)] == list(range(-1_400, 0))
