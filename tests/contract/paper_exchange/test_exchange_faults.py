"""What clients meet when requests are struck by faults, and what the journal says of it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.contract.paper_exchange.faulty_exchange import FaultyExchange, faulty_exchange

IN_MILLISECONDS = 1_000
ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"}
NAME = "ctE-test00-1"


@pytest.fixture
async def exchange(tmp_path: Path) -> AsyncIterator[FaultyExchange]:
    async with faulty_exchange(tmp_path) as faulty:
        yield faulty


async def place(exchange: FaultyExchange, name: str = NAME, **changes: Any) -> tuple[int, Any]:
    order = {**ORDER, "newClientOrderId": name, "recvWindow": 60_000, **changes}
    return await exchange.local.ask_signed("POST", "/api/v3/order", **order)


def orders(exchange: FaultyExchange) -> list[str]:
    return [order.request.client_id for order in exchange.local.exchange.venue.desk.orders("main")]


def journal(directory: Path, kind: str) -> list[dict[str, Any]]:
    lines = (line for path in sorted((directory / "journal").glob("*.jsonl")) for line in path.read_text().splitlines())
    return [change for line in lines for change in json.loads(line)["changes"] if change["type"] == kind]


@pytest.mark.parametrize(
    ("kind", "settings", "status", "answer", "retry_after"),
    [
        ("request_failed", {}, 500, -1001, None),
        ("request_failed", {"status": 403, "code": None}, 403, "<html>", None),
        ("request_failed", {"status": 502, "code": None}, 502, "<html>", None),
        ("request_failed", {"status": 400, "code": -1021, "message": "Timestamp."}, 400, -1021, None),
        ("request_throttled", {"retry_after_s": 7}, 429, -1003, "7"),
        ("request_banned", {"retry_after_s": 99}, 418, -1003, "99"),
        ("orders_throttled", {}, 429, -1015, "10"),
        ("reply_failed", {}, 503, -1007, None),
        ("reply_failed", {"status": 500, "code": -1006}, 500, -1006, None),
        ("reply_failed", {"status": 408}, 408, -1007, None),
        ("reply_failed", {"status": 504, "code": None}, 504, "<html>", None),
        ("reply_html", {}, 200, "<html>", None),
        ("reply_empty", {}, 200, None, None),
    ],
)
async def test_an_order_is_answered_as_the_fault_says_and_accepted_only_if_the_reply_was_struck(
    exchange: FaultyExchange, *, kind, settings, status, answer, retry_after
):
    exchange.arm(kind, count=1, on={"method": "POST", "path": "/api/v3/order"}, **settings)
    query = f"symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.001&newClientOrderId={NAME}&timestamp="
    query += str(int(time.time() * IN_MILLISECONDS))
    url = f"{exchange.local.rest}/api/v3/order?{query}&signature={exchange.local.sign(query)}"

    async with exchange.local.http.post(url, headers=exchange.local.headers) as response:
        text = await response.text()

    assert response.status == status
    assert response.headers.get("Retry-After") == retry_after
    match answer:
        case None:
            assert text == ""
        case int():
            assert json.loads(text)["code"] == answer
        case _:
            assert text.startswith(answer)
    assert orders(exchange) == ([NAME] if kind.startswith("reply") else [])


@pytest.mark.parametrize(
    ("kind", "error", "accepted"),
    [
        ("request_lost", aiohttp.ServerDisconnectedError, []),
        ("reply_cut", aiohttp.ServerDisconnectedError, [NAME]),
        ("reply_truncated", aiohttp.ClientPayloadError, [NAME]),
    ],
)
async def test_a_connection_that_ends_leaves_no_answer(exchange: FaultyExchange, tmp_path, kind, error, accepted):
    exchange.arm(kind, on={"client_id_prefix": "ctE-", "account": "main", "symbol": "BTCUSDT", "side": "BUY"})

    with pytest.raises(error):
        await place(exchange)

    assert orders(exchange) == accepted
    (struck,) = journal(tmp_path, "fault")
    assert struck == exchange.strikes[0]
    assert {name: struck[name] for name in ("kind", "account", "symbol", "side", "client_id", "method", "path")} == {
        "kind": kind,
        "account": "main",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "client_id": NAME,
        "method": "POST",
        "path": "/api/v3/order",
    }
    assert exchange.log[-1].startswith(f"fault 1 struck: {kind} ")


@pytest.mark.parametrize(
    "on",
    [{"client_id_prefix": "ctP-"}, {"account": "visitor"}, {"side": "SELL"}, {"symbol": "ETHUSDT"}, {"method": "GET"}],
)
async def test_what_was_not_selected_is_not_struck(exchange: FaultyExchange, on):
    exchange.arm("request_lost", on=on)

    assert (await place(exchange))[0] == 200
    assert exchange.strikes == []


async def test_a_list_is_known_by_its_working_order_and_a_cancel_by_what_it_cancels(exchange: FaultyExchange):
    price = float((await exchange.local.ask("GET", "/api/v3/ticker/price", symbol="BTCUSDT"))[1]["price"])
    entry = {"workingType": "LIMIT", "workingSide": "BUY", "workingTimeInForce": "GTC", "workingQuantity": "0.001"}
    entry |= {"workingPrice": f"{price * 0.9:.2f}", "workingClientOrderId": NAME, "listClientOrderId": "ctL-1"}
    stop = {"pendingType": "STOP_LOSS", "pendingSide": "SELL", "pendingStopPrice": f"{price * 0.8:.2f}"}
    exchange.arm("reply_html", on={"client_id_prefix": "ctE-"})

    listed = await exchange.local.ask_signed(
        "POST", "/api/v3/orderList/oto", symbol="BTCUSDT", **entry, **stop, pendingQuantity="0.001", recvWindow=60_000
    )
    named = {"symbol": "BTCUSDT", "origClientOrderId": NAME, "newClientOrderId": "the-cancel", "recvWindow": 60_000}
    await exchange.local.ask_signed("DELETE", "/api/v3/order", **named)

    assert listed[1].startswith("<html>")
    assert [(each["client_id"], each["path"], each.get("side")) for each in exchange.strikes] == [
        (NAME, "/api/v3/orderList/oto", "BUY"),
        (NAME, "/api/v3/order", None),
    ]
    assert exchange.local.exchange.venue.desk.open_orders("main") == []


async def test_a_refused_order_is_never_struck_after_acceptance(exchange: FaultyExchange):
    exchange.arm("reply_cut")

    assert (await place(exchange, quantity="100"))[1]["code"] == -2010
    assert exchange.strikes == []


async def test_an_order_that_arrives_after_its_window_is_refused(exchange: FaultyExchange):
    exchange.arm("request_late", delay_ms_min=50, delay_ms_max=60)

    assert (await place(exchange, recvWindow=10))[1]["code"] == -1021
    assert (await place(exchange))[0] == 200


async def test_a_slow_answer_is_the_true_one(exchange: FaultyExchange):
    exchange.arm("reply_slow", delay_ms_max=20)

    assert (await place(exchange))[1]["clientOrderId"] == NAME


async def test_a_young_order_is_not_found_and_not_listed(exchange: FaultyExchange):
    at = {"symbol": "BTCUSDT"}
    await place(exchange)
    resting = {"type": "LIMIT", "timeInForce": "GTC", "price": "20000"}
    await place(exchange, "resting", **resting)
    number = exchange.arm("answer_not_found", lag_ms=60_000)

    found = await exchange.local.ask_signed("GET", "/api/v3/order", **at, origClientOrderId=NAME)
    assert found == (400, {"code": -2013, "msg": "Order does not exist."})
    for path in ("openOrders", "allOrders", "myTrades"):
        assert await exchange.local.ask_signed("GET", f"/api/v3/{path}", **at) == (200, [])
    assert len(exchange.strikes) == 4
    exchange.layer.faults.disarm(number)
    exchange.arm("answer_not_found", lag_ms=0)
    await asyncio.sleep(0.002)
    assert (await exchange.local.ask_signed("GET", "/api/v3/order", **at, origClientOrderId=NAME))[0] == 200
    assert (await exchange.local.ask_signed("DELETE", "/api/v3/order", **at, origClientOrderId="resting"))[0] == 200
    assert len(exchange.strikes) == 4, "what changed nothing did not happen"


async def test_the_clock_is_wrong_by_the_skew_and_requests_are_judged_by_the_true_time(exchange: FaultyExchange):
    exchange.arm("answer_clock", skew_ms=-30_000)

    skewed = (await exchange.local.ask("GET", "/api/v3/time"))[1]["serverTime"]

    assert 29_000 < time.time() * IN_MILLISECONDS - skewed < 90_000
    assert (await place(exchange))[0] == 200


async def test_a_market_order_may_expire_part_filled(exchange: FaultyExchange, tmp_path):
    exchange.arm("order_part_filled", share="0.25", on={"symbol": "BTCUSDT"})

    _, answer = await place(exchange, quantity="0.004")

    assert (answer["status"], answer["executedQty"]) == ("EXPIRED", "0.00100000")
    assert sum(float(fill["qty"]) for fill in answer["fills"]) == 0.001
    assert journal(tmp_path, "order")[-1]["expiry_reason"] == "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"
    limit = {"type": "LIMIT", "price": answer["fills"][0]["price"]}
    _, killed = await place(exchange, "fok", **limit, timeInForce="FOK")
    assert killed["status"] in {"FILLED", "EXPIRED"}
    assert killed["executedQty"] in {"0.00100000", "0.00000000"}, "what must trade whole does"


@pytest.mark.parametrize(("kind", "status"), [("request_banned", 418), ("request_throttled", 429)])
async def test_a_connection_is_refused(exchange: FaultyExchange, kind, status):
    exchange.arm(kind, on={"path": "/ws-api/v3"}, count=1)
    exchange.arm(kind, on={"path": "/stream"}, count=1)

    for path in ("/ws-api/v3", "/stream?streams=btcusdt@trade"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await exchange.local.http.ws_connect(exchange.local.socket + path)
        assert (refused.value.status, "Retry-After" in (refused.value.headers or {})) == (status, True)
        async with exchange.local.http.ws_connect(exchange.local.socket + path):
            pass


async def test_a_request_over_the_websocket_api_is_refused_or_never_answered(exchange: FaultyExchange):
    name = "userDataStream.subscribe.signature"
    exchange.arm("request_failed", on={"method": "WS", "path": name}, count=1)
    exchange.arm("request_lost", on={"method": "WS", "path": name}, count=1)

    async with exchange.local.http.ws_connect(f"{exchange.local.socket}/ws-api/v3") as socket:
        for number in range(3):
            await socket.send_json({"id": number, "method": name, "params": exchange.local.signed_params()})
        answers = [await socket.receive_json(timeout=20) for _ in range(2)]

    assert [(answer["id"], answer["status"]) for answer in answers] == [(0, 500), (2, 200)]
    assert [strike["account"] for strike in exchange.strikes] == ["main", "main"]
