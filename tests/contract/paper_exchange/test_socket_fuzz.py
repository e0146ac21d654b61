"""Whatever arrives in a WebSocket, it is answered as Binance answers or the connection is closed, and that is all."""

import asyncio
import base64
import json
import os
import struct
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings, strategies

from services.paper_exchange.api.connection import FRAME_BYTES_MAX, SocketRules
from services.paper_exchange.api.feed import Feed
from services.paper_exchange.api.streams import StreamConnection
from services.paper_exchange.api.time_unit import TimeUnit
from tests.contract.paper_exchange.local_exchange import DEADLINE_S, LocalExchange, undisturbed_exchange

PATHS = ("/ws", "/stream", "/ws-api/v3")
TEXT, BINARY, CLOSE, PING, CONTINUATION = 1, 2, 8, 9, 0
FINAL = 0x80


@pytest.fixture
async def local(tmp_path) -> AsyncIterator[LocalExchange]:
    async with undisturbed_exchange(tmp_path) as local:
        yield local
        async with asyncio.timeout(DEADLINE_S), local.http.ws_connect(f"{local.socket}/ws-api/v3") as socket:
            await socket.send_json({"id": 1, "method": "ping"})
            assert (await socket.receive_json())["status"] == 200


def frame(kind: int, payload: bytes, *, final: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    first = (FINAL if final else 0) | reserved | kind
    length, mask_bit = len(payload), FINAL if masked else 0
    if length < 126:
        header = struct.pack("!BB", first, mask_bit | length)
    elif length < 1 << 16:
        header = struct.pack("!BBH", first, mask_bit | 126, length)
    else:
        header = struct.pack("!BBQ", first, mask_bit | 127, length)
    return header + bytes(4) + payload if masked else header + payload  # a mask of zeros changes nothing


FRAMES = {
    "binary": frame(BINARY, os.urandom(1_000)),
    "10 MB": frame(TEXT, b" " * (10 << 20)),
    "endless length": struct.pack("!BBQ", FINAL | TEXT, FINAL | 127, (1 << 63) - 1) + bytes(100),
    "10 MB in fragments": frame(TEXT, b"[", final=False) + frame(CONTINUATION, b"[" * 50_000, final=False) * 200,
    "fragments of JSON": frame(TEXT, b'{"id":1,"me', final=False) + frame(CONTINUATION, b'thod":"ping"}'),
    "continuation of nothing": frame(CONTINUATION, b"abc"),
    "a frame within fragments": frame(TEXT, b"{", final=False) + frame(TEXT, b"}"),
    "no UTF-8": frame(TEXT, b"\xff\xfe"),
    "unmasked": frame(TEXT, b'{"id":1,"method":"ping"}', masked=False),
    "reserved bits": frame(TEXT, b"{}", reserved=0x70),
    "an unknown kind": frame(11, b"{}"),
    "a long ping": frame(PING, b"p" * 1_000),
    "a broken close": frame(CLOSE, b"\x00"),
    "pings": frame(PING, b"p") * 100,
    "a flood": frame(TEXT, b'{"id":1,"method":"LIST_SUBSCRIPTIONS"}') * 200,
    "half a frame": frame(TEXT, b'{"id":1}')[:-3],
    "rubbish": os.urandom(4_096),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("frames", FRAMES.values(), ids=FRAMES.keys())
async def test_frames_that_are_none_are_survived(local, path, frames):
    reader, writer = await asyncio.open_connection(local.host, local.port)
    key = base64.b64encode(bytes(16)).decode()
    upgrade = f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    writer.write(f"{upgrade}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
    async with asyncio.timeout(DEADLINE_S):
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        try:
            writer.write(frames)
            await writer.drain()
            writer.write(frame(CLOSE, struct.pack("!H", 1_000)))
            writer.write_eof()
            while await reader.read(1 << 16):
                pass
        except ConnectionError:
            pass  # hung up on
    writer.transport.abort()


HARD_TEXTS = {
    "": -1135,
    "null": -1135,
    "[]": -1135,
    "7": -1135,
    "{": -1135,
    '{"method":"ping"}': -1135,
    '{"id":1}': -1135,
    '{"id":1.5,"method":"ping"}': -1135,
    '{"id":[1],"method":"ping"}': -1135,
    '{"id":true,"method":"ping"}': -1135,
    '{"id":NaN,"method":"ping"}': -1135,
    f'{{"id":{2**64},"method":"ping"}}': -1135,
    '{"id":%s,"method":"ping"}' % ("9" * 5_000): -1135,
    '{"id":1,"method":["ping"]}': -1135,
    '{"id":1,"method":{"a":1}}': -1135,
    '{"id":1,"method":"ping","params":[1]}': -1135,
    '{"id":1,"method":"ping","params":"x"}': -1135,
    '{"id":"\\ud800","method":"ping"}': -1135,
    '{"id":1,"method":"ping","params":{"symbol":"\\udfff"}}': -1135,
    "[" * 60_000: -1135,
    '{"id":1,"method":"ping","params":' + '{"a":' * 9_000 + "1" + "}" * 9_000 + "}": -1135,
    '{"id":1,"method":"ping","params":{"a":1}}': -1104,
    '{"id":1,"method":"depth","params":{}}': -1102,
    '{"id":1,"method":"depth","params":{"symbol":null}}': -1100,
    '{"id":1,"method":"depth","params":{"symbol":{"a":[1]}}}': -1100,
    '{"id":1,"method":"depth","params":{"symbol":"BTCUSDT","limit":1e400}}': -1100,
    '{"id":1,"method":"depth","params":{"symbol":"BTCUSDT","limit":true}}': -1100,
    '{"id":1,"method":"klines","params":{"symbol":"BTCUSDT","interval":5}}': -1120,
    '{"id":1,"method":"ticker","params":{"symbols":["BTCUSDT","BTCUSDT"]}}': -1151,
    '{"id":1,"method":"order.teleport"}': -1020,
    '{"id":1,"method":"account.status"}': -2014,
    '{"id":1,"method":"userDataStream.subscribe"}': -1002,
    '{"id":1,"method":"session.logon","params":{"apiKey":"x"}}': -1102,
    '{"id":1,"method":"session.logon","params":{"apiKey":"é","timestamp":1,"signature":"é"}}': -2014,
}


async def test_every_unusable_message_of_the_socket_api_gets_its_code(local):
    async with asyncio.timeout(DEADLINE_S), local.http.ws_connect(f"{local.socket}/ws-api/v3") as socket:
        for text, code in HARD_TEXTS.items():
            await socket.send_str(text)
            reply = await socket.receive_json()
            assert (reply["error"]["code"], 400 <= reply["status"] < 500) == (code, True), text[:80]
            assert reply["error"].keys() == {"code", "msg"}


STREAM_TEXTS = {
    "no JSON": (3, "Invalid JSON"),
    "[" * 60_000: (3, "Invalid JSON"),
    '{"id":1,"method":"\\ud800"}': (3, "Invalid JSON"),
    "[]": (2, "request must be an object"),
    '{"method":"LIST_SUBSCRIPTIONS"}': (2, "request ID must be an unsigned integer"),
    '{"method":"LIST_SUBSCRIPTIONS","id":{}}': (2, "request ID must be an unsigned integer"),
    '{"method":"LIST_SUBSCRIPTIONS","id":"%s"}' % ("a" * 37): (2, "request ID must be an unsigned integer"),
    '{"id":1}': (2, "missing field `method`"),
    '{"id":1,"method":"JUMP"}': (2, "unknown variant `JUMP`"),
    '{"id":1,"method":["SUBSCRIBE"]}': (2, "unknown variant"),
    '{"id":1,"method":"SUBSCRIBE","params":"btcusdt@trade"}': (2, "params must be an array of strings"),
    '{"id":1,"method":"SUBSCRIBE","params":[1]}': (2, "params must be an array of strings"),
    '{"id":1,"method":"SUBSCRIBE","params":["%s"]}' % ("a" * 101): (2, "at most 100 characters"),
    '{"id":1,"method":"GET_PROPERTY"}': (2, "property name must be a string"),
    '{"id":1,"method":"GET_PROPERTY","params":[true]}': (2, "property name must be a string"),
    '{"id":1,"method":"GET_PROPERTY","params":["combined",true]}': (2, "too many parameters"),
    '{"id":1,"method":"GET_PROPERTY","params":["colour"]}': (0, "Unknown property"),
    '{"id":1,"method":"SET_PROPERTY","params":["combined",true,true]}': (2, "too many parameters"),
    '{"id":1,"method":"SET_PROPERTY","params":["combined",1]}': (1, "expected Boolean"),
    '{"id":1,"method":"SET_PROPERTY","params":["combined"]}': (1, "expected Boolean"),
}


class _NoSocket:
    """A socket that nobody is behind."""


def a_stream_connection() -> StreamConnection:
    feed = Feed(symbols=("BTCUSDT",), first_update_id=1)
    socket: Any = _NoSocket()
    return StreamConnection(feed, socket, rules=SocketRules(), unit=TimeUnit.MILLISECOND, combined=False)


@pytest.mark.parametrize(("text", "code", "message"), [(text, *told) for text, told in STREAM_TEXTS.items()])
def test_every_unusable_message_of_a_stream_gets_its_code(text, code, message):
    reply = a_stream_connection().answer(text)

    assert reply["error"]["code"] == code
    assert message in reply["error"]["msg"]


json_values = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()
    | strategies.text(strategies.characters(), max_size=20),
    lambda inner: strategies.lists(inner, max_size=4) | strategies.dictionaries(strategies.text(max_size=8), inner),
    max_leaves=8,
)
methods = strategies.sampled_from(
    ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY", "ping", "depth", "session.logon")
)
messages = strategies.fixed_dictionaries(
    {}, optional={"id": json_values | strategies.just(1), "method": methods | json_values, "params": json_values}
)


EXAMPLES = settings(
    max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@EXAMPLES
@given(messages)
def test_every_message_to_a_stream_is_answered_with_a_result_or_an_error(message):
    reply = a_stream_connection().answer(json.dumps(message))

    assert reply.keys() in ({"result", "id"}, {"error", "id"})
    json.dumps(reply).encode()


async def test_messages_of_any_shape_to_the_socket_api_are_answered(local):
    shapes: list[Any] = []

    @EXAMPLES
    @given(messages)
    def collect(message: Any) -> None:
        shapes.append(message)

    collect()
    async with asyncio.timeout(DEADLINE_S), local.http.ws_connect(f"{local.socket}/ws-api/v3") as socket:
        for message in shapes:
            await socket.send_str(json.dumps(message))
            reply = await socket.receive_json()
            assert 200 <= reply["status"] < 500
            assert ("result" in reply) != ("error" in reply)
    assert len(shapes) > 50


async def test_the_largest_message_is_answered_and_a_larger_one_ends_the_connection(local):
    for path in PATHS:
        async with asyncio.timeout(DEADLINE_S), local.http.ws_connect(local.socket + path) as socket:
            await socket.send_str(" " * (FRAME_BYTES_MAX - 1))
            assert "error" in await socket.receive_json()
            await socket.send_str(" " * (FRAME_BYTES_MAX + 1))
            assert (await socket.receive()).type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
            assert socket.close_code in {aiohttp.WSCloseCode.MESSAGE_TOO_BIG, aiohttp.WSCloseCode.ABNORMAL_CLOSURE}
