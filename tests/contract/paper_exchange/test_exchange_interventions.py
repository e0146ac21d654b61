"""What happens without a request over the API: orders by hand, transfers, and symbols that change."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from libs.invariants.journal import JournalReader
from services.paper_exchange.journal import Journal
from services.paper_exchange.venue.listing import Listing
from tests.contract.paper_exchange.faulty_exchange import FaultyExchange, faulty_exchange

FOREIGN = "ctE-zzzzzz-aaaaaaaaaaaaaaaaaaaaaaaa"
ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001"}


@pytest.fixture
async def exchange(tmp_path: Path) -> AsyncIterator[FaultyExchange]:
    async with faulty_exchange(tmp_path) as faulty:
        yield faulty


async def shown(exchange: FaultyExchange) -> dict[str, Any]:
    _, info = await exchange.local.ask("GET", "/api/v3/exchangeInfo", symbol="BTCUSDT")
    return dict(info["symbols"][0])


def filter_of(symbol: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in symbol["filters"] if each["filterType"] == name)


async def place(exchange: FaultyExchange, **changes: Any) -> tuple[int, Any]:
    last = float((await exchange.local.ask("GET", "/api/v3/ticker/price", symbol="BTCUSDT"))[1]["price"])
    order = {**ORDER, "price": f"{last * 0.5:.2f}", "recvWindow": 60_000, **changes}
    return await exchange.local.ask_signed("POST", "/api/v3/order", **order)


@pytest.mark.parametrize("status", ["BREAK", "HALT", "CANCEL_ONLY"])
async def test_a_symbol_that_does_not_trade_takes_cancels_only(exchange: FaultyExchange, status):
    _, resting = await place(exchange)

    told = await exchange.tell("PUT", "/symbols/BTCUSDT", {"status": status})

    assert (told[0], told[1]["status"], (await shown(exchange))["status"]) == (200, status, status)
    assert (await place(exchange))[1] == {"code": -1013, "msg": "Market is closed."}
    wanted = await exchange.local.ask("GET", "/api/v3/exchangeInfo", symbolStatus="TRADING")
    assert [symbol["symbol"] for symbol in wanted[1]["symbols"]] == ["ETHUSDT"]
    named = {"symbol": "BTCUSDT", "orderId": resting["orderId"]}
    assert (await exchange.local.ask_signed("DELETE", "/api/v3/order", **named))[0] == 200
    assert (await exchange.tell("PUT", "/symbols/BTCUSDT", {"status": "TRADING"}))[0] == 200
    assert (await place(exchange))[0] == 200


async def test_changed_limits_are_shown_and_checked(exchange: FaultyExchange):
    limits = {"minNotional": "1000", "maxQty": "2", "maxMarketQty": "1", "maxNumOrders": "1", "maxPosition": "3"}

    await exchange.tell("PUT", "/symbols/BTCUSDT", {"limits": limits})

    symbol = await shown(exchange)
    assert symbol["status"] == "TRADING"
    assert filter_of(symbol, "NOTIONAL")["minNotional"] == "1000.00000000"
    assert filter_of(symbol, "MARKET_LOT_SIZE")["maxQty"] == "1.00000000"
    assert filter_of(symbol, "MAX_POSITION")["maxPosition"] == "3.00000000"
    assert (await place(exchange))[1]["msg"] == "Filter failure: NOTIONAL"
    assert (await place(exchange, quantity="2.1"))[1]["msg"] == "Filter failure: LOT_SIZE"
    assert (await place(exchange, quantity="0.1"))[0] == 200
    assert (await place(exchange, quantity="0.1"))[1]["msg"] == "Filter failure: MAX_NUM_ORDERS"


async def test_what_changed_is_in_the_journal_and_outlives_a_restart(exchange: FaultyExchange, tmp_path):
    await exchange.tell("PUT", "/symbols/BTCUSDT", {"status": "BREAK", "limits": {"minNotional": "50"}})

    state = Journal(tmp_path / "journal").state
    assert state is not None
    restored = Listing(["BTCUSDT", "ETHUSDT"])
    restored.restore(state.symbols.values())

    assert restored.records() == exchange.local.exchange.venue.listing.records()
    assert restored.closed == {"BTCUSDT"}


async def test_an_order_by_hand_and_one_of_another_installation_are_in_the_truth(exchange: FaultyExchange, tmp_path):
    by_hand = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.001"}

    sold = await exchange.tell("POST", "/orders", {"order": by_hand})
    last = float(sold[1]["fills"][0]["price"])
    foreign = ORDER | {"price": f"{last * 0.5:.2f}", "newClientOrderId": FOREIGN}
    stands = await exchange.tell("POST", "/orders", {"order": foreign})
    truth = JournalReader(tmp_path / "journal").read()

    assert (sold[0], sold[1]["status"], stands[1]["clientOrderId"]) == (201, "FILLED", FOREIGN)
    assert {order.client_order_id: order.is_ours for order in truth.orders.values()} == {
        sold[1]["clientOrderId"]: False,
        FOREIGN: True,
    }
    assert len(truth.fills) == len(sold[1]["fills"])
    wish = {"symbol": "BTCUSDT", "client_order_id": FOREIGN}
    assert (await exchange.tell("DELETE", "/orders", wish))[1]["cancelled"][0]["status"] == "CANCELED"


async def test_all_orders_of_a_symbol_are_cancelled_by_hand_with_their_lists(exchange: FaultyExchange):
    _, resting = await place(exchange)
    price = float(resting["price"])
    legs = {"aboveType": "LIMIT_MAKER", "abovePrice": f"{price * 4:.2f}", "belowType": "STOP_LOSS"}
    oco = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.001", **legs, "belowStopPrice": f"{price:.2f}"}
    assert (await exchange.local.ask_signed("POST", "/api/v3/orderList/oco", **oco, recvWindow=60_000))[0] == 200

    _, answer = await exchange.tell("DELETE", "/orders", {"symbol": "BTCUSDT"})

    assert [order["status"] for order in answer["cancelled"]] == ["CANCELED"] * 3
    assert await exchange.local.ask_signed("GET", "/api/v3/openOrders", symbol="BTCUSDT") == (200, [])


async def test_a_transfer_is_told_and_written_with_the_balance_it_made(exchange: FaultyExchange, tmp_path):
    async with exchange.local.http.ws_connect(f"{exchange.local.socket}/ws-api/v3") as socket:
        params = exchange.local.signed_params()
        await socket.send_json({"id": 1, "method": "userDataStream.subscribe.signature", "params": params})
        await socket.receive_json(timeout=20)

        paid_in = await exchange.tell("POST", "/transfers", {"asset": "USDT", "amount": "500"})
        paid_out = await exchange.tell("POST", "/transfers", {"asset": "BTC", "amount": "-0.01"})
        events = [(await socket.receive_json(timeout=20))["event"] for _ in range(4)]

    assert paid_in == (201, {"asset": "USDT", "free": "10500.00000000", "locked": "0.00000000"})
    assert paid_out == (201, {"asset": "BTC", "free": "0.04000000", "locked": "0.00000000"})
    assert [event["e"] for event in events] == ["balanceUpdate", "outboundAccountPosition"] * 2
    assert [(event["a"], event["d"]) for event in events[::2]] == [("USDT", "500.00000000"), ("BTC", "-0.01000000")]
    (path,) = (tmp_path / "journal").glob("*.jsonl")
    line = json.loads(path.read_text().splitlines()[-1])
    assert [(change["type"], change.get("amount") or change["free"]) for change in line["changes"]] == [
        ("transfer", "-0.01000000"),
        ("balance", "0.04000000"),
    ]
    truth = JournalReader(tmp_path / "journal").read()
    assert truth.balances["main", "BTC"].total == Decimal("0.04")
