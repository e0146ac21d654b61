"""Market data through ccxt.pro, against the paper exchange and against an exchange that misbehaves."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiohttp import web

from libs.common.clock import SystemClock, epoch_ms
from libs.common.errors import RetryableError
from libs.common.observability import metrics
from libs.exchange.addresses import ExchangeAddress
from libs.exchange.market_data import ccxt_pro
from libs.exchange.market_data.ccxt_pro import CcxtMarketData
from libs.exchange.market_data.port import BestQuote, PublicTrade, Tick
from tests.support.unmeasured import unmeasured_environment

CLOCK = SystemClock()
SYMBOLS = ("BTC/USDT", "ETH/USDT")


@pytest.fixture(scope="module")
def paper_exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeAddress]:
    """The paper exchange as its own process, on a directory and ports of its own."""
    directory: Path = tmp_path_factory.mktemp("exchange")
    environment = unmeasured_environment(PAPER_EXCHANGE_DATA_DIR=str(directory))
    with subprocess.Popen(
        [sys.executable, "-m", "services.paper_exchange"], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "ready" in process.stdout.readline()
        facts = json.loads((directory / "exchange.json").read_text())
        yield ExchangeAddress.of(facts["exchange_rest"], facts["exchange_ws"])
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)


@pytest.fixture
async def market_data(paper_exchange: ExchangeAddress) -> AsyncIterator[CcxtMarketData]:
    async with opened(paper_exchange) as market_data:
        yield market_data


async def test_trades_and_quotes_of_every_symbol_arrive_without_a_gap(market_data: CcxtMarketData) -> None:
    ticks = await received(market_data, 500)

    for symbol in SYMBOLS:
        ids = [tick.trade_id for tick in ticks if isinstance(tick, PublicTrade) and tick.symbol == symbol]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert any(isinstance(tick, BestQuote) and tick.symbol == symbol for tick in ticks)


async def test_klines_are_every_closed_period_in_order(market_data: CcxtMarketData) -> None:
    last_ms = epoch_ms(CLOCK.now()) // 1000 * 1000 - 2_000

    klines = await market_data.klines("BTC/USDT", 1, last_ms - 1_199_000, last_ms)  # 1 200 periods: two pages

    assert [kline.open_at_ms for kline in klines] == list(range(last_ms - 1_199_000, last_ms + 1, 1_000))


async def test_an_interval_that_is_not_served_is_folded(market_data: CcxtMarketData) -> None:
    last_ms = epoch_ms(CLOCK.now()) // 10_000 * 10_000 - 10_000

    klines = await market_data.klines("BTC/USDT", 10, last_ms - 20_000, last_ms)
    seconds = await market_data.klines("BTC/USDT", 1, last_ms - 20_000, last_ms + 9_000)

    assert [kline.open_at_ms for kline in klines] == [last_ms - 20_000, last_ms - 10_000, last_ms]
    assert sum(kline.trades for kline in klines) == sum(kline.trades for kline in seconds)


async def test_the_clock_the_symbols_and_the_used_weight_are_read(market_data: CcxtMarketData) -> None:
    time = await market_data.server_time()

    assert abs(time.skew_ms) < 1_000
    assert await market_data.symbols_trading() == dict.fromkeys(SYMBOLS, True)
    assert market_data.used_weight > 0
    assert market_data.may_ask


class Misbehaving:
    """An exchange that answers as a test says."""

    def __init__(self) -> None:
        self.frames: list[str] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body: Any = {"serverTime": 1}
        self.requests = 0
        self.subscriptions: list[dict[str, Any]] = []
        self.is_closing = False
        self.acknowledges = True

    async def on_request(self, _: web.Request) -> web.Response:
        self.requests += 1
        return web.Response(text=json.dumps(self.body), status=self.status, headers=self.headers)

    async def on_stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.subscriptions.append(json.loads(await socket.receive_str()))
        if self.acknowledges:
            await socket.send_json({"result": None, "id": self.subscriptions[-1]["id"]})
        for frame in self.frames:
            await socket.send_str(frame)
        if self.is_closing:
            await socket.close()
        async for _ in socket:
            pass
        return socket


@asynccontextmanager
async def served(exchange: Misbehaving) -> AsyncIterator[ExchangeAddress]:
    application = web.Application()
    application.router.add_get("/stream/ws/{number}", exchange.on_stream)
    application.router.add_get("/{path:.*}", exchange.on_request)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield ExchangeAddress.of(f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}")
    finally:
        await runner.cleanup()


@asynccontextmanager
async def opened(address: ExchangeAddress, **arguments: float) -> AsyncIterator[CcxtMarketData]:
    market_data = CcxtMarketData(address=address, symbols=SYMBOLS, clock=CLOCK, randomness=Random(1), **arguments)
    try:
        yield market_data
    finally:
        await market_data.aclose()
        await asyncio.sleep(0)  # lets aiohttp's transports finish closing


async def received(market_data: CcxtMarketData, count: int) -> Sequence[Tick]:
    ticks: list[Tick] = []
    async with asyncio.timeout(60), aclosing(market_data.ticks()) as batches:
        async for batch in batches:
            ticks += batch
            if len(ticks) >= count:
                break
    return ticks


def trade_ids(ticks: Sequence[Tick]) -> dict[str, list[int]]:
    ids: dict[str, list[int]] = {symbol: [] for symbol in SYMBOLS}
    for tick in ticks:
        if isinstance(tick, PublicTrade):
            ids[tick.symbol].append(tick.trade_id)
    return ids


def a_trade_frame(trade_id: int) -> str:
    now_ms = epoch_ms(CLOCK.now())
    return json.dumps({"e": "trade", "s": "BTCUSDT", "t": trade_id, "p": "100", "q": "1", "T": now_ms, "m": False})


def a_past_trade(trade_id: int) -> dict[str, Any]:
    return {"id": trade_id, "price": "100", "qty": "1", "time": epoch_ms(CLOCK.now()), "isBuyerMaker": True}


def a_quote_frame(update_id: int, bid: str = "100") -> str:
    return json.dumps({"u": update_id, "s": "BTCUSDT", "b": bid, "B": "1", "a": "101", "A": "1"})


async def test_bad_frames_are_counted_and_passed_over() -> None:
    exchange = Misbehaving()
    exchange.frames = [
        '{"u": 1, "s": "BTCUSDT", ',
        "[1, 2]",
        "hello",
        a_quote_frame(2, bid="NaN"),
        a_quote_frame(3),
    ]
    refused = metrics.MARKET_FRAMES_REFUSED.labels(reason="json")._value.get()

    async with served(exchange) as address, opened(address) as market_data:
        ticks = await received(market_data, 1)

    assert [tick.update_id for tick in ticks if isinstance(tick, BestQuote)] == [3]
    assert metrics.MARKET_FRAMES_REFUSED.labels(reason="json")._value.get() - refused == 3
    assert exchange.subscriptions[0]["params"] == [
        "btcusdt@trade",
        "btcusdt@bookTicker",
        "ethusdt@trade",
        "ethusdt@bookTicker",
    ]


async def test_the_end_of_a_connection_is_retryable_and_a_new_one_can_be_made() -> None:
    exchange = Misbehaving()
    exchange.frames = [a_quote_frame(1)]
    exchange.is_closing = True

    async with served(exchange) as address, opened(address) as market_data:
        for _ in range(2):
            with pytest.raises(RetryableError, match="expected it to go on"):
                await received(market_data, 2)

    assert len(exchange.subscriptions) == 2


async def test_a_refused_subscription_is_retryable() -> None:
    exchange = Misbehaving()
    exchange.frames = ['{"error":{"code":2,"msg":"Invalid request: invalid stream"},"id":1}']

    async with served(exchange) as address, opened(address) as market_data:
        with pytest.raises(RetryableError, match="invalid stream"):
            await received(market_data, 1)


async def test_silence_is_retryable_even_if_the_connection_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_pro, "SILENCE_S_MAX", 0.3)
    exchange = Misbehaving()

    async with served(exchange) as address, opened(address) as market_data:
        with pytest.raises(RetryableError, match=r"a frame within 0\.3 s, found none"):
            await received(market_data, 1)


async def test_a_subscription_that_is_not_acknowledged_is_retryable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_pro, "SILENCE_S_MAX", 0.3)
    exchange = Misbehaving()
    exchange.acknowledges = False

    async with served(exchange) as address, opened(address) as market_data:
        with pytest.raises(RetryableError, match="acknowledgement within"):
            await received(market_data, 1)


async def test_a_connection_is_left_before_the_exchange_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_pro, "LIFETIME_S", 0.0)
    exchange = Misbehaving()
    exchange.frames = [a_quote_frame(1)]

    async with served(exchange) as address, opened(address) as market_data:
        with pytest.raises(RetryableError, match="24 hours"):
            await received(market_data, 2)


async def test_what_was_traded_between_two_connections_is_read_once_and_first(market_data: CcxtMarketData) -> None:
    before = trade_ids(await received(market_data, 200))
    await asyncio.sleep(0.5)  # the market goes on
    again = [tick for tick in await received(market_data, 400) if isinstance(tick, PublicTrade)]

    after = trade_ids(again)
    assert any(tick.backfilled for tick in again)
    for symbol, ids in before.items():
        together = ids + after[symbol]
        assert together == list(range(together[0], together[0] + len(together)))


async def test_trades_that_come_both_ways_are_told_once() -> None:
    exchange = Misbehaving()
    exchange.frames = [a_trade_frame(1)]
    async with served(exchange) as address, opened(address) as market_data:
        await received(market_data, 1)
        exchange.body = [a_past_trade(trade_id) for trade_id in (1, 2, 3)]
        exchange.frames = [a_trade_frame(3), a_trade_frame(4)]
        ticks = [tick for tick in await received(market_data, 3) if isinstance(tick, PublicTrade)]

    assert [(tick.trade_id, tick.backfilled) for tick in ticks] == [(2, True), (3, True), (4, False)]


@pytest.mark.parametrize("body", ["nonsense", [{"id": 2}], [1], {"code": -1121, "msg": "Invalid symbol."}])
async def test_missed_trades_that_cannot_be_read_stay_missed_and_the_stream_goes_on(body: Any) -> None:
    exchange = Misbehaving()
    exchange.frames = [a_trade_frame(1)]
    async with served(exchange) as address, opened(address) as market_data:
        await received(market_data, 1)
        exchange.body = body
        exchange.frames = [a_trade_frame(5)]
        ticks = await received(market_data, 1)

    assert [tick.trade_id for tick in ticks if isinstance(tick, PublicTrade)] == [5]


async def test_an_exchange_that_numbers_its_trades_anew_is_believed() -> None:
    exchange = Misbehaving()
    exchange.frames = [a_trade_frame(900)]
    async with served(exchange) as address, opened(address) as market_data:
        await received(market_data, 1)
        exchange.body = [a_past_trade(1)]
        exchange.frames = [a_trade_frame(2)]
        ticks = await received(market_data, 1)

    assert [tick.trade_id for tick in ticks if isinstance(tick, PublicTrade)] == [2]


async def test_nobody_at_the_address_is_retryable() -> None:
    address = ExchangeAddress.of("http://127.0.0.1:9", "ws://127.0.0.1:9")

    async with opened(address) as market_data:
        with pytest.raises(RetryableError):
            await received(market_data, 1)
        with pytest.raises(RetryableError):
            await market_data.server_time()


@pytest.mark.parametrize("body", [{"code": -1121, "msg": "Invalid symbol."}, [], "ok", {"serverTime": None}])
async def test_an_answer_that_is_not_binances_is_retryable(body: Any) -> None:
    exchange = Misbehaving()
    exchange.body = body

    async with served(exchange) as address, opened(address) as market_data:
        with pytest.raises(RetryableError):
            await market_data.server_time()


async def test_a_late_answer_is_retryable() -> None:
    class Slow(Misbehaving):
        async def on_request(self, request: web.Request) -> web.Response:
            await asyncio.sleep(5)
            return await super().on_request(request)

    async with served(Slow()) as address, opened(address, deadline_s=0.2) as market_data:
        with pytest.raises(RetryableError):
            await market_data.server_time()


async def test_half_of_the_address_budget_is_left_to_orders() -> None:
    exchange = Misbehaving()
    exchange.body = {"serverTime": epoch_ms(CLOCK.now())}

    async with served(exchange) as address, opened(address) as market_data:
        exchange.headers = {"X-MBX-USED-WEIGHT-1M": "2999"}
        await market_data.server_time()
        below = market_data.may_ask
        exchange.headers = {"x-mbx-used-weight-1m": "3000"}
        await market_data.server_time()

        assert below
        assert not market_data.may_ask


@pytest.mark.parametrize("status", [418, 429])
async def test_a_rate_limit_is_obeyed_without_asking_again(status: int) -> None:
    exchange = Misbehaving()
    exchange.status = status
    exchange.headers = {"Retry-After": "30"}
    exchange.body = {"code": -1003, "msg": "Too much request weight used"}

    async with served(exchange) as address, opened(address) as market_data:
        with pytest.raises(RetryableError):
            await market_data.server_time()
        with pytest.raises(RetryableError) as refusal:
            await market_data.server_time()

    assert exchange.requests == 1
    assert refusal.value.retry_in_s == pytest.approx(30, abs=1)
