"""Binance's conventions as a client without ccxt meets them: errors, headers, paths, frames and the user stream."""

import asyncio
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

DEADLINE_S = 20.0


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


class Signer:
    """Signs as Binance wants it: the raw query, then the raw body."""

    def __init__(self, key: dict[str, str]) -> None:
        self.headers = {"X-MBX-APIKEY": key["api_key"]}
        self._secret = key["api_secret"]

    def signed(self, **parameters: object) -> str:
        values = {"timestamp": int(time.time() * 1_000), **parameters}
        return self.signature_of(urlencode({name: value for name, value in values.items() if value is not None}))

    def signature_of(self, payload: str, separator: str = "&") -> str:
        digest = hmac.new(self._secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
        return f"{payload}{separator}signature={digest}"


@pytest.fixture
def signer(exchange):
    return Signer(exchange.keys["visitor"])


class Api:
    """Sends requests to the exchange, signed where asked."""

    def __init__(self, http: aiohttp.ClientSession, rest: str, signer: Signer) -> None:
        self._http = http
        self._rest = rest
        self._signer = signer

    async def signed(self, method: str, path: str, parameters: dict[str, object]) -> tuple[aiohttp.ClientResponse, Any]:
        url = f"{self._rest}/api/v3/{path}?{self._signer.signed(**parameters)}"
        return await self._answer(method, url, self._signer.headers)

    async def keyed(self, path: str, headers: dict[str, str]) -> tuple[aiohttp.ClientResponse, Any]:
        return await self._answer("GET", f"{self._rest}/api/v3/{path}?{self._signer.signed()}", headers)

    async def _answer(self, method: str, url: str, headers: dict[str, str]) -> tuple[aiohttp.ClientResponse, Any]:
        async with self._http.request(method, url, headers=headers) as answer:
            return answer, await answer.json()


@pytest.fixture
def api(http, exchange, signer):
    return Api(http, exchange.rest, signer)


ORDER = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01"}
LIMIT = ORDER | {"type": "LIMIT", "timeInForce": "GTC", "price": "50000"}
MARKET = ORDER | {"type": "MARKET"}


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"symbol": "NOPEUSDT"}, -1121, "Invalid symbol."),
        ({"side": "HOLD"}, -1117, "Invalid side."),
        ({"type": "MAYBE"}, -1116, "Invalid orderType."),
        ({"timeInForce": "GTD"}, -1115, "Invalid timeInForce."),
        ({"timeInForce": None}, -1102, "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed."),
        ({"side": None}, -1102, "Mandatory parameter 'side' was not sent, was empty/null, or malformed."),
        ({"stopPrice": "1"}, -1106, "Parameter 'stopPrice' sent when not required."),
        (
            {"timeInforce": "GTC", "timeInForce": None},
            -1104,
            "Not all sent parameters were read; read '7' parameter(s) but was sent '8'.",
        ),
        (
            {"price": "1e5"},
            -1100,
            "Illegal characters found in parameter 'price'; legal range is '^([0-9]{1,20})(\\.[0-9]{1,20})?$'.",
        ),
        (
            {"newClientOrderId": "a b"},
            -1100,
            "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'.",
        ),
        ({"quantity": "0.010000001"}, -1111, "Parameter 'quantity' has too much precision."),
        ({"price": "50000.001"}, -1013, "Filter failure: PRICE_FILTER"),
        ({"price": "0"}, -1013, "Filter failure: PRICE_FILTER"),
        ({"price": "2000000"}, -1013, "Filter failure: PRICE_FILTER"),
        ({"quantity": "0.010001"}, -1013, "Filter failure: LOT_SIZE"),
        ({"quantity": "9001"}, -1013, "Filter failure: LOT_SIZE"),
        ({"price": "900000"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        ({"price": "5000"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        ({"quantity": "0.00001"}, -1013, "Filter failure: NOTIONAL"),
        ({"quantity": "10"}, -2010, "Account has insufficient balance for requested action."),
        ({"icebergQty": "0.00009"}, -1013, "Filter failure: ICEBERG_PARTS"),
        (
            {"selfTradePreventionMode": "EXPIRE_NOBODY"},
            -1013,
            "This symbol does not allow the specified self-trade prevention mode.",
        ),
        ({"recvWindow": 60001}, -1131, "recvWindow must be less than 60000."),
        ({"timestamp": None}, -1102, "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed."),
        ({"timestamp": 1}, -1021, "Timestamp for this request is outside of the recvWindow."),
        ({"timestamp": 99999999999999}, -1021, "Timestamp for this request was 1000ms ahead of the server's time."),
    ],
)
async def test_a_wrong_limit_order_gets_binances_answer(api, changes, code, message):
    answer, body = await api.signed("POST", "order", {**LIMIT, **changes})

    assert answer.status == 400
    assert body == {"code": code, "msg": message}
    assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert int(answer.headers["x-mbx-used-weight-1m"]) > 0


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"timeInForce": "GTC"}, -1106, "Parameter 'timeInForce' sent when not required."),
        ({"price": "1"}, -1106, "Parameter 'price' sent when not required."),
        (
            {"quantity": None},
            -1102,
            "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!",
        ),
        ({"quantity": "200"}, -1013, "Filter failure: MARKET_LOT_SIZE"),
        ({"quoteOrderQty": "4.99", "quantity": None}, -1013, "Filter failure: NOTIONAL"),
        ({"quoteOrderQty": "10"}, -1106, "Parameter 'quantity' sent when not required."),
    ],
)
async def test_a_wrong_market_order_gets_binances_answer(api, changes, code, message):
    _, body = await api.signed("POST", "order", {**MARKET, **changes})

    assert body == {"code": code, "msg": message}


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [({}, 401, -2014), ({"X-MBX-APIKEY": "short"}, 401, -2014), ({"X-MBX-APIKEY": "A" * 64}, 401, -2015)],
)
async def test_a_key_that_is_malformed_or_unknown_is_refused(api, headers, status, code):
    answer, body = await api.keyed("account", headers)

    assert (answer.status, body["code"]) == (status, code)


