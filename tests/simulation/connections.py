"""What the services hold of the network: aiohttp's sessions and sockets, and ccxt's raw methods.

Invariant: nothing here decides what becomes of a request; the network does.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import copy_context
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode, urlsplit

import aiohttp
import ccxt.async_support as ccxt

from libs.exchange.credentials import Credentials
from libs.exchange.orders.calling import _CELL
from libs.exchange.replies import Reply
from tests.simulation.exchange import HttpAnswer
from tests.simulation.loop import CURRENT, WORLD, Life
from tests.simulation.weather import NoReplyError

if TYPE_CHECKING:
    from tests.simulation.network import Network


class SimulatedSession:
    """aiohttp's session, as far as the services use it."""

    def __init__(self, network: "Network", timeout: aiohttp.ClientTimeout | None) -> None:
        self._network = network
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""

    def get(self, url: str, **options: Any) -> Any:
        return self.request("GET", url, **options)

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout | None = None,  # noqa: ASYNC109 - aiohttp's own parameter
    ) -> AsyncIterator[Any]:
        """Ask, and lend the answer."""
        parts = urlsplit(url)
        query = parts.query + (urlencode(params) if params else "")
        bound = timeout or self._timeout
        async with asyncio.timeout(bound.total if bound is not None else None):
            answer = await self._answer(method, parts.netloc, parts.path, query, headers or {})

        async def text() -> str:
            return answer.text

        yield SimpleNamespace(status=answer.status, headers=answer.headers, text=text)

    async def _answer(self, method: str, host: str, path: str, query: str, headers: Mapping[str, str]) -> HttpAnswer:
        if host in self._network.healthy:
            return await self._health(host)
        try:
            return await self._network.ask(method, path, query, headers.get("X-MBX-APIKEY", ""))
        except (ConnectionRefusedError, NoReplyError) as lost:
            raise aiohttp.ClientError(str(lost)) from lost

    async def _health(self, host: str) -> HttpAnswer:
        """Return what a process says of its health; of a dead one nothing listens, a frozen one is silent."""
        service = host.partition(".")[0]
        await asyncio.sleep(self._network.chance.uniform(0.0005, 0.01))
        health = self._network.healthy[host]
        running = [process for process in self._network.machine.alive(service) if process.life is Life.RUNNING]
        if not running:
            if self._network.machine.alive(service):
                await asyncio.sleep(3_600)
            raise aiohttp.ClientError("refused")
        return HttpAnswer(200 if not health().stuck() else 503, {}, "{}")

    async def ws_connect(self, url: str, **_: Any) -> "SimulatedSocket":
        """Connect to the exchange's WebSocket API."""
        del url
        await asyncio.sleep(self._network.chance.uniform(0.001, 0.02))
        if self._network.weather.down:
            raise aiohttp.ClientError("refused")
        return SimulatedSocket(self._network)


class SimulatedSocket:
    """A connection of the WebSocket API with one user stream on it, both ends."""

    def __init__(self, network: "Network") -> None:
        self._network = network
        self._process = CURRENT.get()
        self._frames: asyncio.Queue[str | None] = asyncio.Queue()
        self._silent = False
        self.close_code: int | None = None
        network.sockets[self] = None

    async def send_str(self, text: str) -> None:
        """Take a request of the client."""
        message = json.loads(text)
        if message["method"] == "userDataStream.subscribe.signature":
            self._network.exchange.feed.subscribe_account("main", self._receive)
        self._put({"id": message["id"], "status": 200, "result": {}}, 0.005)

    async def close(self) -> None:
        """End the connection."""
        self.cut()

    def cut(self, *, silently: bool = False) -> None:
        """End the connection, or only its deliveries."""
        self._silent = True
        self._network.exchange.feed.unsubscribe_account("main", self._receive)
        if not silently:
            self._network.sockets.pop(self, None)
            self.close_code = 1006
            self._frames.put_nowait(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        frame = await self._frames.get()
        if frame is None:
            raise StopAsyncIteration
        return SimpleNamespace(type=aiohttp.WSMsgType.TEXT, data=frame)

    def _receive(self, event: dict[str, Any]) -> None:
        if self._process.life is Life.DEAD:
            self._network.exchange.feed.unsubscribe_account("main", self._receive)
            self._network.sockets.pop(self, None)
            return
        weather, chance = self._network.weather, self._network.chance
        if chance.random() < weather.stream_losses:
            return
        message = {"subscriptionId": 0, "event": dict(event)}
        self._put(message, chance.uniform(0.001, weather.delay_s_max))
        if chance.random() < weather.stream_doubles:  # and that may overtake others
            self._put(message, chance.uniform(0.001, 2.0))

    def _put(self, message: dict[str, Any], delay_s: float) -> None:
        text = json.dumps(message)
        context = copy_context()
        context.run(CURRENT.set, WORLD)
        self._network.machine.loop.call_later(delay_s, self._deliver, text, context=context)

    def _deliver(self, text: str) -> None:
        if not self._silent:
            self._frames.put_nowait(text)


class SimulatedBinance:
    """ccxt's raw methods on the simulated network: signs, asks, and binds the reply to the call."""

    options: Mapping[str, Any] = {}
    urls: Mapping[str, Any] = {"api": {}}

    def __init__(self, network: "Network", options: Mapping[str, Any], now_ms: Any) -> None:
        self._network = network
        self._key = options["apiKey"]
        self._secret = options["secret"]
        self._now_ms = now_ms

    def __getattr__(self, name: str) -> Any:
        audience, method, place = name.split("_", 2)
        path = self._network.exchange.paths[place]

        async def call(parameters: dict[str, Any]) -> None:
            await self._call(method.upper(), path, parameters, signed=audience == "private")

        return call

    async def close(self) -> None:
        """Nothing is open."""

    async def _call(self, method: str, path: str, parameters: dict[str, Any], *, signed: bool) -> None:
        query = urlencode({"timestamp": self._now_ms(), "recvWindow": 10_000, **parameters} if signed else parameters)
        if signed:
            query += f"&signature={Credentials(self._key, self._secret).sign(query)}"
        cell = _CELL.get()
        try:
            answer = await self._network.ask(method, path, query, self._key if signed else "")
        except ConnectionRefusedError as refused:
            cause = aiohttp.ClientConnectorError(None, refused)  # type: ignore[arg-type]  # only its type is looked at
            raise ccxt.NetworkError("refused") from cause
        except NoReplyError as lost:
            raise ccxt.ExchangeNotAvailable(str(lost)) from lost
        if cell is not None:
            cell.reply = Reply.of(status=answer.status, headers=answer.headers, text=answer.text)
