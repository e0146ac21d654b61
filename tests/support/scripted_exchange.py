"""An exchange that answers what a test says, once for each request, and remembers what it was asked."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from libs.exchange.addresses import ExchangeAddress

HANG: Final = "hang"
"""Take the request and never answer."""
CUT: Final = "cut"
"""Take the request and close the connection."""
HALF: Final = "half"
"""Begin an answer and close the connection in the middle of it."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer."""

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Talk = Callable[[web.WebSocketResponse], Any]


class ScriptedExchange:
    """Answers REST from `answers`; refuses WebSocket connections as `refusals` say, or holds them as `talks` say.

    The last talk is held again and again.
    """

    def __init__(self) -> None:
        self.answers: deque[Said | str] = deque()
        self.talks: deque[Talk] = deque()
        self.refusals: deque[Said] = deque()
        self.asked: list[tuple[str, str]] = []
        self.parameters: list[dict[str, str]] = []
        self.connections = 0
        self.address = ExchangeAddress.of("http://127.0.0.1:9", "ws://127.0.0.1:9")

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listen on a free port."""
        application = web.Application()
        application.router.add_get("/ws-api/v3", self._talk)
        application.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            self.address = ExchangeAddress.of(f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}")
            yield
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path))
        self.parameters.append(
            {**request.query, **{name: str(value) for name, value in (await request.post()).items()}}
        )
        answer = self.answers.popleft()
        if isinstance(answer, Said):
            if isinstance(answer.body, str):
                return web.Response(text=answer.body, status=answer.status, headers=answer.headers)
            return web.json_response(answer.body, status=answer.status, headers=answer.headers)
        if answer == HALF:
            response = web.StreamResponse(headers={"Content-Length": "100"})
            await response.prepare(request)
            await response.write(b'{"orderId": 7')
        if answer in {CUT, HALF} and request.transport is not None:
            request.transport.close()
        await asyncio.Event().wait()
        raise AssertionError

    async def _talk(self, request: web.Request) -> web.StreamResponse:
        if self.refusals:
            refusal = self.refusals.popleft()
            return web.Response(status=refusal.status, headers=refusal.headers)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive_json()  # the subscription
        self.connections += 1
        await (self.talks.popleft() if len(self.talks) > 1 else self.talks[0])(socket)
        return socket


def messages(*said: Any) -> Talk:
    """Return a talk that says these frames, text as it is and anything else as JSON, and then listens."""

    async def talk(socket: web.WebSocketResponse) -> None:
        await say(socket, said)
        async for _ in socket:
            pass

    return talk


async def say(socket: web.WebSocketResponse, said: Sequence[Any]) -> None:
    """Send frames."""
    for frame in said:
        if isinstance(frame, bytes):
            await socket.send_bytes(frame)
        elif isinstance(frame, str):
            await socket.send_str(frame)
        else:
            await socket.send_json(frame)
