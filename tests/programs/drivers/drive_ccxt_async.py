"""ccxt, asynchronous: what a bot asks at once, and the course of an order."""

import asyncio
import json
import os
import re

import ccxt.async_support as ccxt


def addresses_at(addresses, rest, ws):
    """Return ccxt's addresses with the exchange's in place of Binance's hosts."""
    if isinstance(addresses, dict):
        return {name: addresses_at(each, rest, ws) for name, each in addresses.items()}
    return re.sub(r"^ws+://[^/]+", ws, re.sub(r"^https://[^/]+", rest, addresses))


MARKET = "ETH/USDT"


async def drive(exchange):
    """Go through the ordinary course."""
    await exchange.load_markets()
    ticker, candles, balance = await asyncio.gather(
        exchange.fetch_ticker(MARKET), exchange.fetch_ohlcv(MARKET, "5m", limit=20), exchange.fetch_balance()
    )
    bought = await exchange.create_market_buy_order_with_cost(MARKET, 500)
    resting = await asyncio.gather(
        *(exchange.create_order(MARKET, "limit", "buy", 0.02, ticker["last"] * rate) for rate in (0.9, 0.8))
    )
    waiting = await exchange.fetch_open_orders(MARKET)
    cancelled = [await exchange.cancel_order(order["id"], MARKET) for order in resting]
    sold = await exchange.create_order(MARKET, "market", "sell", bought["filled"])
    trades = await exchange.fetch_my_trades(MARKET)
    after = await exchange.fetch_balance()
    return {
        "placed": [int(order["id"]) for order in (bought, *resting, sold)],
        "filled": [int(order["id"]) for order in (bought, sold)],
        "cancelled": [int(order["id"]) for order in cancelled],
        "balances": {each["asset"]: [each["free"], each["locked"]] for each in after["info"]["balances"]},
        "seen": [len(candles), len(waiting), balance["USDT"]["free"] > 0],
        "traded": sorted({int(trade["order"]) for trade in trades}),
    }


async def main():
    exchange = ccxt.binance({"apiKey": os.environ["API_KEY"], "secret": os.environ["API_SECRET"]})
    exchange.urls["api"] = addresses_at(exchange.urls["api"], os.environ["EXCHANGE_REST"], os.environ["EXCHANGE_WS"])
    try:
        print(json.dumps(await drive(exchange)))
    finally:
        await exchange.close()


asyncio.run(main())
