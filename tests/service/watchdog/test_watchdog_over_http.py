"""The watchdog's own requests against real HTTP servers: health polls, signed cancels, the webhook."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from libs.common.errors import ConfigurationError, RetryableError
from libs.exchange.limits import AddressBudget
from services.watchdog.cancelling import EntryCanceller
from services.watchdog.exchange import ExchangeAccount, ExchangeKey, load_keys
from services.watchdog.settings import Settings
from services.watchdog.watching import HttpHealth
from tests.support.clock import FakeClock

SECRET = "of-a-test"
RECV_WINDOW_MS = 1_000
MS_A_REQUEST = 600
"""The fake exchange's clock moves by this much with every time request."""


@dataclass
class FakeExchange:
    """Open orders, a clock, and answers as Binance gives them; refuses what is not signed as it asks."""

    orders: dict[int, str] = field(default_factory=dict)
    verify: Callable[[bytes, str], bool] = field(
        default=lambda payload, signature: hmac.new(SECRET.encode(), payload, hashlib.sha256).hexdigest() == signature
    )
    appearing: dict[int, tuple[int, str]] = field(default_factory=dict)
    failures: list[tuple[int, bytes]] = field(default_factory=list)
    now_ms: int = 1_700_000_000_000
    sweeps: int = 0
    cancelled: list[str] = field(default_factory=list)

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/api/v3/time", self._time)
        application.router.add_get("/api/v3/openOrders", self._open_orders)
        application.router.add_delete("/api/v3/order", self._cancel)
        return application

    async def _time(self, _: web.Request) -> web.Response:
        self.now_ms += MS_A_REQUEST
        return web.json_response({"serverTime": self.now_ms})

    async def _open_orders(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        self.sweeps += 1
        if self.sweeps in self.appearing:
            number, client_id = self.appearing.pop(self.sweeps)
            self.orders[number] = client_id
        return web.json_response(
            [
                {"symbol": "BTCUSDT", "orderId": number, "clientOrderId": client_id}
                for number, client_id in self.orders.items()
            ]
        )

    async def _cancel(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        client_id = self.orders.pop(int(request.query["orderId"]), None)
        if client_id is None:
            return web.json_response({"code": -2011, "msg": "Unknown order sent."}, status=400)
        self.cancelled.append(client_id)
        return web.json_response({"status": "CANCELED"})

    def _refusal(self, request: web.Request) -> web.Response | None:
        if self.failures:
            status, body = self.failures.pop(0)
            return web.Response(status=status, body=body)
        payload, _, signature = request.rel_url.raw_query_string.rpartition("&signature=")
        late = abs(self.now_ms - int(request.query["timestamp"])) > int(request.query["recvWindow"])
        signed = self.verify(payload.encode(), request.query["signature"])
        if late or request.headers.get("X-MBX-APIKEY") != "key" or not signed or not signature:
            return web.json_response({"code": -1022, "msg": "Signature for this request is not valid."}, status=400)
        return None


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[web.Application], Any]]:
    servers = []

    async def start(application: web.Application) -> str:
        server = TestServer(application)
        await server.start_server()
        servers.append(server)
        return str(server.make_url("/")).rstrip("/")

    yield start
    for server in servers:
        await server.close()


def an_account(session: aiohttp.ClientSession, address: str, *, secret: str = SECRET) -> ExchangeAccount:
    return ExchangeAccount(
        session,
        address=address,
        key=ExchangeKey(api_key="key", api_secret=SecretStr(secret)),
        budget=AddressBudget(FakeClock()),
    )


def a_canceller(session: aiohttp.ClientSession, address: str, **options: Any) -> EntryCanceller:
    return EntryCanceller(
        "main",
        an_account(session, address, **options),
        installation="abc123",
        recv_window_ms=RECV_WINDOW_MS,
        pause_s=0.001,
    )


async def test_only_our_own_entries_are_cancelled(session, serve):
    exchange = FakeExchange(
        {1: "ctE-abc123-a", 2: "ctP-abc123-b", 3: "ctE-other1-c", 4: "web_manual", 5: "ctE-abc123-d", 6: "ctX-abc123-e"}
    )

    cancelled = await a_canceller(session, await serve(exchange.application())).run()

    assert cancelled == 2
    assert exchange.cancelled == ["ctE-abc123-a", "ctE-abc123-d"]
    assert set(exchange.orders) == {2, 3, 4, 6}


async def test_an_empty_answer_counts_only_after_the_last_order_could_have_arrived(session, serve):
    # Time moves 600 ms a sweep; the fence is receive window + 1 s margin: sweeps 1 to 4 are too early.
    exchange = FakeExchange(appearing={4: (9, "ctE-abc123-late")})

    cancelled = await a_canceller(session, await serve(exchange.application())).run()

    assert cancelled == 1
    assert exchange.cancelled == ["ctE-abc123-late"]
    assert exchange.sweeps == 5


