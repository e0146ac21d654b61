"""Market data connections: which streams they want.

Invariant: a connection gets the streams that it subscribed to and no others, wrapped or raw as its path says.

The texts of refusals are those of Binance's documents ("Error Messages" of the WebSocket streams).
"""

import json
from typing import Any

from aiohttp import web

from services.paper_exchange.api.connection import Connection, SocketRules
from services.paper_exchange.api.feed import Feed
from services.paper_exchange.api.json_text import is_request_id, read_json
from services.paper_exchange.api.time_unit import TimeUnit

STREAMS_MAX = 1_024
_ID_LENGTH_MAX = 36
_NAME_LENGTH_MAX = 100
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class StreamConnection:
    """One client of `/ws`, `/stream` or `/stream/ws`."""

    def __init__(
        self, feed: Feed, socket: web.WebSocketResponse, *, rules: SocketRules, unit: TimeUnit, combined: bool
    ) -> None:
        self._feed = feed
        self._streams: set[str] = set()
        self.connection = Connection(socket, rules=rules, unit=unit, farewell=self._wrapped_farewell)
        self.outbox = self.connection.outbox
        self.unit = unit
        self.combined = combined

    async def run(self, streams: list[str]) -> None:
        """Serve the connection until it ends."""
        self._subscribe([stream for stream in streams[:STREAMS_MAX] if len(stream) <= _NAME_LENGTH_MAX])
        try:
            await self.connection.run(self._receive, lambda: self._feed.now_ms)
        finally:
            self._feed.unsubscribe(self._streams, self)

    def _receive(self, text: str) -> None:
        self.outbox.put(json.dumps(self.answer(text), separators=(",", ":")))

    def answer(self, text: str) -> dict[str, Any]:
        """Do what a message asks and return the reply."""
        request_id: Any = None
        try:
            request = _parsed(text)
            request_id = _request_id(request)
            if "method" not in request:
                raise _invalid("missing field `method`")
            result = self._do(request["method"], request.get("params", []))
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
                _values_of_combined(params, most=0)
                return self.combined
            case "SET_PROPERTY":
                match _values_of_combined(params, most=1):
                    case [bool(wanted)]:
                        self.combined = wanted
                    case _:
                        raise _RefusedError(1, "Invalid value type: expected Boolean")
            case _:
                expected = ", ".join(f"`{name}`" for name in _METHODS)
                raise _invalid(f"unknown variant `{str(method)[:_ID_LENGTH_MAX]}`, expected one of {expected}")
        return None

    def _subscribe(self, streams: list[str]) -> None:
        if len(self._streams | set(streams)) > STREAMS_MAX:
            raise _invalid(f"at most {STREAMS_MAX} streams a connection")
        if any(len(stream) > _NAME_LENGTH_MAX for stream in streams):
            raise _invalid(f"a stream's name has at most {_NAME_LENGTH_MAX} characters")
        self._streams.update(streams)
        self._feed.subscribe(streams, self)

    def _unsubscribe(self, streams: list[str]) -> None:
        self._streams.difference_update(streams)
        self._feed.unsubscribe(streams, self)

    def _wrapped_farewell(self, event: dict[str, Any]) -> dict[str, Any]:
        return {"stream": "!serverShutdown", "data": event} if self.combined else event


class _RefusedError(Exception):
    """A message that cannot be followed."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def _invalid(text: str) -> _RefusedError:
    return _RefusedError(2, f"Invalid request: {text}")


def _parsed(text: str) -> dict[str, Any]:
    try:
        request = read_json(text)
    except ValueError as error:
        raise _RefusedError(3, f"Invalid JSON: {error}") from error
    if not isinstance(request, dict):
        raise _invalid("request must be an object")
    return request


def _request_id(request: dict[str, Any]) -> Any:
    value = request.get("id", False)
    if not is_request_id(value) or (isinstance(value, str) and len(value) > _ID_LENGTH_MAX):
        raise _invalid("request ID must be an unsigned integer")
    return value


def _names(params: Any) -> list[str]:
    if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
        raise _invalid("params must be an array of strings")
    return params


def _values_of_combined(params: Any, *, most: int) -> list[Any]:
    """Return what stands behind the name of the only property there is."""
    if not isinstance(params, list) or not params or not isinstance(params[0], str):
        raise _invalid("property name must be a string")
    if len(params) > 1 + most:
        raise _invalid("too many parameters")
    if params[0] != "combined":
        raise _RefusedError(0, "Unknown property")
    return params[1:]
