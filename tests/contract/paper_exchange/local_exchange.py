"""The paper exchange inside the test's own event loop, where a test can look at its accounts and shorten its bounds."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from libs.common.clock import SystemClock
from services.paper_exchange.api.connection import SocketRules
from services.paper_exchange.api.keys import ApiKey, load_or_create_keys
from services.paper_exchange.exchange import Exchange, openings_of
from services.paper_exchange.market.source import open_tape
from services.paper_exchange.market.tape import Tape
from services.paper_exchange.venue.venue import Opening

SYMBOLS = STANDING, OTHER = ("BTCUSDT", "ETHUSDT")
"""An order stands on the first while a test does what it likes on the other."""
DEADLINE_S = 20.0
Json = dict[str, Any]


class LocalExchange:
    """A running exchange and a client of one of its accounts."""

    def __init__(
        self,
        exchange: Exchange,
        server: TestServer,
        http: aiohttp.ClientSession,
        key: ApiKey,
        keys: Mapping[str, ApiKey],
    ) -> None:
        self.exchange = exchange
        self.http = http
        self.rest = str(server.make_url("")).rstrip("/")
        self.host, self.port = server.host, server.port or 0
        self.socket = self.rest.replace("http", "ws", 1)
        self.key, self.keys = key, keys

    async def ask(self, method: str, path: str, **parameters: Any) -> tuple[int, Any]:
        """Send an unsigned request."""
        return await self._send(method, f"{path}?{urlencode(parameters)}", {})

    async def ask_signed(self, method: str, path: str, **parameters: Any) -> tuple[int, Any]:
        """Send a signed request."""
        query = urlencode({"timestamp": int(time.time() * 1_000), **parameters})
        return await self._send(method, f"{path}?{query}&signature={self.sign(query)}", self.headers)

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of a signed request."""
        return {"X-MBX-APIKEY": self.key.api_key}

    def sign(self, payload: str) -> str:
        """Return the signature of what is about to be sent."""
        if self.key.is_ed25519:
            private = load_pem_private_key(self.key.api_secret.encode(), password=None)
            assert isinstance(private, Ed25519PrivateKey)
            return base64.b64encode(private.sign(payload.encode())).decode()
        return hmac.new(self.key.api_secret.encode(), payload.encode(), hashlib.sha256).hexdigest()

    def signed_params(self, **parameters: Any) -> Json:
        """Return the parameters of a signed request to the WebSocket API."""
        values = {"apiKey": self.key.api_key, "timestamp": int(time.time() * 1_000), **parameters}
        payload = "&".join(f"{name}={values[name]}" for name in sorted(values))
        return {**values, "signature": self.sign(payload)}

    def forget_limits(self) -> None:
        """Let a test ask more than an address and an account may."""
        limits = self.exchange.server._limits
        limits._visitors.clear()
        limits._orders.clear()

    async def _send(self, method: str, target: str, headers: Mapping[str, str]) -> tuple[int, Any]:
        async with self.http.request(method, self.rest + target, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if answer.content_type == "application/json" else text


@asynccontextmanager
async def local_exchange(
    directory: Path,
    *,
    key: str = "visitor",
    accounts: Sequence[str] = ("main",),
    openings: Sequence[Opening] | None = None,
    stream_rules: SocketRules | None = None,
    socket_api_rules: SocketRules | None = None,
    tape: Tape | None = None,
) -> AsyncIterator[LocalExchange]:
    """Run an exchange on the recorded market, or another one, for the length of a block."""
    keys = load_or_create_keys(directory / "keys.json", accounts)
    exchange = Exchange(
        clock=SystemClock(),
        tape=tape or _recorded_tape(),
        speed=Fraction(1),
        seed=7,
        journal_dir=directory / "journal",
        keys=list(keys.values()),
        openings=openings or openings_of(accounts),
        stream_rules=stream_rules,
        socket_api_rules=socket_api_rules,
    )
    failures: list[BaseException] = []
    server = TestServer(exchange.server.application([_collecting(failures)]))
    await server.start_server()
    market = asyncio.create_task(_turn(exchange))
    try:
        async with aiohttp.ClientSession() as http:
            yield LocalExchange(exchange, server, http, keys[key], keys)
    finally:
        market.cancel()
        await server.close()
        exchange.venue.close()
    assert failures == []
    assert market.cancelled() or not market.done() or market.exception() is None


@asynccontextmanager
async def undisturbed_exchange(directory: Path) -> AsyncIterator[LocalExchange]:
    """Run an exchange whose balances and open orders are the same at the end of the block."""
    async with local_exchange(directory) as local:
        last = float((await local.ask("GET", "/api/v3/ticker/price", symbol=STANDING))[1]["price"])
        order = {"symbol": STANDING, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
        assert (await local.ask_signed("POST", "/api/v3/order", **order, price=f"{last * 0.5:.2f}"))[0] == 200
        before = _state(local.exchange)
        yield local
        local.forget_limits()
        if local.exchange.venue.desk.open_orders(symbol=OTHER):  # some nonsense makes an order
            assert (await local.ask_signed("DELETE", "/api/v3/openOrders", symbol=OTHER))[0] == 200
        assert _state(local.exchange) == before
        assert (await local.ask("GET", "/api/v3/ping"))[0] == 200


def _state(exchange: Exchange) -> Any:
    orders = [(order.order_id, order.status, order.executed) for order in exchange.venue.desk.open_orders()]
    ledger = exchange.venue.ledger
    return orders, {
        account: {asset: (each.free, each.locked) for asset, each in ledger.balances(account).items()}
        for account in ledger.accounts()
    }


@cache
def _recorded_tape() -> Tape:
    """Return the recorded market, which takes seconds to read and never changes."""
    return open_tape("recorded", SYMBOLS, seed=7, scenario_file=None)


async def _turn(exchange: Exchange) -> None:
    while True:
        exchange.venue.advance()
        exchange.periodic.publish()
        await asyncio.sleep(0.05)


def _collecting(failures: list[BaseException]) -> Any:
    """Remember every error that the process would end for."""

    @web.middleware
    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            return await handler(request)  # type: ignore[no-any-return]
        except (web.HTTPException, ConnectionError):
            raise
        except Exception as error:
            failures.append(error)
            raise

    return middleware
