"""python-binance: the synchronous client, the socket manager and the user stream of the asynchronous one."""

import asyncio
import json
import os

# docs/paper_exchange.md
from binance import AsyncClient, BinanceSocketManager, Client

REST, WS = os.environ["EXCHANGE_REST"], os.environ["EXCHANGE_WS"]
for client_class in (Client, AsyncClient):
    client_class.API_URL = REST + "/api"
    client_class.MARGIN_API_URL = REST + "/sapi"
    client_class.WS_API_URL = WS + "/ws-api/v3"
BinanceSocketManager.STREAM_URL = WS + "/"
# until here

KEY, SECRET, SYMBOL = os.environ["API_KEY"], os.environ["API_SECRET"], "BTCUSDT"
DEADLINE_S = 20


def drive_rest():
    """Go through the ordinary course of the synchronous client."""
    client = Client(KEY, SECRET)
    symbols = [each["symbol"] for each in client.get_exchange_info()["symbols"]]
    last = float(client.get_symbol_ticker(symbol=SYMBOL)["price"])
    candles = client.get_historical_klines(SYMBOL, Client.KLINE_INTERVAL_1MINUTE, "2 hours ago UTC")
    bought = client.order_market_buy(symbol=SYMBOL, quantity="0.01")
    low = f"{last * 0.9:.2f}"
    resting = client.order_limit_buy(symbol=SYMBOL, quantity="0.01", price=low)
    waiting = client.get_open_orders(symbol=SYMBOL)
    cancelled = client.cancel_order(symbol=SYMBOL, orderId=resting["orderId"])
    client.create_test_order(symbol=SYMBOL, side="SELL", type="MARKET", quantity="0.009")
    sold = client.order_market_sell(symbol=SYMBOL, quantity="0.009")
    asked = client.get_order(symbol=SYMBOL, orderId=sold["orderId"])
    trades = client.get_my_trades(symbol=SYMBOL)
    return {
        "placed": [order["orderId"] for order in (bought, resting, sold)],
        "filled": [order["orderId"] for order in (bought, sold)],
        "cancelled": [cancelled["orderId"]],
        "seen": [symbols, len(candles) > 100, [order["orderId"] for order in waiting], asked["status"]],
        "traded": sorted({trade["orderId"] for trade in trades}),
    }


async def received(socket, *kinds):
    """Return the first events of these kinds, in this order."""
    found = []
    async with asyncio.timeout(DEADLINE_S):
        while len(found) < len(kinds):
            event = await socket.recv()
            if event["e"] == kinds[len(found)]:
                found.append(event)
    return found


async def drive_streams():
    """Go through the ordinary course of the asynchronous client."""
    client = await AsyncClient.create(KEY, SECRET)
    try:
        sockets = BinanceSocketManager(client)
        async with sockets.trade_socket(SYMBOL) as socket:
            (trade,) = await received(socket, "trade")
        async with sockets.multiplex_socket(["btcusdt@depth@100ms", "ethusdt@miniTicker"]) as socket:
            combined = set()
            async with asyncio.timeout(DEADLINE_S):
                while len(combined) < 2:
                    combined.add((await socket.recv())["stream"])
        async with sockets.user_socket() as socket:
            order = await client.order_market_buy(symbol=SYMBOL, quantity="0.001")
            told = await received(socket, "executionReport", "executionReport", "outboundAccountPosition")
        account = await client.get_account()
    finally:
        await client.close_connection()
    return {
        "placed": [order["orderId"]],
        "filled": [order["orderId"]],
        "told": [[event["x"], event["i"]] for event in told[:2]],
        "streams": [trade["s"], *sorted(combined)],
        "balances": {each["asset"]: [each["free"], each["locked"]] for each in account["balances"]},
    }


def main():
    rest, streams = drive_rest(), asyncio.run(drive_streams())
    both = {name: rest[name] + streams[name] for name in ("placed", "filled")}
    print(json.dumps(streams | rest | both))


main()
