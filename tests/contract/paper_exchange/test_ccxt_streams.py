"""Unmodified ccxt.pro watches the market and its account."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import aiohttp
import pytest

from tests.contract.paper_exchange.paper_exchange_process import RunningExchange

BTC = "BTC/USDT"
DEADLINE_S = 20.0


async def soon(watching: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(watching, DEADLINE_S)


async def test_trades_are_watched_in_both_forms(exchange):
    for name in ("trade", "aggTrade"):
        client = exchange.client("visitor", watchTrades={"name": name})
        try:
            trades = list(await soon(client.watch_trades(BTC)))
            while len(trades) < 5:
                trades += await soon(client.watch_trades(BTC))
        finally:
            await client.close()

        ids = [int(trade["id"]) for trade in trades]
        assert ids == sorted(ids)
        assert len({trade["side"] for trade in trades} - {"buy", "sell"}) == 0


async def test_the_order_book_follows_its_updates_without_a_gap(visitor):
    for _ in range(30):  # ccxt raises ChecksumError at the first gap
        book = await soon(visitor.watch_order_book(BTC))
        assert book["bids"][0][0] < book["asks"][0][0]

    snapshot = await visitor.fetch_order_book(BTC, limit=5)
    watched = await soon(visitor.watch_order_book(BTC))
    assert watched["bids"][0][0] == pytest.approx(snapshot["bids"][0][0], rel=0.001)


async def test_best_prices_and_tickers_are_watched(visitor):
    best = (await soon(visitor.watch_bids_asks([BTC])))[BTC]
    ticker = await soon(visitor.watch_ticker(BTC))
    small = await soon(visitor.watch_ticker("ETH/USDT", {"name": "miniTicker"}))

    assert best["bid"] < best["ask"]
    assert ticker["bid"] < ticker["ask"]
    assert small["last"] > 0


async def test_closed_candles_equal_those_asked_for_later(visitor):
    streamed: dict[int, list[float]] = {}
    while len(streamed) < 4:
        for candle in await soon(visitor.watch_ohlcv(BTC, "1s")):
            streamed[candle[0]] = candle
    complete = sorted(streamed)[1:-1]

    asked = {candle[0]: candle for candle in await visitor.fetch_ohlcv(BTC, "1s", limit=30)}

    assert [streamed[start] for start in complete] == [asked[start] for start in complete]


async def subscribed(exchange: RunningExchange) -> None:
    """Wait until the exchange says that an account is being listened to."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(DEADLINE_S):
        while True:
            async with session.get(f"{exchange.endpoints['health']}/metrics") as answer:
                if "paper_exchange_account_listeners 1.0" in await answer.text():
                    return


async def test_an_account_hears_of_its_orders_fills_and_balances(exchange, visitor):
    watching = [
        asyncio.create_task(each)
        for each in (visitor.watch_orders(), visitor.watch_my_trades(), visitor.watch_balance())
    ]
    await subscribed(exchange)

    order = await visitor.create_order(BTC, "market", "buy", 0.01)
    orders, trades, balance = await soon(asyncio.gather(*watching))

    assert orders[-1]["id"] == order["id"]
    assert trades[0]["order"] == order["id"]
    assert trades[0]["fee"]["currency"] == "BTC"
    assert balance["BTC"]["total"] == (await visitor.fetch_balance())["BTC"]["total"]


async def test_orders_are_placed_and_cancelled_over_the_socket_too(visitor):
    price = float(visitor.price_to_precision(BTC, (await visitor.fetch_ticker(BTC))["last"] * 0.9))
    placed = await soon(
        visitor.create_order_ws(BTC, "limit", "buy", 0.01, price, {"newClientOrderId": "over-the-socket"})
    )
    cancelled = await soon(visitor.cancel_order_ws(None, BTC, {"origClientOrderId": "over-the-socket"}))

    assert placed["status"] == "open"
    assert cancelled["status"] == "canceled"
