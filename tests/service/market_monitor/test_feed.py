"""The loops around the monitor: they go on whatever the exchange and Redis do."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from random import Random

import pytest

from libs.common.clock import SystemClock, epoch_ms
from libs.common.contracts.event import Event
from libs.common.contracts.events import CandleClosed, MarketStatusChanged, TradePrinted
from libs.common.errors import RetryableError
from libs.common.observability.health import Health
from libs.exchange.market_data.port import Kline, PublicTrade, ServerTime, Tick
from libs.trading.market import Side
from services.market_monitor import adapters
from services.market_monitor.adapters import MarketFeed
from services.market_monitor.domain.anomalies import Thresholds
from services.market_monitor.service.monitor import LatestPrice, MarketMonitor
from tests.support.eventually import eventually

BTC = "BTC/USDT"
CLOCK = SystemClock()


class FakeMarketData:
    """An exchange that delivers what the test puts in, and is as ill as the test wants."""

    def __init__(self) -> None:
        self.arrivals: asyncio.Queue[Sequence[Tick] | RetryableError] = asyncio.Queue()
        self.connections = 0
        self.klines_asked = 0
        self.is_answering = True
        self.may_ask = True
        self.used_weight = 7

    async def ticks(self) -> AsyncGenerator[Sequence[Tick], None]:
        self.connections += 1
        yield []
        while True:
            arrival = await self.arrivals.get()
            if isinstance(arrival, RetryableError):
                raise arrival
            yield arrival

    async def klines(self, symbol: str, interval_s: int, first_open_at_ms: int, last_open_at_ms: int) -> list[Kline]:
        assert symbol == BTC
        self.klines_asked += 1
        self._require_answer()
        price = Decimal(100)
        return [
            Kline(open_at_ms=at_ms, open=price, high=price, low=price, close=price, volume=price, trades=1)
            for at_ms in range(first_open_at_ms, last_open_at_ms + 1, interval_s * 1000)
        ]

    async def server_time(self) -> ServerTime:
        self._require_answer()
        now_ms = epoch_ms(CLOCK.now())
        return ServerTime(server_ms=now_ms, asked_at_ms=now_ms, answered_at_ms=now_ms)

    async def symbols_trading(self) -> Mapping[str, bool]:
        self._require_answer()
        return {BTC: False}

    def _require_answer(self) -> None:
        if not self.is_answering:
            raise RetryableError("exchange: expected an answer, found none")


class FakePublisher:
    """Keeps what was published."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def publish(self, event: Event, *, origin_at: datetime | None = None) -> None:
        assert origin_at is not None
        self.events.append(event)

    def count(self, kind: type[Event]) -> int:
        return sum(isinstance(event, kind) for event in self.events)


class FakePrices:
    """Keeps the prices shown."""

    def __init__(self) -> None:
        self.shown: list[LatestPrice] = []

    async def write(self, prices: Sequence[LatestPrice]) -> None:
        self.shown += prices


class Feed:
    """A feed with its surroundings."""

    def __init__(self) -> None:
        self.market_data = FakeMarketData()
        self.publisher = FakePublisher()
        self.prices = FakePrices()
        self.monitor = MarketMonitor(
            symbols=[BTC],
            interval_s=1,
            thresholds=Thresholds(
                data_age_ms_max=5_000,
                volatility_rate_max=Decimal("0.02"),
                spread_rate_max=Decimal("0.005"),
                jump_rate_max=Decimal("0.03"),
                jump_window_s=10,
                clock_skew_ms_max=500,
                calm_after_s=10,
            ),
            warmup_candles=5,
            warmup_minutes=2,
            quote_interval_ms=50,
            clock=CLOCK,
        )
        self.feed = MarketFeed(
            monitor=self.monitor,
            market_data=self.market_data,
            publisher=self.publisher,
            prices=self.prices,
            clock=CLOCK,
            progress=Health(name="market_monitor", clock=CLOCK).progress("timer", 5.0),
            randomness=Random(1),
        )

    def print_trade(self, trade_id: int) -> None:
        now = CLOCK.now()
        self.market_data.arrivals.put_nowait(
            [
                PublicTrade(
                    symbol=BTC,
                    trade_id=trade_id,
                    price=Decimal(100),
                    quantity=Decimal(1),
                    taker_side=Side.BUY,
                    traded_at_ms=epoch_ms(now),
                    received_at=now,
                )
            ]
        )


async def until(condition: Callable[[], object]) -> None:
    async def probe() -> object:
        return condition()

    await eventually(probe)


@asynccontextmanager
async def running(feed: Feed) -> AsyncIterator[Feed]:
    task = asyncio.create_task(feed.feed.run())
    try:
        yield feed
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_ticks_statuses_candles_and_prices_flow() -> None:
    async with running(Feed()) as feed:
        feed.print_trade(1)

        await until(lambda: feed.publisher.count(TradePrinted) == 1)
        await until(lambda: feed.publisher.count(CandleClosed) >= 7)  # 5 of a second, 2 of a minute
        await until(lambda: feed.prices.shown)
        await until(lambda: feed.publisher.count(MarketStatusChanged) >= 2)
        assert await feed.feed.is_watching()


async def test_a_broken_connection_is_replaced() -> None:
    async with running(Feed()) as feed:
        await until(lambda: feed.market_data.connections == 1)
        feed.market_data.arrivals.put_nowait(RetryableError("the stream: expected it to go on, found its end"))

        await until(lambda: feed.market_data.connections == 2)
        feed.print_trade(1)
        await until(lambda: feed.publisher.count(TradePrinted) == 1)


@pytest.mark.parametrize(("calm_s", "connections"), [(60.0, 2), (0.0, 6)])
async def test_only_a_connection_that_lived_a_while_makes_the_next_attempt_quick(
    monkeypatch: pytest.MonkeyPatch, calm_s: float, connections: int
) -> None:
    monkeypatch.setattr(adapters, "RECONNECT_IN_S", (0.01, 60.0))
    monkeypatch.setattr(adapters, "CALM_S", calm_s)
    async with running(Feed()) as feed:
        for _ in range(5):
            feed.market_data.arrivals.put_nowait(RetryableError("closed"))
        await until(lambda: feed.market_data.connections >= 2)

        await asyncio.sleep(0.2)

        assert feed.market_data.connections == connections


async def test_an_exchange_that_does_not_answer_is_asked_again() -> None:
    feed = Feed()
    feed.market_data.is_answering = False
    async with running(feed):
        await until(lambda: feed.market_data.klines_asked >= 1)
        assert not await feed.feed.is_watching()
        feed.market_data.is_answering = True

        await until(lambda: feed.publisher.count(CandleClosed) >= 5)
        await until(lambda: feed.monitor.is_watching)


async def test_nothing_is_read_back_while_the_budget_is_used_up() -> None:
    feed = Feed()
    feed.market_data.may_ask = False
    async with running(feed):
        await until(lambda: feed.monitor.is_watching)
        await until(lambda: feed.publisher.count(MarketStatusChanged) >= 2)

    assert feed.market_data.klines_asked == 0
    statuses = [event for event in feed.publisher.events if isinstance(event, MarketStatusChanged)]
    assert all(status.trading for status in statuses)  # nor was it asked which symbols trade
