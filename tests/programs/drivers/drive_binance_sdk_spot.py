"""binance-sdk-spot, the connector's successor: REST, streams, and the user stream over the WebSocket API."""

import asyncio
import json
import os

# docs/paper_exchange.md
from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_sdk_spot.spot import Spot

REST, WS = os.environ["EXCHANGE_REST"], os.environ["EXCHANGE_WS"]
KEY, SECRET = os.environ["API_KEY"], os.environ["API_SECRET"]

client = Spot(
    config_rest_api=ConfigurationRestAPI(api_key=KEY, api_secret=SECRET, base_path=REST),
    config_ws_api=ConfigurationWebSocketAPI(api_key=KEY, api_secret=SECRET, stream_url=WS + "/ws-api/v3"),
    config_ws_streams=ConfigurationWebSocketStreams(stream_url=WS + "/stream"),
)
# until here

SYMBOL = "BTCUSDT"
DEADLINE_S = 20


def drive_rest():
    """Go through the ordinary course of the REST client."""
    api = client.rest_api
    symbols = [each.symbol for each in api.exchange_info().data().symbols]
    last = float(api.ticker_price(symbol=SYMBOL).data().actual_instance.price)
    candles = api.klines(symbol=SYMBOL, interval="1m", limit=10).data()
    bought = api.new_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity=0.01).data()
    resting = api.new_order(
        symbol=SYMBOL, side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01, price=round(last * 0.9, 2)
    ).data()
    waiting = api.get_open_orders(symbol=SYMBOL).data()
    cancelled = api.delete_order(symbol=SYMBOL, order_id=resting.order_id).data()
    sold = api.new_order(symbol=SYMBOL, side="SELL", type="MARKET", quantity=0.009).data()
    trades = api.my_trades(symbol=SYMBOL).data()
    return {
        "placed": [order.order_id for order in (bought, resting, sold)],
        "filled": [order.order_id for order in (bought, sold)],
        "cancelled": [cancelled.order_id],
        "seen": [symbols, len(candles), [order.order_id for order in waiting]],
        "traded": sorted({trade.order_id for trade in trades}),
    }


async def drive_streams():
    """Go through the ordinary course of the sockets."""
    market, own = asyncio.Queue(), asyncio.Queue()
    streams = await client.websocket_streams.create_connection()
    trades = await streams.trade(symbol=SYMBOL.lower())
    trades.on("message", market.put_nowait)
    async with asyncio.timeout(DEADLINE_S):
        trade = await market.get()
    await streams.close_connection()

    socket = await client.websocket_api.create_connection()
    user = await socket.user_data_stream_subscribe_signature()
    user.stream.on("message", own.put_nowait)
    placed = client.rest_api.new_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity=0.001).data()
    told = []
    async with asyncio.timeout(DEADLINE_S):
        while len(told) < 2:
            event = (await own.get()).actual_instance
            if type(event).__name__ == "ExecutionReport":
                told.append([event.x, event.i])
    account = (await socket.account_status()).data().result
    await socket.close_connection()
    return {
        "placed": [placed.order_id],
        "filled": [placed.order_id],
        "told": told,
        "streams": [trade.s],
        "balances": {each.asset: [each.free, each.locked] for each in account.balances},
    }


def main():
    rest, streams = drive_rest(), asyncio.run(drive_streams())
    both = {name: rest[name] + streams[name] for name in ("placed", "filled")}
    print(json.dumps(streams | rest | both))


main()
