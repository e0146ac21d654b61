"""Market data connections: which streams they want.

Invariant: a connection gets the streams that it subscribed to and no others, wrapped or raw as its path says.
"""

import asyncio
import json
from collections import deque
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from services.paper_exchange.api.feed import Feed
from services.paper_exchange.api.outbox import Outbox

HEARTBEAT_S = 20.0
STREAMS_MAX = 1_024
MESSAGES_A_SECOND_MAX = 5
FRAME_BYTES_MAX = 65_536


class StreamConnection:
    """One client of `/ws`, `/stream` or `/stream/ws`."""

    def __init__(self, feed: Feed, socket: web.WebSocketResponse, *, combined: bool) -> None:
        self._feed = feed
        self._socket = socket
        self._streams: set[str] = set()
        self._arrivals: deque[float] = deque(maxlen=MESSAGES_A_SECOND_MAX)
        self.outbox = Outbox(socket)
        self.combined = combined

    async def run(self, streams: list[str]) -> None:
        """Serve the connection until it ends."""
        self._subscribe(streams[:STREAMS_MAX])
        sender = asyncio.create_task(self.outbox.run())
        try:
            async for message in self._socket:
                if self._is_flooding():
                    await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Too many requests")
                elif message.type is WSMsgType.TEXT:
                    self.outbox.put(json.dumps(self.answer(message.data), separators=(",", ":")))
        finally:
            sender.cancel()
            for stream in self._streams:
                self._feed.unsubscribe(stream, self)

    def answer(self, text: str) -> dict[str, Any]:
        """Do what a message asks and return the reply."""
        request_id: Any = None
        try:
            request = _parsed(text)
            request_id = request.get("id")
            result = self._do(request.get("method"), request.get("params", []))
        except _RefusedError as error:
            return {"error": {"code": error.code, "msg": error.text}, "id": request_id}
        return {"result": result, "id": request_id}

    def _do(self, method: Any, params: Any) -> Any:
        match method:
            case "SUBSCRIBE":
                self._subscribe(_names(params))
            case "UNSUBSCRIBE":
                self._unsubscribe(_names(params))
            case "LIST_SUBSCRIPTIONS":
                return sorted(self._streams)
            case "GET_PROPERTY":
                return self.combined
            case "SET_PROPERTY":
                self.combined = _combined(params)
            case _:
                raise _RefusedError(2, f"Invalid request: unknown variant `{method}`")
        return None

    def _subscribe(self, streams: list[str]) -> None:
        if len(self._streams | set(streams)) > STREAMS_MAX:
            raise _RefusedError(2, f"Invalid request: at most {STREAMS_MAX} streams a connection")
        for stream in streams:
            self._streams.add(stream)
            self._feed.subscribe(stream, self)

    def _unsubscribe(self, streams: list[str]) -> None:
        for stream in streams:
            self._streams.discard(stream)
            self._feed.unsubscribe(stream, self)

    def _is_flooding(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        full = len(self._arrivals) == MESSAGES_A_SECOND_MAX
        flooding = full and now_s - self._arrivals[0] < 1.0
        self._arrivals.append(now_s)
        return flooding


class _RefusedError(Exception):
    """A message that cannot be followed."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def _parsed(text: str) -> dict[str, Any]:
    try:
        request = json.loads(text)
    except ValueError as error:
        raise _RefusedError(3, f"Invalid JSON: {error}") from error
    if not isinstance(request, dict):
        raise _RefusedError(2, "Invalid request: request must be an object")
    return request


def _names(params: Any) -> list[str]:
    if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
        raise _RefusedError(2, "Invalid request: params must be an array of strings")
    return params


def _combined(params: Any) -> bool:
    match params:
        case ["combined", bool(wanted)]:
            return wanted
        case _:
            raise _RefusedError(2, "Invalid request: expected ['combined', true|false]")
