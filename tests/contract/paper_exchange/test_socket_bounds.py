"""How long, how much and how often Binance lets a client use a socket, with short figures where time counts."""

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest

from services.paper_exchange.api.connection import SocketRules
from services.paper_exchange.api.limits import CONNECTIONS_MAX
from services.paper_exchange.api.streams import STREAMS_MAX
from tests.contract.paper_exchange.local_exchange import DEADLINE_S, LocalExchange, local_exchange

PATHS = ("/ws", "/stream", "/ws-api/v3")
SHORT = SocketRules(ping_every_s=0.05, pong_within_s=0.4, lifetime_s=60.0)
BRIEF = SocketRules(ping_every_s=20.0, pong_within_s=60.0, lifetime_s=0.2, messages_a_second_max=None)
Socket = aiohttp.ClientWebSocketResponse


def test_the_figures_are_those_of_the_documents():
    rules = SocketRules()

    assert (rules.ping_every_s, rules.pong_within_s, rules.lifetime_s) == (20.0, 60.0, 24 * 3_600.0)
    assert (rules.messages_a_second_max, STREAMS_MAX, CONNECTIONS_MAX) == (5, 1_024, 300)


async def until_closed(socket: Socket) -> list[Any]:
    """Return the texts that come before the end."""
    texts = []
    async with asyncio.timeout(DEADLINE_S):
        while (message := await socket.receive()).type not in {
            aiohttp.WSMsgType.CLOSE,
            aiohttp.WSMsgType.CLOSED,
            aiohttp.WSMsgType.CLOSING,
            aiohttp.WSMsgType.ERROR,
        }:
            if message.type is aiohttp.WSMsgType.TEXT:
                texts.append(json.loads(message.data))
    return texts


@pytest.mark.parametrize("path", PATHS)
async def test_a_client_that_answers_no_ping_is_cut_off_in_time(tmp_path, path):
    async with (
        local_exchange(tmp_path, stream_rules=SHORT, socket_api_rules=SHORT) as local,
        local.http.ws_connect(local.socket + path, autoping=False) as socket,
    ):
        began_s = time.monotonic()
        await socket.pong(b"unasked")  # which does not count
        assert await until_closed(socket) == []
        assert time.monotonic() - began_s > SHORT.pong_within_s
        assert socket.close_code in {aiohttp.WSCloseCode.GOING_AWAY, aiohttp.WSCloseCode.ABNORMAL_CLOSURE}


async def test_a_client_that_answers_its_pings_stays(tmp_path):
    rules = SocketRules(ping_every_s=0.05, pong_within_s=0.4, messages_a_second_max=None)
    async with (
        local_exchange(tmp_path, socket_api_rules=rules) as local,
        local.http.ws_connect(f"{local.socket}/ws-api/v3", autoping=False) as socket,
    ):
        ends_s = time.monotonic() + 3 * rules.pong_within_s
        while time.monotonic() < ends_s:
            message = await socket.receive(timeout=DEADLINE_S)
            assert message.type is aiohttp.WSMsgType.PING
            await socket.pong(message.data)


@pytest.mark.parametrize(
    ("path", "wrapped"),
    [
        ("/ws", lambda event: event),
        ("/stream", lambda event: {"stream": "!serverShutdown", "data": event}),
        ("/ws-api/v3", lambda event: {"event": event}),
    ],
)
async def test_a_connection_that_is_a_day_old_is_told_so_and_closed(tmp_path, path, wrapped):
    async with (
        local_exchange(tmp_path, stream_rules=BRIEF, socket_api_rules=BRIEF) as local,
        local.http.ws_connect(local.socket + path) as socket,
    ):
        (farewell,) = await until_closed(socket)

    event = farewell.get("event") or farewell.get("data") or farewell
    assert farewell == wrapped({"e": "serverShutdown", "E": event["E"]})
    assert socket.close_code == aiohttp.WSCloseCode.GOING_AWAY


async def test_an_exchange_that_ends_says_so_to_everyone(tmp_path):
    async with aiohttp.ClientSession() as http:
        async with local_exchange(tmp_path) as local:
            sockets = [await http.ws_connect(local.socket + path) for path in PATHS]
            farewells = asyncio.gather(*(until_closed(socket) for socket in sockets))
        assert all("serverShutdown" in json.dumps(texts) for texts in await farewells)


@pytest.mark.parametrize("is_ping", [True, False])
async def test_six_frames_within_a_second_are_one_too_many(tmp_path, is_ping):
    async with (
        local_exchange(tmp_path) as local,
        local.http.ws_connect(f"{local.socket}/ws", autoping=False) as socket,
    ):
        for number in range(6):
            if is_ping:
                await socket.ping(b"p")
            else:
                await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
        assert len(await until_closed(socket)) <= 5
        assert socket.close_code == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_five_frames_within_a_second_are_answered(tmp_path):
    async with local_exchange(tmp_path) as local, local.http.ws_connect(f"{local.socket}/ws") as socket:
        for number in range(5):
            await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
        assert [(await socket.receive_json(timeout=DEADLINE_S))["id"] for _ in range(5)] == [0, 1, 2, 3, 4]