async def test_cancelling_goes_on_through_failures_of_the_exchange(session, serve):
    exchange = FakeExchange(
        {1: "ctE-abc123-a"},
        failures=[(503, b"<html>"), (400, b'{"code":-1000}'), (200, b"[]truncated"), (200, b'{"code":0}')],
    )

    assert await a_canceller(session, await serve(exchange.application())).run() == 1


async def test_an_order_that_has_gone_meanwhile_is_as_good_as_cancelled(session, serve):
    exchange = FakeExchange()
    account = an_account(session, await serve(exchange.application()))
    now_ms = await account.time_ms()
    exchange.orders[1] = "ctE-abc123-a"
    [order] = await account.open_orders(now_ms)
    exchange.orders.clear()

    await account.cancel(order, now_ms)


async def test_a_refused_cancel_is_an_error_that_holds_no_secret(session, serve):
    exchange = FakeExchange(verify=lambda _payload, _signature: False)
    account = an_account(session, await serve(exchange.application()))

    with pytest.raises(RetryableError, match="found 400 with code -1022") as raised:
        await account.open_orders(exchange.now_ms)

    assert "signature" not in str(raised.value)
    assert SECRET not in str(raised.value)


async def test_an_ed25519_key_signs_in_base64(session, serve):
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def verify(payload: bytes, signature: str) -> bool:
        key.public_key().verify(base64.b64decode(signature), payload)
        return True

    exchange = FakeExchange({1: "ctE-abc123-a"}, verify=verify)

    assert await a_canceller(session, await serve(exchange.application()), secret=pem).run() == 1


async def test_an_exchange_that_is_away_is_a_retryable_error(session):
    with pytest.raises(RetryableError, match="ClientConnectorError"):
        await an_account(session, "http://127.0.0.1:9").time_ms()


def test_keys_are_read_by_account(tmp_path: Path):
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"main": {"api_key": "a", "api_secret": "b"}}))

    keys = load_keys(path)

    assert keys["main"].api_secret.get_secret_value() == "b"
    assert "b'" not in repr(keys)


@pytest.mark.parametrize("content", ["", "[]", '{"main": {"api_key": "a"}}'])
def test_a_bad_file_of_keys_is_a_clear_error_without_its_content(tmp_path: Path, content: str):
    path = tmp_path / "keys.json"
    path.write_text(content)

    with pytest.raises(ConfigurationError, match="expected JSON"):
        load_keys(path)


async def test_a_banned_address_is_left_alone(session, serve):
    exchange = FakeExchange(orders={1: "x"}, failures=[(418, b'{"code": -1003, "msg": "banned"}')])
    account = an_account(session, await serve(exchange.application()))

    for _ in range(3):
        with pytest.raises(RetryableError):
            await account.open_orders(exchange.now_ms)

    assert not exchange.failures
    assert exchange.sweeps == 0


def test_a_pem_that_is_no_ed25519_key_is_a_clear_error():
    with pytest.raises(ConfigurationError, match="Ed25519"):
        ExchangeAccount(
            None,  # type: ignore[arg-type]  # never used
            address="",
            key=ExchangeKey(api_key="a", api_secret=SecretStr("-----BEGIN PRIVATE KEY-----")),
            budget=AddressBudget(FakeClock()),
        )


async def test_health_is_an_answer_of_200_in_time(session, serve):
    answers: dict[str, Any] = {"status": 200}

    async def healthz(_: web.Request) -> web.Response:
        await asyncio.sleep(answers.get("after_s", 0))
        return web.Response(status=answers["status"])

    application = web.Application()
    application.router.add_get("/healthz", healthz)
    address = await serve(application)
    health = HttpHealth(session, {"up": f"{address}/healthz", "away": "http://127.0.0.1:9/healthz"})

    assert await health.alive("up")
    assert not await health.alive("away")
    answers["status"] = 503
    assert not await health.alive("up")
    answers.update(status=200, after_s=5)
    assert not await health.alive("up")


def test_bare_addresses_of_targets_get_the_health_endpoint(monkeypatch):
    monkeypatch.setenv("TRADER_TARGETS", '{"a": "http://127.0.0.1:81", "b": "http://h:1/healthz", "c": "http://h:2/"}')

    targets = {name: str(url) for name, url in Settings().targets.items()}

    assert targets == {"a": "http://127.0.0.1:81/healthz", "b": "http://h:1/healthz", "c": "http://h:2/healthz"}
