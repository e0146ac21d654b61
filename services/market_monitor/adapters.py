"""The loops that carry market data from the exchange through the monitor to the topics, and the prices to Redis.

Invariant: whatever one loop waits for, the others go on; nothing of the exchange's or Redis's misbehaviour ends them.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing, suppress
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any, Final, Protocol

import structlog

from libs.common.clock import Clock
from libs.common.contracts.event import Event
from libs.common.errors import RetryableError
from libs.common.messaging.deadlines import every
from libs.common.observability import metrics
from libs.common.observability.health import Progress
from libs.common.storage import keys
from libs.common.storage.redis import UNREACHABLE, RedisStore
from libs.exchange.backoff import Backoff
from libs.exchange.market_data.port import MarketData
from services.market_monitor.service.monitor import LatestPrice, MarketMonitor, Observation, Repair

TIMER_INTERVAL_S: Final = 0.05
CLOCK_INTERVAL_S: Final = 1.0
SYMBOLS_INTERVAL_S: Final = 60.0
REPAIR_INTERVAL_S: Final = 0.5
REPAIR_DEADLINE_S: Final = 60.0
HISTORY_FIRST_S_MAX: Final = 5.0
PRICES_INTERVAL_S: Final = 0.25
PRICE_LIFETIME_MS: Final = 60_000
RECONNECT_IN_S: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.0)
CALM_S: Final = 10.0
"""A connection that lived this long was a good one: the next wait is the first again."""

Work = Callable[[], Coroutine[Any, Any, None]]

_log = structlog.get_logger(__name__)


class EventSink(Protocol):
    """Takes events without waiting: the publisher."""

    def publish(self, event: Event, *, origin_at: datetime | None = None) -> None:
        """Buffer an event; it will be sent in order."""
        ...


class PriceBoard(Protocol):
    """Where the latest prices are shown."""

    async def write(self, prices: Sequence[LatestPrice]) -> None:
        """Show these prices; what cannot be shown in time is dropped, newer ones follow."""
        ...


class RedisPriceBoard:
    """The latest prices in Redis, each with a lifetime, so that an old one is never taken for the newest."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    async def write(self, prices: Sequence[LatestPrice]) -> None:
        """Show these prices; what cannot be shown in time is dropped, newer ones follow."""
        pipeline = self._store.client.pipeline(transaction=False)
        for price in prices:
            fields = {
                "bid": _text(price.bid),
                "ask": _text(price.ask),
                "last": _text(price.last),
                "at": price.at.isoformat(),
            }
            pipeline.set(keys.latest_price(price.symbol), json.dumps(fields), px=PRICE_LIFETIME_MS)
        try:
            await pipeline.execute()
        except UNREACHABLE:
            metrics.PRICES_UNWRITTEN.inc()


class MarketFeed:
    """Runs the monitor on live market data.

    Args:
        monitor: Turns what arrives into events.
        market_data: The exchange.
        publisher: Takes the events.
        prices: Shows the latest prices.
        clock: The monotonic time of the loops.
        progress: Told at every turn of the timer.
        randomness: Spreads the attempts to connect.
    """

    def __init__(
        self,
        *,
        monitor: MarketMonitor,
        market_data: MarketData,
        publisher: EventSink,
        prices: PriceBoard,
        clock: Clock,
        progress: Progress,
        randomness: Random,
    ) -> None:
        self._monitor = monitor
        self._market_data = market_data
        self._publisher = publisher
        self._prices = prices
        self._clock = clock
        self._progress = progress
        self._backoff = Backoff(RECONNECT_IN_S, randomness=randomness)
        self._is_answering = True
        self._history_was_asked = asyncio.Event()

    async def run(self) -> None:
        """Run every loop, for ever."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._read_ticks(), name="ticks")
            loops.create_task(self._watch_time(), name="timer")
            loops.create_task(self._every(CLOCK_INTERVAL_S, self._ask_time), name="exchange clock")
            loops.create_task(self._every(SYMBOLS_INTERVAL_S, self._ask_symbols), name="exchange symbols")
            loops.create_task(self._every(REPAIR_INTERVAL_S, self._repair, REPAIR_DEADLINE_S), name="repair")
            loops.create_task(self._every(PRICES_INTERVAL_S, self._show_prices), name="prices")

    async def is_watching(self) -> bool:
        """Readiness: the exchange answers and its stream is subscribed."""
        return self._monitor.is_watching

    async def _every(self, seconds: float, work: Work, deadline_s: float | None = None) -> None:
        await every(seconds, work, clock=self._clock, deadline_s=deadline_s)

    async def _read_ticks(self) -> None:
        """Read one connection after the other; history first, so that readers are warm for the first live candle."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._history_was_asked.wait(), HISTORY_FIRST_S_MAX)
        while True:
            is_connected = False
            connected_at_s = self._clock.monotonic_s()
            try:
                async with aclosing(self._market_data.ticks()) as batches:
                    async for batch in batches:
                        if not is_connected:
                            is_connected = True
                            connected_at_s = self._clock.monotonic_s()
                            self._monitor.on_connected()
                            _log.info("The market stream is connected")
                        self._publish(self._monitor.on_ticks(batch))
            except RetryableError as error:
                _log.warning("The market stream ended", error=str(error))
            self._monitor.on_disconnected()
            if is_connected and self._clock.monotonic_s() - connected_at_s >= CALM_S:
                self._backoff.reset()
            await asyncio.sleep(self._backoff.next_s())

    async def _watch_time(self) -> None:
        while True:
            self._publish(self._monitor.on_time())
            self._progress.made()
            await asyncio.sleep(TIMER_INTERVAL_S)

    async def _ask_time(self) -> None:
        try:
            time = await self._market_data.server_time()
        except RetryableError as error:
            if self._is_answering:
                _log.warning("The exchange does not answer", error=str(error))
            self._is_answering = False
        else:
            self._is_answering = True
            self._monitor.on_server_time(time, used_weight=self._market_data.used_weight)

    async def _ask_symbols(self) -> None:
        if not self._market_data.may_ask:
            return
        try:
            self._monitor.on_symbols_trading(await self._market_data.symbols_trading())
        except RetryableError as error:
            _log.warning("Which symbols trade is not known", error=str(error))

    async def _repair(self) -> None:
        for repair in self._monitor.repairs_due():
            if self._market_data.may_ask:
                await self._repair_one(repair)
        self._history_was_asked.set()

    async def _repair_one(self, repair: Repair) -> None:
        span = repair.span
        try:
            klines = await self._market_data.klines(
                repair.symbol, repair.interval_s, span.first_open_at_ms, span.last_open_at_ms
            )
        except RetryableError as error:
            _log.info("Candles are still missing", symbol=repair.symbol, interval_s=repair.interval_s, error=str(error))
            await asyncio.sleep(CLOCK_INTERVAL_S)
        else:
            self._publish(self._monitor.on_klines(repair, klines))

    async def _show_prices(self) -> None:
        prices = self._monitor.moved_prices()
        if prices:
            await self._prices.write(prices)

    def _publish(self, observations: Iterable[Observation]) -> None:
        for observation in observations:
            self._publisher.publish(observation.event, origin_at=observation.origin_at)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"
