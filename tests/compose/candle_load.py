"""Writes candles of made-up symbols as fast as it can, in a container of a deployment: a market at a raised speed."""

import asyncio
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from libs.common.clock import SystemClock
from libs.common.contracts.events import CandleClosed
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.publisher import Publisher
from libs.common.settings import ServiceSettings, load_settings

CLOCK = SystemClock()
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SYMBOLS = tuple(f"S{number}/USDT" for number in range(40))
FLUSH_EVENTS = 400
FLUSH_S_MAX = 30.0


def candles(symbol: str, first: int, count: int) -> Iterator[CandleClosed]:
    """Yield a symbol's candles from a place on: the same for the same place."""
    randomness = Random(symbol)
    price = Decimal(100)
    for number in range(first + count):
        before, price = price, max(Decimal(10), price + Decimal(randomness.randint(-20, 20)) / 100)
        if number >= first:
            open_at = BEGIN + timedelta(seconds=number)
            yield CandleClosed(
                occurred_at=open_at + timedelta(seconds=1),
                symbol=symbol,
                interval_s=1,
                open_at=open_at,
                close_at=open_at + timedelta(seconds=1),
                open=before,
                high=max(before, price),
                low=min(before, price),
                close=price,
                volume=Decimal(1),
                trades=1,
            )


async def main(first: int, count: int, pause_s: float) -> None:
    """Publish `count` candles of every symbol from the place `first` on, second by second."""
    settings = load_settings(ServiceSettings)
    kafka = Kafka(
        settings.kafka_bootstrap_servers,
        client_id="load",
        topic_prefix=settings.topic_prefix,
        login=settings.kafka_login("load"),
    )
    publisher = Publisher(kafka, clock=CLOCK)
    publishing = asyncio.create_task(publisher.run())
    for seconds, closed in enumerate(zip(*(candles(symbol, first, count) for symbol in SYMBOLS), strict=True)):
        for candle in closed:
            publisher.publish(candle)
        if seconds % (FLUSH_EVENTS // len(SYMBOLS)) == 0:
            await publisher.flush(FLUSH_S_MAX)
            await asyncio.sleep(pause_s)
    await publisher.flush(FLUSH_S_MAX)
    publishing.cancel()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