async def test_the_socket_api_is_bounded_by_weight_and_not_by_frames(tmp_path):
    async with local_exchange(tmp_path) as local, local.http.ws_connect(f"{local.socket}/ws-api/v3") as socket:
        for number in range(20):
            await call(socket, "ping", id=number)


async def test_a_connection_has_at_most_1024_streams(tmp_path):
    async with local_exchange(tmp_path) as local, local.http.ws_connect(f"{local.socket}/ws") as socket:
        names = [f"btcusdt@kline_{number}" for number in range(STREAMS_MAX)]
        await socket.send_json({"method": "SUBSCRIBE", "params": names, "id": 1})
        assert await socket.receive_json(timeout=DEADLINE_S) == {"result": None, "id": 1}
        await socket.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@depth5"], "id": 2})
        assert (await socket.receive_json(timeout=DEADLINE_S))["error"]["code"] == 2
        await socket.send_json({"method": "UNSUBSCRIBE", "params": names[:1], "id": 3})
        assert await socket.receive_json(timeout=DEADLINE_S) == {"result": None, "id": 3}


async def test_an_address_that_connects_too_often_is_turned_away(tmp_path):
    async with local_exchange(tmp_path) as local:
        now_ms = local.exchange.venue.now_ms
        for _ in range(CONNECTIONS_MAX):
            local.exchange.server._limits.connect("127.0.0.1", "streams", now_ms)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await local.http.ws_connect(f"{local.socket}/ws")

    assert refused.value.status == 429
    assert refused.value.headers is not None
    assert 0 < int(refused.value.headers["Retry-After"]) <= 300


async def call(socket: Socket, method: str, *, id: Any = 1, **params: Any) -> Any:  # noqa: A002 - the field's name
    """Call a method and return its reply, or the error of it."""
    await socket.send_json({"id": id, "method": method, "params": params})
    reply = await socket.receive_json(timeout=DEADLINE_S)
    assert reply["id"] == id
    return reply


