"""The live market source, followed from a second paper exchange in the place of Binance."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import ccxt.pro
import pytest

from services.paper_exchange.market.history import TRADE_ID_FIRST
from tests.contract.paper_exchange.paper_exchange_process import PaperExchangeProcess, running_exchange
from tests.support.eventually import eventually

MARKET = "BTC/USDT"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def an_exchange_and_its_follower(place: Path) -> Iterator[tuple[PaperExchangeProcess, PaperExchangeProcess]]:
    for name in ("upstream", "follower"):
        (place / name).mkdir()
    with (
        running_exchange(place / "upstream", port=str(free_port())) as upstream,
        running_exchange(place / "follower", measured=True, **following(upstream)) as follower,
    ):
        yield upstream, follower


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PaperExchangeProcess, PaperExchangeProcess]]:
    with an_exchange_and_its_follower(tmp_path_factory.mktemp("both")) as running:
        yield running


@pytest.fixture
def upstream(both: tuple[PaperExchangeProcess, PaperExchangeProcess]) -> PaperExchangeProcess:
    return both[0]


@pytest.fixture
def follower(both: tuple[PaperExchangeProcess, PaperExchangeProcess]) -> PaperExchangeProcess:
    return both[1]


def following(upstream: PaperExchangeProcess) -> dict[str, str]:
    return {
        "market": "binance",
        "binance_rest_url": upstream.endpoints["exchange_rest"],
        "binance_ws_url": upstream.endpoints["exchange_ws"],
        "binance_silence_s": "1.5",
    }


async def get(exchange: PaperExchangeProcess, path: str, **parameters: Any) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{exchange.rest}/api/v3/{path}", params=parameters) as answer,
    ):
        return await answer.json()


@asynccontextmanager
async def client_of(exchange: PaperExchangeProcess) -> AsyncIterator[ccxt.pro.binance]:
    client = exchange.client()
    try:
        await client.load_markets()
        yield client
    finally:
        await client.close()


async def becomes(exchange: PaperExchangeProcess, status: str) -> None:
    """Wait until the symbol has this status: longer than the pause between two connections, and seldom enough for
    the weight of the question (20 of 6,000 a minute).
    """

    async def has_become() -> bool:
        return bool((await get(exchange, "exchangeInfo"))["symbols"][0]["status"] == status)

    await eventually(has_become, seconds=90, every_s=0.5, what=f"the status {status}")


async def test_trades_and_quotes_are_those_of_the_feed(upstream: PaperExchangeProcess, follower: PaperExchangeProcess):
    before = await get(follower, "trades", symbol="BTCUSDT", limit=1)
    await eventually(lambda: _grown(follower, before[0]["id"] + 20), what="twenty trades from the feed")
    seen = await get(follower, "trades", symbol="BTCUSDT", limit=100)

    theirs = await get(upstream, "historicalTrades", symbol="BTCUSDT", fromId=seen[0]["id"] - TRADE_ID_FIRST, limit=100)
    facts = ("price", "qty", "quoteQty", "isBuyerMaker")
    assert [[trade[fact] for fact in facts] for trade in seen] == [[trade[fact] for fact in facts] for trade in theirs]
    assert [trade["id"] - TRADE_ID_FIRST for trade in seen] == [trade["id"] for trade in theirs]

    async def quotes_agree() -> bool:
        ours, other = [await get(each, "ticker/bookTicker", symbol="BTCUSDT") for each in (follower, upstream)]
        return bool(ours == other)

    await eventually(quotes_agree, what="the same best quote on both")


async def _grown(exchange: PaperExchangeProcess, trade_id: int) -> bool:
    newest = await get(exchange, "trades", symbol="BTCUSDT", limit=1)
    return bool(newest[0]["id"] >= trade_id)


@pytest.mark.parametrize(("interval", "limit"), [("1m", 300), ("1h", 48), ("1d", 30)])
async def test_candles_before_the_start_are_those_of_the_feed(
    upstream: PaperExchangeProcess, follower: PaperExchangeProcess, interval: str, limit: int
):
    ours, theirs = [
        await get(each, "klines", symbol="ETHUSDT", interval=interval, limit=limit) for each in (follower, upstream)
    ]

    shared = {candle[0]: candle[1:] for candle in theirs}
    compared = [candle for candle in ours[:-3] if candle[0] in shared]
    assert len(compared) >= limit - 4
    assert [candle[1:] for candle in compared] == [shared[candle[0]] for candle in compared]


async def test_orders_meet_the_live_market(upstream: PaperExchangeProcess, follower: PaperExchangeProcess):
    async with client_of(follower) as client:
        ticker = await get(upstream, "ticker/price", symbol="BTCUSDT")
        bought = await client.create_order(MARKET, "market", "buy", 0.01)
        resting = await client.create_order(MARKET, "limit", "buy", 0.01, bought["average"] * 0.9)
        cancelled = await client.cancel_order(resting["id"], MARKET)

    assert bought["status"] == "closed"
    assert bought["average"] == pytest.approx(float(ticker["price"]), rel=0.01)
    assert cancelled["status"] == "canceled"


async def test_a_lost_feed_halts_trading_and_a_new_one_resumes_it(
    upstream: PaperExchangeProcess, follower: PaperExchangeProcess
):
    async with client_of(follower) as client:
        last = (await client.fetch_ticker(MARKET))["last"]
        resting = await client.create_order(MARKET, "limit", "buy", 0.01, last * 0.9)

        upstream.kill()
        await becomes(follower, "HALT")
        with pytest.raises(ccxt.MarketClosed):
            await client.create_order(MARKET, "market", "buy", 0.01)
        cancelled = await client.cancel_order(resting["id"], MARKET)

        upstream.start()
        await becomes(follower, "TRADING")
        bought = await client.create_order(MARKET, "market", "buy", 0.01)

    assert cancelled["status"] == "canceled"
    assert bought["status"] == "closed"


async def test_accounts_and_orders_outlive_a_restart(follower: PaperExchangeProcess):
    async with client_of(follower) as client:
        last = (await client.fetch_ticker(MARKET))["last"]
        await client.create_order(MARKET, "market", "buy", 0.01)
        resting = await client.create_order(MARKET, "limit", "buy", 0.01, last * 0.9)
        balance = await client.fetch_balance()

    follower.kill()
    follower.start()

    async with client_of(follower) as client:
        assert [order["id"] for order in await client.fetch_open_orders(MARKET)] == [resting["id"]]
        assert (await client.fetch_balance())["total"] == balance["total"]
        await client.cancel_order(resting["id"], MARKET)


async def test_an_unreachable_market_ends_the_start_with_status_3(tmp_path: Path):
    nowhere = f"http://127.0.0.1:{free_port()}"
    exchange = PaperExchangeProcess(
        tmp_path,
        measured=True,
        market="binance",
        binance_rest_url=nowhere,
        binance_ws_url=nowhere.replace("http", "ws"),
    )

    process = await asyncio.to_thread(exchange.launch)
    _, complaint = await asyncio.to_thread(process.communicate, timeout=60)

    assert process.returncode == 3
    assert nowhere.replace("http", "ws") in complaint
    assert "PAPER_EXCHANGE_MARKET=recorded" in complaint
    assert "Traceback" not in complaint
