"""What listeners meet when streams are struck: what they should hear is missing, doubled, late, broken or the last."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.contract.paper_exchange.faulty_exchange import FaultyExchange, faulty_exchange

DEADLINE_S = 20.0
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"}
REPORT = {"event": "executionReport"}
Socket = aiohttp.ClientWebSocketResponse


@pytest.fixture
async def exchange(tmp_path: Path) -> AsyncIterator[FaultyExchange]:
    async with faulty_exchange(tmp_path) as faulty:
        yield faulty


@pytest.fixture
async def user(exchange: FaultyExchange) -> AsyncIterator[Socket]:
    async with exchange.local.http.ws_connect(f"{exchange.local.socket}/ws-api/v3") as socket:
        await subscribe(exchange, socket)
        yield socket


async def subscribe(exchange: FaultyExchange, socket: Socket) -> None:
    params = exchange.local.signed_params()
    await socket.send_json({"id": 1, "method": "userDataStream.subscribe.signature", "params": params})
    assert (await socket.receive_json(timeout=DEADLINE_S))["status"] == 200


async def place(exchange: FaultyExchange) -> None:
    assert (await exchange.local.ask_signed("POST", "/api/v3/order", **MARKET, recvWindow=60_000))[0] == 200


async def heard(socket: Socket) -> list[tuple[str, Any]]:
    """Return type and execution type of everything up to the answer to a ping, which overtakes nothing."""
    await socket.send_json({"id": "last", "method": "ping"})
    events = []
    while (message := await socket.receive_json(timeout=DEADLINE_S)).get("id") != "last":
        events.append((message["event"]["e"], message["event"].get("x")))
    return events


NEW, TRADE, POSITION = ("executionReport", "NEW"), ("executionReport", "TRADE"), ("outboundAccountPosition", None)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("event_dropped", [TRADE, POSITION]),
        ("event_doubled", [NEW, NEW, TRADE, POSITION]),
        ("event_swapped", [TRADE, NEW, POSITION]),
    ],
)
async def test_an_event_is_missing_or_doubled_or_behind_the_next_one(
    exchange: FaultyExchange, user: Socket, kind, expected
):
    exchange.arm(kind, on=REPORT | {"account": "main", "side": "BUY", "symbol": "BTCUSDT"}, count=1)

    await place(exchange)
    await place(exchange)

    assert await heard(user) == [*expected, NEW, TRADE, POSITION]
    (struck,) = exchange.strikes
    assert (struck["kind"], struck["event"], struck["account"]) == (kind, "executionReport", "main")


async def test_an_event_may_be_late(exchange: FaultyExchange, user: Socket):
    exchange.arm("event_late", on=REPORT, count=1, delay_ms_min=50, delay_ms_max=60)

    await place(exchange)
    events = [(await user.receive_json(timeout=DEADLINE_S))["event"] for _ in range(3)]

    assert sorted((event["e"], event.get("x") or "") for event in events) == sorted(
        [("executionReport", "NEW"), ("executionReport", "TRADE"), ("outboundAccountPosition", "")]
    )


async def test_each_stream_of_an_account_is_struck_for_itself(exchange: FaultyExchange, user: Socket):
    async with exchange.local.http.ws_connect(f"{exchange.local.socket}/ws-api/v3") as other:
        await subscribe(exchange, other)
        exchange.arm("event_dropped", on=REPORT, count=1)

        await place(exchange)

        assert await heard(user) == [TRADE, POSITION]
        assert await heard(other) == [NEW, TRADE, POSITION]


async def test_a_stream_may_be_terminated_on_a_connection_that_stays(exchange: FaultyExchange, user: Socket):
    exchange.arm("stream_terminated", count=1)

    await place(exchange)
    await place(exchange)

    assert await heard(user) == [("eventStreamTerminated", None)]
    await subscribe(exchange, user)
    await place(exchange)
    assert await heard(user) == [NEW, TRADE, POSITION]


@pytest.mark.parametrize(
    ("kind", "said", "code"),
    [("stream_shut_down", ["serverShutdown"], 1001), ("stream_closed", [], 1001), ("stream_cut", [], 1006)],
)
async def test_a_connection_may_end(exchange: FaultyExchange, user: Socket, kind, said, code):
    exchange.arm(kind, on={"event": "outboundAccountPosition"}, count=1)

    await place(exchange)
    async with asyncio.timeout(DEADLINE_S):
        told = [json.loads(message.data)["event"]["e"] async for message in user]

    assert [event for event in told if event != "executionReport"] == said
    assert user.close_code == code
    assert (await exchange.local.ask("GET", "/api/v3/ping"))[0] == 200


async def test_a_silent_connection_stays_open_and_answers_nothing_for_a_while(exchange: FaultyExchange, user: Socket):
    exchange.arm("stream_silent", count=1, silent_s="1")

    await place(exchange)
    await user.send_json({"id": "lost", "method": "ping"})
    answers: list[Any] = []
    async with asyncio.timeout(DEADLINE_S):
        while not answers:  # asked again until it is heard again
            await user.send_json({"id": "again", "method": "ping"})
            try:
                answers.append(await user.receive_json(timeout=0.1))
            except TimeoutError:
                continue

    assert "event" not in answers[0], "what would have been said is lost"
    assert not user.closed


async def frames(exchange: FaultyExchange, count: int, query: str) -> list[str]:
    async with exchange.local.http.ws_connect(f"{exchange.local.socket}{query}") as socket:
        return [(await socket.receive(timeout=DEADLINE_S)).data for _ in range(count)]


async def test_market_frames_may_be_missing(exchange: FaultyExchange):
    exchange.arm("market_dropped", on={"stream": "btcusdt@bookTicker"}, probability=0.5)

    raw = await frames(exchange, 30, "/ws/btcusdt@bookTicker")

    assert all(json.loads(frame)["s"] == "BTCUSDT" for frame in raw)
    assert exchange.strikes[0]["stream"] == "btcusdt@bookTicker"


@pytest.mark.parametrize("query", ["/ws/btcusdt@bookTicker", "/stream?streams=btcusdt@bookTicker&timeUnit=MICROSECOND"])
async def test_market_frames_may_be_no_json(exchange: FaultyExchange, query):
    exchange.arm("market_broken", on={"symbol": "BTCUSDT"})

    (frame,) = await frames(exchange, 1, query)

    with pytest.raises(json.JSONDecodeError):
        json.loads(frame)


async def test_a_silent_market_is_noted_once_and_others_go_on(exchange: FaultyExchange):
    number = exchange.arm("market_silent", on={"symbol": "BTCUSDT"})

    heard = await frames(exchange, 20, "/stream?streams=btcusdt@bookTicker/ethusdt@bookTicker")
    struck = exchange.layer.faults.armed()[0].strikes
    exchange.layer.faults.disarm(number)

    assert {json.loads(frame)["stream"] for frame in heard} == {"ethusdt@bookTicker"}
    assert struck >= 1
    assert len(exchange.strikes) == 1
    assert await frames(exchange, 1, "/ws/btcusdt@bookTicker")


async def test_frames_of_all_symbols_are_told_in_microseconds(exchange: FaultyExchange):
    (frame,) = await frames(exchange, 1, "/ws/!miniTicker@arr?timeUnit=MICROSECOND")

    assert {len(str(each["E"])) for each in json.loads(frame)} == {16}
