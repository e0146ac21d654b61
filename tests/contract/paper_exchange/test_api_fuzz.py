"""Whatever is asked over HTTP, the answer is one of Binance's, and what stands at the exchange stays as it was."""

import asyncio
import gzip
import io
import json
import random
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from yarl import URL

from services.paper_exchange.api.keys import load_or_create_keys
from tests.contract.paper_exchange.api_damage import (
    SYNTAX_CODES,
    Damaged,
    damaged_requests,
    nonsense_requests,
)
from tests.contract.paper_exchange.local_exchange import DEADLINE_S, OTHER, LocalExchange, undisturbed_exchange


@pytest.fixture
async def local(tmp_path) -> AsyncIterator[LocalExchange]:
    async with undisturbed_exchange(tmp_path) as local:
        yield local


async def answer_to(local: LocalExchange, request: Damaged) -> tuple[int, Any]:
    local.forget_limits()
    url = URL(f"{local.rest}{request.path}?{request.query}", encoded=True)
    async with local.http.request(request.method, url, headers=request.headers) as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if text else ""


async def test_every_endpoint_refuses_what_is_wrong_in_one_way_with_its_code(local, tmp_path):
    keys = load_or_create_keys(tmp_path / "keys.json")
    asked, wrong = 0, []
    for endpoint in local.exchange.endpoints:
        for request in damaged_requests(endpoint, local, keys):
            status, body = await answer_to(local, request)
            asked += 1
            if status != request.status or body.keys() != {"code", "msg"} or body["code"] not in request.codes:
                wrong.append((request.method, request.path, request.what, status, body))

    assert wrong == []
    assert asked > 500


async def test_no_value_is_so_nonsensical_that_the_answer_is_not_binances(local):
    wrong = []
    for endpoint in local.exchange.endpoints:
        for request in nonsense_requests(endpoint, local):
            status, body = await answer_to(local, request)
            if status != 200 and (status != 400 or body.keys() != {"code", "msg"} or body["code"] not in SYNTAX_CODES):
                wrong.append((request.method, request.path, request.what, status, body))

    assert wrong == []


async def test_several_things_wrong_at_once_get_one_of_binances_answers(local):
    chance = random.Random(20261122)
    names = sorted({name for each in local.exchange.endpoints for name in (*each.mandatory, *each.allowed)})
    wrong = []
    for _ in range(1_500):
        endpoint = chance.choice(local.exchange.endpoints)
        likely = [*endpoint.mandatory, *endpoint.allowed] or names
        pairs = [
            (chance.choice(likely if chance.random() < 0.8 else names), some_value(chance))
            for _ in range(chance.randrange(1, 8))
        ]
        query = "&".join(f"{name}={quote(value, errors='replace')}" for name, value in pairs)
        method = endpoint.method if chance.random() < 0.9 else chance.choice(("GET", "POST", "PUT", "DELETE", "HEAD"))
        status, body = await answer_to(local, signed(local, Damaged("", method, endpoint.path, query)))
        if status >= 500 or (status != 200 and body != "" and body.keys() != {"code", "msg"}):
            wrong.append((method, endpoint.path, query, status, body))

    assert wrong == []


def some_value(chance: random.Random) -> str:
    """Return something that a parameter might have, or ought not to."""
    match chance.randrange(6):
        case 0:
            return str(chance.choice((0, 1, 5, 10**6, 10**13, 10**16, 2**63 - 1, 2**64, -1)))
        case 1:
            return chance.choice(
                (OTHER, "NOPE", '["ETHUSDT"]', "[]", "MINI", "1m", "1M", "1d", "TRADING", "-11:30", "8")
            )
        case 2:
            return chance.choice(("BUY", "SELL", "LIMIT", "MARKET", "STOP_LOSS", "GTC", "FOK", "true", "ACK", "SPOT"))
        case 3:
            return f"{chance.random() * 10 ** chance.randrange(-9, 9):.{chance.randrange(12)}f}"
        case 4:
            return "".join(chr(chance.randrange(1, 0x2FFFF)) for _ in range(chance.randrange(30)))
        case _:
            return "[" * chance.randrange(1, 300)  # seven of them, encoded, still fit into a request line


def signed(local: LocalExchange, request: Damaged) -> Damaged:
    query = f"{request.query}&timestamp={local.exchange.venue.now_ms}"
    query = f"{query}&signature={local.sign(query)}"
    return Damaged(request.what, request.method, request.path, query, headers=local.headers)


RAW = {
    "no HTTP": b"hello\r\n\r\n",
    "an endless line": b"GET /api/v3/ping?" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes for a path": b"GET /api/v3/ping?\xff\xfe=\x80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes for a signed query": b"GET /api/v3/account?timestamp=1&signature=\xff\xfe HTTP/1.1\r\nHost: x\r\n"
    b"X-MBX-APIKEY: " + b"A" * 64 + b"\r\n\r\n",
    "a broken escape": b"GET /api/v3/depth?symbol=%zz%&limit=%F0%9F HTTP/1.1\r\nHost: x\r\n\r\n",
    "a broken length": b"POST /api/v3/order HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
    "a broken chunk": b"POST /api/v3/order HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n",
    "no gzip": b"POST /api/v3/order HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
    "an unknown unit": b"GET /api/v3/time HTTP/1.1\r\nHost: x\r\nX-MBX-TIME-UNIT: YEAR\r\n\r\n",
    "no upgrade": b"GET /ws-api/v3 HTTP/1.1\r\nHost: x\r\n\r\n",
    "half an upgrade": b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    "another verb": b"BREW /api/v3/order HTTP/1.1\r\nHost: x\r\n\r\n",
    "an unknown path": b"GET /api/v3/%2e%2e/%00 HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", RAW.values(), ids=RAW.keys())
async def test_what_is_hardly_http_is_answered_or_hung_up_on(local, request_bytes):
    reader, writer = await asyncio.open_connection(local.host, local.port)
    writer.write(request_bytes)
    writer.write_eof()
    async with asyncio.timeout(DEADLINE_S):
        answer = await reader.read(12)
    writer.close()

    assert answer == b"" or answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4", b"HTTP/1.0 4"))


async def test_a_client_that_leaves_in_the_middle_of_its_body_does_no_harm(local):
    for _ in range(5):
        _, writer = await asyncio.open_connection(local.host, local.port)
        writer.write(b"POST /api/v3/order HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nsymbol=")
        await writer.drain()
        writer.transport.abort()
    await local.ask("GET", "/api/v3/ping")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"a" * (2 << 20), {}, 413),
        (gzip.compress(b"a" * (8 << 20)), {"Content-Encoding": "gzip"}, 413),
        (json.dumps({"symbol": OTHER}).encode(), {"Content-Type": "application/json"}, 400),
        (b"\xff\xfe\x00", {"Content-Type": "application/octet-stream"}, 400),
        (b"&".join(b"p%d=1" % number for number in range(50_000)), {}, 400),
        (b"[" * 100_000, {"Content-Type": "application/json"}, 400),
    ],
    ids=["2 MB", "a gzip bomb", "JSON", "bytes", "50,000 parameters", "nesting"],
)
async def test_a_body_of_another_kind_or_size_is_refused(local, body, headers, status):
    headers = {**local.headers, **headers}
    async with local.http.post(f"{local.rest}/api/v3/order", data=io.BytesIO(body), headers=headers) as answer:
        assert answer.status == status
