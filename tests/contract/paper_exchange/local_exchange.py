"""The paper exchange inside the test's own event loop, where a test can look at its accounts and shorten its bounds."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from libs.common.clock import SystemClock
from services.paper_exchange.api.connection import SocketRules
from services.paper_exchange.api.keys import ApiKey, load_or_create_keys
from services.paper_exchange.exchange import Exchange
from services.paper_exchange.market.source import open_tape

SYMBOLS = ("BTCUSDT", "ETHUSDT")
DEADLINE_S = 20.0
Json = dict[str, Any]


class LocalExchange:
    """A running exchange and a client of one of its accounts."""

    def __init__(self, exchange: Exchange, server: TestServer, http: aiohttp.ClientSession, key: ApiKey) -> None:
        self.exchange = exchange
        self.http = http
        self.rest = str(server.make_url("")).rstrip("/")
        self.socket = self.rest.replace("http", "ws", 1)
        self.key = key

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
        return hmac.new(self.key.api_secret.encode(), payload.encode(), hashlib.sha256).hexdigest()

    def signed_params(self, **parameters: Any) -> Json:
        """Return the parameters of a signed request to the WebSocket API."""
        values = {"apiKey": self.key.api_key, "timestamp": int(time.time() * 1_000), **parameters}
        payload = "&".join(f"{name}={values[name]}" for name in sorted(values))
        return {**values, "signature": self.sign(payload)}

    async def _send(self, method: str, target: str, headers: Mapping[str, str]) -> tuple[int, Any]:
        async with self.http.request(method, self.rest + target, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if answer.content_type == "application/json" else text


@asynccontextmanager
async def local_exchange(
    directory: Path,
    *,
    key: str = "visitor",
    stream_rules: SocketRules | None = None,
    socket_api_rules: SocketRules | None = None,
) -> AsyncIterator[LocalExchange]:
    """Run an exchange on the recorded market for the length of a block."""
    keys = load_or_create_keys(directory / "keys.json")
    exchange = Exchange(
        clock=SystemClock(),
        tape=open_tape("recorded", SYMBOLS, seed=7, scenario_file=None),
        speed=Fraction(1),
        seed=7,
        journal_dir=directory / "journal",
        keys=list(keys.values()),
        stream_rules=stream_rules,
        socket_api_rules=socket_api_rules,
    )
    failures: list[BaseException] = []
    server = TestServer(exchange.server.application([_collecting(failures)]))
    await server.start_server()
    market = asyncio.create_task(_turn(exchange))
    try:
        async with aiohttp.ClientSession() as http:
            yield LocalExchange(exchange, server, http, keys[key])
    finally:
        market.cancel()
        await server.close()
        exchange.venue.close()
    assert failures == []
    assert market.cancelled() or not market.done() or market.exception() is None


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
