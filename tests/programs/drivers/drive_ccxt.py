"""ccxt, synchronous: markets, prices, orders of every kind, trades, balance."""

import json
import os

# docs/paper_exchange.md
import re

import ccxt


def addresses_at(addresses, rest, ws):
    """Return ccxt's addresses with the exchange's in place of Binance's hosts."""
    if isinstance(addresses, dict):
        return {name: addresses_at(each, rest, ws) for name, each in addresses.items()}
    return re.sub(r"^ws+://[^/]+", ws, re.sub(r"^https://[^/]+", rest, addresses))


REST, WS = os.environ["EXCHANGE_REST"], os.environ["EXCHANGE_WS"]
exchange = ccxt.binance({"apiKey": os.environ["API_KEY"], "secret": os.environ["API_SECRET"]})
exchange.urls["api"] = addresses_at(exchange.urls["api"], REST, WS)
# until here

MARKET = "BTC/USDT"

markets = exchange.load_markets()
ticker = exchange.fetch_ticker(MARKET)
book = exchange.fetch_order_book(MARKET, 5)
candles = exchange.fetch_ohlcv(MARKET, "1m", limit=50)

bought = exchange.create_order(MARKET, "market", "buy", 0.01)
low, high = ticker["last"] * 0.9, ticker["last"] * 1.1
resting = exchange.create_order(MARKET, "limit", "buy", 0.01, low)
seen = exchange.fetch_order(resting["id"], MARKET)
waiting = exchange.fetch_open_orders(MARKET)
cancelled = exchange.cancel_order(resting["id"], MARKET)
stop = exchange.create_order(MARKET, "limit", "sell", 0.005, low * 0.99, {"stopLossPrice": low})
target = exchange.create_order(MARKET, "limit", "sell", 0.004, high, {"postOnly": True})
exchange.cancel_all_orders(MARKET)
sold = exchange.create_order(MARKET, "market", "sell", 0.009)

refusals = []
for attempt in (
    lambda: exchange.create_order(MARKET, "limit", "buy", 3, low),
    lambda: exchange.fetch_order("999999999", MARKET),
):
    try:
        attempt()
    except ccxt.ExchangeError as error:
        refusals.append(type(error).__name__)

after = exchange.fetch_balance()
print(
    json.dumps(
        {
            "placed": [int(order["id"]) for order in (bought, resting, stop, target, sold)],
            "filled": [int(order["id"]) for order in (bought, sold)],
            "cancelled": [int(order["id"]) for order in (cancelled, stop, target)],
            "balances": {each["asset"]: [each["free"], each["locked"]] for each in after["info"]["balances"]},
            "markets": sorted(markets),
            "seen": [len(candles), len(book["bids"]), seen["status"], [int(order["id"]) for order in waiting]],
            "traded": sorted({int(trade["order"]) for trade in exchange.fetch_my_trades(MARKET)}),
            "refusals": refusals,
        }
    )
)