async def test_a_wrong_signature_is_refused(http, exchange, signer):
    query = signer.signed() + "00"
    async with http.get(f"{exchange.rest}/api/v3/account?{query}", headers=signer.headers) as answer:
        assert await answer.json() == {"code": -1022, "msg": "Signature for this request is not valid."}


async def test_query_and_body_are_signed_together_without_a_separator(http, exchange, signer):
    query = f"symbol=BTCUSDT&side=BUY&type=MARKET&timestamp={int(time.time() * 1_000)}"
    body = "quantity=0.01&newClientOrderId=split"
    signature = signer.signature_of(query + body).rpartition("&signature=")[2]

    url = f"{exchange.rest}/api/v3/order?{query}"
    async with http.post(url, data=f"{body}&signature={signature}", headers=signer.headers) as answer:
        placed = await answer.json()

    assert placed["status"] == "FILLED"
    assert int(answer.headers["x-mbx-order-count-10s"]) >= 0
    assert answer.headers["x-mbx-uuid"]


async def test_a_delete_may_carry_its_parameters_in_the_body(http, exchange, signer):
    url = f"{exchange.rest}/api/v3/order"
    price = LIMIT | {"newClientOrderId": "in-the-body"}
    async with http.post(url, data=signer.signed(**price), headers=signer.headers) as answer:
        assert answer.status == 200

    body = signer.signed(symbol="BTCUSDT", origClientOrderId="in-the-body")
    headers = signer.headers | {"Content-Type": "application/x-www-form-urlencoded"}
    async with http.delete(url, data=body, headers=headers) as answer:
        assert (await answer.json())["status"] == "CANCELED"


@pytest.mark.parametrize(
    ("method", "path", "parameters", "code"),
    [
        ("GET", "order", {"symbol": "BTCUSDT", "orderId": 999_999_999}, -2013),
        ("GET", "order", {"symbol": "BTCUSDT"}, -1102),
        ("DELETE", "order", {"symbol": "BTCUSDT", "origClientOrderId": "nobody"}, -2011),
        ("GET", "orderList", {"orderListId": 999_999}, -2018),
        ("GET", "myTrades", {"symbol": "BTCUSDT", "startTime": 1, "endTime": 86_400_002}, -1127),
    ],
)
async def test_what_is_not_there_is_answered_by_code(api, method, path, parameters, code):
    _, body = await api.signed(method, path, parameters)

    assert body["code"] == code


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v3/klines?symbol=BTCUSDT&interval=2s", 400, -1120),
        ("/api/v3/klines?symbol=BTCUSDT", 400, -1102),
        ("/api/v3/depth?symbol=btcusdt", 400, -1100),
        ("/api/v3/ticker/price?symbol=BTCUSDT&symbols=%5B%22BTCUSDT%22%5D", 400, -1128),
        ("/api/v3/ticker/price?symbols=BTCUSDT", 400, -1100),
        ("/api/v3/trades?symbol=BTCUSDT&limit=0", 400, -1130),
        ("/api/v3/trades?symbol=BTCUSDT&symbol=BTCUSDT", 400, -1101),
    ],
)
async def test_wrong_public_requests_get_binances_codes(http, exchange, path, status, code):
    async with http.get(exchange.rest + path) as answer:
        assert (answer.status, (await answer.json())["code"]) == (status, code)


async def test_an_unknown_path_is_no_json(http, exchange):
    async with http.get(f"{exchange.rest}/api/v3/nothing") as answer:
        assert (answer.status, answer.content_type) == (404, "text/html")


async def test_the_combined_stream_wraps_its_frames(http, exchange):
    base = exchange.endpoints["exchange_ws"]
    async with http.ws_connect(f"{base}/stream?streams=btcusdt@trade/ethusdt@bookTicker") as socket:
        seen: set[str] = set()
        async with asyncio.timeout(DEADLINE_S):
            while len(seen) < 2:
                seen.add((await socket.receive_json())["stream"])

    assert seen == {"btcusdt@trade", "ethusdt@bookTicker"}


