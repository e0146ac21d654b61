"""Killed at any moment under load, the exchange has told nobody what its journal does not have, and goes on exactly."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

import aiohttp

from services.paper_exchange.journal.state import State, read_journal
from tests.contract.paper_exchange.paper_exchange_process import PaperExchangeProcess, running_exchange

KILLS = 3
SENDERS = 4
OPEN = ("NEW", "PARTIALLY_FILLED")
SYMBOL = {"symbol": "BTCUSDT"}


class Visitor:
    """Trades, and remembers what it was told."""

    def __init__(self, exchange: PaperExchangeProcess, http: aiohttp.ClientSession) -> None:
        self._rest, self._socket = exchange.rest, str(exchange.endpoints["exchange_ws"])
        self._key = exchange.keys["visitor"]
        self._http = http
        self.answers: list[Mapping[str, Any]] = []
        self.events: list[Mapping[str, Any]] = []
        self.was_told = asyncio.Event()

    def signed(self, **values: Any) -> str:
        query = urlencode({**values, "timestamp": int(time.time() * 1_000), "recvWindow": 60_000})
        signature = hmac.new(self._key["api_secret"].encode(), query.encode(), hashlib.sha256).hexdigest()
        return f"{query}&signature={signature}"

    async def ask(self, method: str, path: str, **values: Any) -> Any:
        headers = {"X-MBX-APIKEY": self._key["api_key"]}
        url = f"{self._rest}/api/v3/{path}?{self.signed(**values)}"
        async with self._http.request(method, url, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def listen(self) -> None:
        """Take in the user stream until it ends."""
        values = {"apiKey": self._key["api_key"], "recvWindow": 60_000, "timestamp": int(time.time() * 1_000)}
        payload = urlencode(sorted(values.items()))
        signature = hmac.new(self._key["api_secret"].encode(), payload.encode(), hashlib.sha256).hexdigest()
        params = values | {"signature": signature}
        async with self._http.ws_connect(f"{self._socket}/ws-api/v3") as socket:
            await socket.send_json({"id": 1, "method": "userDataStream.subscribe.signature", "params": params})
            async for message in socket:
                self.events += [each for each in [json.loads(message.data).get("event")] if each]
                if len(self.events) > 20 and len(self.answers) > 20:
                    self.was_told.set()

    async def trade(self, chance: Random) -> None:
        """Send orders until nobody answers any more."""
        order = {**SYMBOL, "type": "MARKET", "newOrderRespType": "FULL"}
        while True:
            side = chance.choice(("BUY", "SELL"))
            quantity = f"0.000{chance.randint(10, 90)}"
            try:
                self.answers.append(await self.ask("POST", "order", **order, side=side, quantity=quantity))
            except aiohttp.ClientError:
                return


def compare(visitor: Visitor, directory: Path) -> State:
    """Look up everything that was told; return what the journal says."""
    found = read_journal(directory / "journal")
    assert found is not None
    state, _ = found
    fills = {(trade_id, order_id) for _, trade_id, order_id in state.fills}
    for answer in visitor.answers:
        record = state.orders[answer["orderId"]]
        assert (record["client_order_id"], record["status"]) == (answer["clientOrderId"], answer["status"])
        assert record["executed_quantity"] == answer["executedQty"]
        assert {(fill["tradeId"], answer["orderId"]) for fill in answer["fills"]} <= fills
    lines = (line for path in (directory / "journal").glob("*.jsonl") for line in path.read_text().splitlines())
    balances = {
        (change["asset"], change["free"], change["locked"])
        for line in lines
        if line.endswith("}")  # the last one may be torn
        for change in json.loads(line)["changes"]
        if change["type"] == "balance" and change["account"] == "visitor"
    }
    for event in visitor.events:
        if event["e"] == "executionReport":
            assert event["i"] in state.orders
            assert event["x"] != "TRADE" or (event["t"], event["i"]) in fills
        else:
            assert {(entry["a"], entry["f"], entry["l"]) for entry in event["B"]} <= balances
    return state


async def test_what_was_told_is_in_the_journal_and_what_is_in_the_journal_is_there_again(tmp_path: Path):
    chance = Random(20_261_123)
    with running_exchange(tmp_path) as exchange:
        for _ in range(KILLS):
            async with aiohttp.ClientSession() as http:
                visitor = Visitor(exchange, http)
                listening = asyncio.create_task(visitor.listen())
                trading = [asyncio.create_task(visitor.trade(chance)) for _ in range(SENDERS)]
                async with asyncio.timeout(60):
                    await visitor.was_told.wait()
                await asyncio.sleep(chance.random() / 4)  # the moment of the kill is what is left to chance
                exchange.kill()
                await asyncio.gather(listening, *trading)
            state = compare(visitor, tmp_path)
            exchange.start()

            async with aiohttp.ClientSession() as http:
                again = Visitor(exchange, http)
                account = await again.ask("GET", "account")
                orders = await again.ask("GET", "allOrders", **SYMBOL, limit=1_000)
                still_open = await again.ask("GET", "openOrders", **SYMBOL)
            expected = {
                asset: (record["free"], record["locked"])
                for (name, asset), record in state.balances.items()
                if name == "visitor"
            }
            assert {each["asset"]: (each["free"], each["locked"]) for each in account["balances"]} == expected
            for order in orders:
                record = state.orders[order["orderId"]]
                assert (order["status"], order["executedQty"]) == (record["status"], record["executed_quantity"])
            assert len(orders) == min(1_000, len(state.orders))
            assert {each["orderId"] for each in still_open} == {
                number for number, record in state.orders.items() if record["status"] in OPEN
            }
