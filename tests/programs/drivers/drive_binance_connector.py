"""binance-connector: the REST client, the stream client and the WebSocket API client."""

import json
import os
import queue

# docs/paper_exchange.md
from binance.spot import Spot
from binance.websocket.spot.websocket_api import SpotWebsocketAPIClient
from binance.websocket.spot.websocket_stream import SpotWebsocketStreamClient

REST, WS = os.environ["EXCHANGE_REST"], os.environ["EXCHANGE_WS"]
KEY, SECRET = os.environ["API_KEY"], os.environ["API_SECRET"]

messages = queue.Queue()
client = Spot(api_key=KEY, api_secret=SECRET, base_url=REST)
streams = SpotWebsocketStreamClient(stream_url=WS, on_message=lambda _, text: messages.put(text))
socket = SpotWebsocketAPIClient(
    stream_url=WS + "/ws-api/v3", api_key=KEY, api_secret=SECRET, on_message=lambda _, text: messages.put(text)
)
# until here

SYMBOL = "ETHUSDT"
DEADLINE_S = 20


def received(is_wanted):
    """Return the next message that is wanted."""
    while True:
        message = json.loads(messages.get(timeout=DEADLINE_S))
        if is_wanted(message):
            return message


client.ping()
symbols = [each["symbol"] for each in client.exchange_info()["symbols"]]
last = float(client.ticker_price(SYMBOL)["price"])
depth = client.depth(SYMBOL, limit=10)
candles = client.klines(SYMBOL, "1h", limit=24)

streams.trade(symbol=SYMBOL)
trade = received(lambda message: message.get("e") == "trade")
streams.kline(symbol=SYMBOL, interval="1m")
candle = received(lambda message: message.get("e") == "kline")
socket.account()
over_socket = received(lambda message: "balances" in message.get("result", {}) if "status" in message else False)

bought = client.new_order(SYMBOL, "BUY", "MARKET", quantity="0.1")
resting = client.new_order(
    SYMBOL, "BUY", "LIMIT", timeInForce="GTC", quantity="0.1", price=f"{last * 0.9:.2f}", newOrderRespType="RESULT"
)
waiting = client.get_open_orders(SYMBOL)
cancelled = client.cancel_order(SYMBOL, orderId=resting["orderId"])
pair = client.new_oco_order(
    SYMBOL,
    "SELL",
    quantity="0.05",
    aboveType="LIMIT_MAKER",
    abovePrice=f"{last * 1.1:.2f}",
    belowType="STOP_LOSS_LIMIT",
    belowStopPrice=f"{last * 0.9:.2f}",
    belowPrice=f"{last * 0.89:.2f}",
    belowTimeInForce="GTC",
)
client.cancel_open_orders(SYMBOL)
sold = client.new_order(SYMBOL, "SELL", "MARKET", quantity="0.09")
account = client.account()

print(
    json.dumps(
        {
            "placed": [order["orderId"] for order in (bought, resting, *pair["orders"], sold)],
            "filled": [order["orderId"] for order in (bought, sold)],
            "cancelled": [order["orderId"] for order in (cancelled, *pair["orders"])],
            "balances": {each["asset"]: [each["free"], each["locked"]] for each in account["balances"]},
            "seen": [symbols, len(depth["bids"]), len(candles), [order["orderId"] for order in waiting]],
            "traded": sorted({each["orderId"] for each in client.my_trades(SYMBOL)}),
            "streams": [trade["s"], candle["k"]["i"], over_socket["status"]],
        }
    ),
    flush=True,
)
streams.stop()
socket.stop()