async def test_a_raw_stream_is_named_in_its_path_and_can_be_managed(http, exchange):
    base = exchange.endpoints["exchange_ws"]
    async with http.ws_connect(f"{base}/ws/btcusdt@kline_1s") as socket, asyncio.timeout(DEADLINE_S):
        assert (await socket.receive_json())["e"] == "kline"
        await socket.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@depth5@100ms"], "id": 1})
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 2})
        await socket.send_json({"method": "JUMP", "id": 3})
        replies: dict[int, Any] = {}
        depth: Any = None
        while len(replies) < 3 or depth is None:
            message = await socket.receive_json()
            if "id" in message:
                replies[message["id"]] = message
            elif "lastUpdateId" in message:
                depth = message

    assert replies[1] == {"result": None, "id": 1}
    assert replies[2]["result"] == ["btcusdt@depth5@100ms", "btcusdt@kline_1s"]
    assert replies[3]["error"]["code"] == 2
    assert len(depth["bids"]) == len(depth["asks"]) == 5


async def test_a_client_that_floods_its_stream_is_cut_off(http, exchange):
    async with http.ws_connect(f"{exchange.endpoints['exchange_ws']}/ws") as socket, asyncio.timeout(DEADLINE_S):
        for number in range(10):
            await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
        while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
            pass

        assert socket.close_code == aiohttp.WSCloseCode.POLICY_VIOLATION


def subscription(signer: Signer, number: int) -> dict[str, object]:
    timestamp = int(time.time() * 1_000)
    api_key = signer.headers["X-MBX-APIKEY"]
    payload = f"apiKey={api_key}&timestamp={timestamp}"
    signature = signer.signature_of(payload).rpartition("=")[2]
    params = {"apiKey": api_key, "timestamp": timestamp, "signature": signature}
    return {"id": number, "method": "userDataStream.subscribe.signature", "params": params}


async def test_the_user_stream_tells_every_step_of_an_order_and_ends_when_asked(http, exchange, signer):
    base = exchange.endpoints["exchange_ws"]
    async with http.ws_connect(f"{base}/ws-api/v3") as socket, asyncio.timeout(DEADLINE_S):
        await socket.send_json({"id": 1, "method": "ping"})
        assert (await socket.receive_json())["status"] == 200
        await socket.send_json(subscription(signer, 2))
        subscribed = await socket.receive_json()
        await socket.send_json(subscription(signer, 3))
        assert (await socket.receive_json())["error"]["code"] == -2035

        order = signer.signed(**MARKET, newClientOrderId="heard")
        async with http.post(f"{exchange.rest}/api/v3/order", data=order, headers=signer.headers) as answer:
            placed = await answer.json()
        events: list[Any] = []
        while not events or events[-1]["e"] != "outboundAccountPosition":
            message = await socket.receive_json()
            assert message["subscriptionId"] == subscribed["result"]["subscriptionId"]
            events.append(message["event"])

        await socket.send_json({"id": 4, "method": "userDataStream.unsubscribe"})
        closing = [await socket.receive_json() for _ in range(2)]

    reports = events[:-1]
    assert [report["x"] for report in reports] == ["NEW"] + ["TRADE"] * len(placed["fills"])
    assert {report["c"] for report in reports} == {"heard"}
    assert [report["t"] for report in reports[1:]] == [fill["tradeId"] for fill in placed["fills"]]
    assert {balance["a"] for balance in events[-1]["B"]} == {"USDT", "BTC"}
    assert "eventStreamTerminated" in json.dumps(closing)


async def test_a_subscription_with_a_wrong_signature_is_refused(http, exchange, signer):
    request = subscription(signer, 1)
    request["params"]["signature"] = "0" * 64  # type: ignore[index]
    async with http.ws_connect(f"{exchange.endpoints['exchange_ws']}/ws-api/v3") as socket:
        await socket.send_json(request)
        reply = await socket.receive_json(timeout=DEADLINE_S)

    assert (reply["status"], reply["error"]["code"]) == (400, -1022)


async def test_unreadable_and_unknown_socket_requests_are_answered(http, exchange):
    async with http.ws_connect(f"{exchange.endpoints['exchange_ws']}/ws-api/v3") as socket:
        await socket.send_str("no json")
        unreadable = await socket.receive_json(timeout=DEADLINE_S)
        await socket.send_json({"id": 7, "method": "order.teleport"})
        unknown = await socket.receive_json(timeout=DEADLINE_S)

    assert unreadable["error"]["code"] == -1135
    assert (unknown["id"], unknown["error"]["code"]) == (7, -1020)


async def test_health_and_metrics_have_a_port_of_their_own(http, exchange):
    base = exchange.endpoints["health"]
    texts = {}
    for path in ("healthz", "readyz", "metrics"):
        async with http.get(f"{base}/{path}") as answer:
            assert answer.status == 200
            texts[path] = await answer.text()

    assert "paper_exchange_requests_total" in texts["metrics"]