async def test_rate_limits_are_shown_unless_the_connection_or_the_request_does_not_want_them(tmp_path):
    async with (
        local_exchange(tmp_path) as local,
        local.http.ws_connect(f"{local.socket}/ws-api/v3?returnRateLimits=false") as silent,
        local.http.ws_connect(f"{local.socket}/ws-api/v3") as talkative,
    ):
        assert "rateLimits" not in await call(silent, "ping")
        assert (await call(silent, "ping", returnRateLimits=True))["rateLimits"][0]["rateLimitType"] == "REQUEST_WEIGHT"
        # Two connections cost 2 each, and each ping 1.
        assert (await call(talkative, "ping"))["rateLimits"][0]["count"] == 7
        assert "rateLimits" not in await call(talkative, "ping", returnRateLimits=False)
        order = local.signed_params(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.001")
        kinds = [limit["rateLimitType"] for limit in (await call(talkative, "order.place", **order))["rateLimits"]]
        assert kinds == ["ORDERS", "ORDERS", "REQUEST_WEIGHT"]
        assert (await call(talkative, "v3/time"))["result"].keys() == {"serverTime"}


async def test_times_come_in_microseconds_where_a_client_wants_them(tmp_path):
    async with (
        local_exchange(tmp_path) as local,
        local.http.ws_connect(f"{local.socket}/ws-api/v3?timeUnit=microsecond") as socket,
        local.http.ws_connect(f"{local.socket}/stream?streams=btcusdt@kline_1s&timeUnit=MICROSECOND") as fine,
        local.http.ws_connect(f"{local.socket}/stream?streams=btcusdt@kline_1s") as coarse,
    ):
        candles = [(await each.receive_json(timeout=DEADLINE_S))["data"]["k"] for each in (fine, coarse)]
        headers = {"X-MBX-TIME-UNIT": "MICROSECOND"}
        async with local.http.get(f"{local.rest}/api/v3/time", headers=headers) as answer:
            asked = (await answer.json())["serverTime"]
        told = (await call(socket, "time"))["result"]["serverTime"]
        refused = await local.http.get(f"{local.rest}/stream?timeUnit=YEAR")
        assert (refused.status, (await refused.json())["code"]) == (400, -1194)

    assert candles[0]["t"] >= 10**15 > candles[1]["t"]
    assert candles[0]["T"] == candles[0]["t"] + 999_999
    assert asked // 1_000 <= told // 1_000 < asked // 1_000 + DEADLINE_S * 1_000


async def test_the_slow_and_the_fast_stream_of_a_book_have_no_gaps(tmp_path):
    names = "btcusdt@depth/btcusdt@depth@100ms/btcusdt@depth5/btcusdt@depth5@100ms"
    counts: dict[str, int] = {}
    last: dict[str, int] = {}
    async with (
        local_exchange(tmp_path) as local,
        local.http.ws_connect(f"{local.socket}/stream?streams={names}") as socket,
        asyncio.timeout(DEADLINE_S),
    ):
        while counts.get("btcusdt@depth", 0) < 3:
            message = await socket.receive_json()
            name, update = message["stream"], message["data"]
            counts[name] = counts.get(name, 0) + 1
            if "U" in update:
                assert update["U"] == last.get(name, update["U"] - 1) + 1
                last[name] = update["u"]

    assert counts["btcusdt@depth@100ms"] > 2 * counts["btcusdt@depth"]
    assert counts["btcusdt@depth5@100ms"] > 2 * counts["btcusdt@depth5"]


class Session:
    """A client with an Ed25519 key."""

    def __init__(self, local: LocalExchange, socket: Socket) -> None:
        self._local = local
        self.socket = socket

    async def log_on(self) -> Any:
        return await call(self.socket, "session.logon", **self._local.signed_params())

    async def events(self, count: int) -> list[Any]:
        return [(await self.socket.receive_json(timeout=DEADLINE_S)).get("event") for _ in range(count)]


async def test_a_session_is_signed_once_and_forgotten_when_it_is_left(tmp_path):
    async with (
        local_exchange(tmp_path, key="visitor-ed25519") as local,
        local.http.ws_connect(f"{local.socket}/ws-api/v3") as socket,
    ):
        session = Session(local, socket)
        before = (await call(socket, "session.status"))["result"]
        assert (before["apiKey"], before["authorizedSince"], before["userDataStream"]) == (None, None, False)
        assert (await call(socket, "account.status", timestamp=local.exchange.venue.now_ms))["status"] == 401

        on = (await session.log_on())["result"]
        assert (on["apiKey"], on["authorizedSince"] >= on["connectedSince"]) == (local.key.api_key, True)
        now_ms = int(time.time() * 1_000)
        assert (await call(socket, "account.status", timestamp=now_ms))["result"]["accountType"] == "SPOT"
        assert (await call(socket, "account.status"))["error"]["code"] == -1102
        assert (await call(socket, "account.status", timestamp=now_ms - 60_000))["error"]["code"] == -1021
        assert (await call(socket, "account.status", timestamp=now_ms, signature="00"))["error"]["code"] == -2014

        assert (await call(socket, "userDataStream.subscribe"))["result"] == {"subscriptionId": 0}
        again = await call(socket, "userDataStream.subscribe")
        assert again["error"]["code"] == -2035
        assert (await call(socket, "session.subscriptions"))["result"] == [{"subscriptionId": 0}]
        assert (await call(socket, "session.status"))["result"]["userDataStream"]

        await socket.send_json({"id": 9, "method": "session.logout"})
        messages = [await socket.receive_json(timeout=DEADLINE_S) for _ in range(2)]
        assert {message.get("event", {}).get("e") for message in messages} == {None, "eventStreamTerminated"}
        assert (await call(socket, "session.status"))["result"]["apiKey"] is None
        assert (await call(socket, "account.status", timestamp=now_ms))["error"]["code"] == -2014


async def test_sessions_are_for_ed25519_keys(tmp_path):
    async with local_exchange(tmp_path) as local, local.http.ws_connect(f"{local.socket}/ws-api/v3") as socket:
        assert (await Session(local, socket).log_on())["error"]["code"] == -1022


async def test_a_stream_that_was_signed_for_outlives_the_session_and_ends_by_its_number(tmp_path):
    async with (
        local_exchange(tmp_path, key="visitor-ed25519") as local,
        local.http.ws_connect(f"{local.socket}/ws-api/v3") as socket,
    ):
        signed = await call(socket, "userDataStream.subscribe.signature", **local.signed_params())
        assert signed["result"] == {"subscriptionId": 0}
        await call(socket, "session.logout")
        assert (await call(socket, "userDataStream.unsubscribe", subscriptionId=7))["result"] == {}
        assert (await call(socket, "session.subscriptions"))["result"] == [{"subscriptionId": 0}]

        await socket.send_json({"id": 9, "method": "userDataStream.unsubscribe", "params": {"subscriptionId": 0}})
        messages = [await socket.receive_json(timeout=DEADLINE_S) for _ in range(2)]
        assert {message.get("event", {}).get("e") for message in messages} == {None, "eventStreamTerminated"}
        assert (await call(socket, "session.subscriptions"))["result"] == []
