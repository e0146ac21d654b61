"""freqtrade in live mode: it buys by its strategy, protects at the exchange, sells, enters by hand and cancels."""

import base64
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

REST, WS = os.environ["EXCHANGE_REST"], os.environ["EXCHANGE_WS"]
KEY, SECRET = os.environ["API_KEY"], os.environ["API_SECRET"]
PORT = int(os.environ["PROGRAM_PORT"])
USER, PASSWORD = "driver", secrets.token_hex(16)
DEADLINE_S = 120

# docs/paper_exchange.md
EXCHANGE = {
    "name": "binance",
    "key": KEY,
    "secret": SECRET,
    "pair_whitelist": ["BTC/USDT", "ETH/USDT"],
    "ccxt_config": {
        "urls": {
            "api": {
                "public": REST + "/api/v3",
                "private": REST + "/api/v3",
                "sapi": REST + "/sapi/v1",
                "sapiV3": REST + "/sapi/v3",
                "fapiPublic": REST + "/fapi/v1",
                "dapiPublic": REST + "/dapi/v1",
                "ws": {"spot": WS + "/stream/ws", "ws-api": {"spot": WS + "/ws-api/v3"}},
            }
        }
    },
}
# until here

CONFIGURATION = {
    "exchange": EXCHANGE,
    "dry_run": False,
    "trading_mode": "spot",
    "max_open_trades": 2,
    "stake_currency": "USDT",
    "stake_amount": 200,
    "timeframe": "1m",
    "strategy": "BuyOnce",
    "pairlists": [{"method": "StaticPairList"}],
    "entry_pricing": {"price_side": "other", "use_order_book": False},
    "exit_pricing": {"price_side": "other", "use_order_book": False},
    "order_types": {"entry": "market", "exit": "market", "stoploss": "limit", "stoploss_on_exchange": True},
    "force_entry_enable": True,
    "initial_state": "running",
    "internals": {"process_throttle_secs": 1},
    "api_server": {
        "enabled": True,
        "listen_ip_address": "127.0.0.1",
        "listen_port": PORT,
        "username": USER,
        "password": PASSWORD,
        "jwt_secret_key": secrets.token_hex(32),
    },
}

STRATEGY = """
from freqtrade.persistence import Trade
from freqtrade.strategy import IStrategy


class BuyOnce(IStrategy):
    timeframe = "1m"
    minimal_roi = {}
    stoploss = -0.2
    startup_candle_count = 20

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        dataframe["enter_long"] = 1 if metadata["pair"] == "BTC/USDT" else 0
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe

    def confirm_trade_entry(self, pair, *_, **__):
        return not Trade.get_trades_proxy(pair=pair)
"""


def ask(method, path, content=None):
    """Ask the bot's own API."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/api/v1/{path}",
        method=method,
        data=None if content is None else json.dumps(content).encode(),
        headers={
            "Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode(),
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def until(bot, find, what):
    """Return what is found as soon as it is there."""
    ends_at_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < ends_at_s and bot.poll() is None:
        try:
            if found := find():
                return found
        except OSError:
            pass  # it does not listen yet
        time.sleep(0.3)
    sys.exit(f"expected {what} within {DEADLINE_S} s, found none; freqtrade's exit status: {bot.poll()}")


def trades(*, closed):
    """Return the trades as the bot has them."""
    listed = ask("GET", "trades?limit=50&order_by_id=true")["trades"] if closed else ask("GET", "status")
    return [trade for trade in listed if trade["is_open"] != closed]


def drive(bot):
    """Go through the ordinary course; the bot runs."""
    bought = until(
        bot,
        lambda: [
            trade
            for trade in trades(closed=False)
            if len(trade["orders"]) > 1 and trade["orders"][0]["status"] == "closed"
        ],
        "a purchase with its stop at the exchange",
    )[0]
    ask("POST", "forceexit", {"tradeid": str(bought["trade_id"])})
    sold = until(
        bot, lambda: [trade for trade in trades(closed=True) if trade["trade_id"] == bought["trade_id"]], "a sale"
    )[0]

    price = ask("GET", "pair_candles?pair=ETH/USDT&timeframe=1m&limit=1")["data"][-1][4]
    entered = ask("POST", "forceenter", {"pair": "ETH/USDT", "price": price * 0.95, "ordertype": "limit"})
    resting = entered["orders"][0]["order_id"]
    with suppress(urllib.error.HTTPError):  # the trade is gone with its only order; the bot calls that an error
        ask("DELETE", f"trades/{entered['trade_id']}/open-order")
    until(bot, lambda: not any(trade["pair"] == "ETH/USDT" for trade in trades(closed=False)), "a cancellation")

    # A closed trade shows no cancelled orders: the stop is known from when the trade was open.
    ids = {order["ft_order_side"]: int(order["order_id"]) for order in (*bought["orders"], *sold["orders"])}
    shown = ask("GET", "show_config")
    return {
        "placed": [*ids.values(), int(resting)],
        "filled": [ids["buy"], ids["sell"]],
        "cancelled": [ids["stoploss"], int(resting)],
        "seen": [shown["state"], shown["dry_run"]],
    }


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "strategies").mkdir()
        (folder / "strategies" / "buy_once.py").write_text(STRATEGY)
        (folder / "config.json").write_text(json.dumps(CONFIGURATION))
        command = (sys.executable, "-m", "freqtrade", "trade", "--config", "config.json", "--userdir", ".")
        with (folder / "log").open("wb") as log:
            bot = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            done = drive(bot)
        except BaseException:
            print((folder / "log").read_text()[-6_000:], file=sys.stderr)
            raise
        finally:
            bot.terminate()
            bot.wait(30)
        print(json.dumps(done))


main()
