"""An exchange that answers everything and never stops talking, in a thread of its own: held loops do not hold it."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import web

TALK_INTERVAL_S: Final = 0.02
START_S_MAX: Final = 20.0


@contextmanager
def chattering_exchange() -> Iterator[str]:
    """Lend its address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner = web.AppRunner(_application(), shutdown_timeout=0.1)
    try:
        asyncio.run_coroutine_threadsafe(_start(runner), loop).result(START_S_MAX)
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(START_S_MAX)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _start(runner: web.AppRunner) -> None:
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()


def _application() -> web.Application:
    application = web.Application()
    application.router.add_get("/ws-api/v3", _subscribed)
    application.router.add_get("/stream/ws/0", _subscribed)
    application.router.add_get("/not-subscribed", _talking)
    application.router.add_route("*", "/{path:.*}", _answered)
    return application


async def _answered(_: web.Request) -> web.Response:
    return web.json_response({"serverTime": 1_760_000_000_000})


async def _subscribed(request: web.Request) -> web.WebSocketResponse:
    return await _talk(request, acknowledges=True)


async def _talking(request: web.Request) -> web.WebSocketResponse:
    return await _talk(request, acknowledges=False)


async def _talk(request: web.Request, *, acknowledges: bool) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    subscription = await socket.receive_json()
    if acknowledges:
        await socket.send_json({"id": subscription["id"], "status": 200, "result": None})
    with contextlib.suppress(ConnectionError):
        while not socket.closed:
            await socket.send_json({"id": "talk", "result": {}})
            with contextlib.suppress(TimeoutError):
                await socket.receive(timeout=TALK_INTERVAL_S)
    return socket
