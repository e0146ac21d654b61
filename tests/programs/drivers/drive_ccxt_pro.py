"""ccxt.pro: market streams, the user stream, and orders over the WebSocket API."""

import asyncio
import json
import os
import re

import ccxt.pro


def addresses_at(addresses, rest, ws):
    """Return ccxt's addresses with the exchange's in place of Binance's hosts."""
    if isinstance(addresses, dict):
        return {name: addresses_at(each, rest, ws) for name, each in addresses.items()}
    return re.sub(r"^ws+://[^/]+", ws, re.sub(r"^https://[^/]+", rest, addresses))


MARKET = "BTC/USDT"
DEADLINE_S = 20


async def until(watch, is_wanted):
    """Return the first batch that a watch method brings and that is wanted."""
    while True:
        found = await asyncio.wait_for(watch(), DEADLINE_S)
        if is_wanted(found):
            return found


async def drive(exchange):
    """Go through the ordinary course."""
    await exchange.load_markets()
    trades, book, candles, ticker, best = await asyncio.gather(
        until(lambda: exchange.watch_trades(MARKET), bool),
        until(lambda: exchange.watch_order_book(MARKET), lambda book: book["bids"] and book["asks"]),
        until(lambda: exchange.watch_ohlcv(MARKET, "1m"), bool),
        until(lambda: exchange.watch_ticker(MARKET), bool),
        until(lambda: exchange.watch_bids_asks([MARKET]), bool),
    )
    await exchange.authenticate()  # no event is missed: the user stream is open before the first order
    told = asyncio.gather(
        until(lambda: exchange.watch_orders(MARKET), lambda orders: orders[-1]["status"] == "closed"),
        until(lambda: exchange.watch_my_trades(MARKET), bool),
        until(exchange.watch_balance, bool),
    )
    await asyncio.sleep(0)  # the watchers wait now
    bought = await exchange.create_order(MARKET, "market", "buy", 0.01)
    orders, own_trades, balance = await told

    low = ticker["last"] * 0.9
    told = asyncio.create_task(
        until(lambda: exchange.watch_orders(MARKET), lambda orders: orders[-1]["status"] == "canceled")
    )
    resting = await exchange.create_order(MARKET, "limit", "buy", 0.01, low)
    cancelled = await exchange.cancel_order(resting["id"], MARKET)
    told_of = (await told)[-1]["id"]
    sold = await exchange.create_order(MARKET, "market", "sell", 0.009)
    after = await exchange.fetch_balance_ws()
    return {
        "placed": [int(order["id"]) for order in (bought, resting, sold)],
        "filled": [int(order["id"]) for order in (bought, sold)],
        "cancelled": [int(cancelled["id"])],
        "balances": {each["asset"]: [each["free"], each["locked"]] for each in after["info"]["balances"]},
        "seen": [bool(trades), bool(candles), book["bids"][0][0] < book["asks"][0][0], best[MARKET]["ask"] > 0],
        "told": [int(orders[-1]["id"]), int(own_trades[-1]["order"]), int(told_of), balance["BTC"]["free"] > 0],
    }


async def main():
    exchange = ccxt.pro.binance({"apiKey": os.environ["API_KEY"], "secret": os.environ["API_SECRET"]})
    exchange.urls["api"] = addresses_at(exchange.urls["api"], os.environ["EXCHANGE_REST"], os.environ["EXCHANGE_WS"])
    # docs/paper_exchange.md
    exchange.urls["api"]["ws"]["spot"] = os.environ["EXCHANGE_WS"] + "/stream/ws"
    # until here
    try:
        print(json.dumps(await drive(exchange)))
    finally:
        await exchange.close()


asyncio.run(main())
