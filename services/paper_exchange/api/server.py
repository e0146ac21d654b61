"""The public port: paths to endpoints and connections, over HTTP and WebSocket.

Invariant: this port speaks Binance only; health and metrics have a port of their own.
"""

import asyncio
import json
import uuid
from collections.abc import Iterable, Mapping
from functools import partial
from http import HTTPStatus
from urllib.parse import parse_qsl

from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Middleware

from services.paper_exchange.api.connection import FRAME_BYTES_MAX, Connection, SocketRules
from services.paper_exchange.api.feed import Feed
from services.paper_exchange.api.gate import Answer, Endpoint, Gate, Request
from services.paper_exchange.api.limits import Limits
from services.paper_exchange.api.socket_api import CONNECT_WEIGHT, SocketApi, SocketSession
from services.paper_exchange.api.streams import StreamConnection
from services.paper_exchange.api.time_unit import TimeUnit
from services.paper_exchange.faults.requests import RequestFaults
from services.paper_exchange.venue.errors import ApiError
from services.paper_exchange.venue.venue import Venue

BODY_BYTES_MAX = 1024 * 1024
BODY_S_MAX = 10.0
_PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
_JSON = "application/json"
_HEADERS = {"Server": "nginx"}


class Server:
    """Routes requests; knows no business."""

    def __init__(
        self,
        *,
        venue: Venue,
        endpoints: Iterable[Endpoint],
        gate: Gate,
        limits: Limits,
        socket_api: SocketApi,
        feed: Feed,
        stream_rules: SocketRules | None = None,
        socket_api_rules: SocketRules | None = None,
    ) -> None:
        self._venue = venue
        self._endpoints = {(endpoint.method, endpoint.path): endpoint for endpoint in endpoints}
        self._paths = {path for _, path in self._endpoints}
        self._gate = gate
        self._limits = limits
        self._socket_api = socket_api
        self._feed = feed
        self._stream_rules = stream_rules or SocketRules()
        self._socket_api_rules = socket_api_rules or SocketRules(messages_a_second_max=None)
        self._connections: set[Connection] = set()
        self.faults: RequestFaults | None = None

    def application(self, middlewares: Iterable[Middleware] = ()) -> web.Application:
        """Return the web application."""
        application = web.Application(middlewares=tuple(middlewares), client_max_size=BODY_BYTES_MAX)
        application.router.add_get("/ws-api/v3", self._on_socket_api)
        application.router.add_get("/stream", self._on_combined_stream)
        for path in ("/ws", "/ws/{streams:.+}", "/stream/ws", "/stream/ws/{number:[0-9]*}"):
            application.router.add_get(path, self._on_raw_stream)
        application.router.add_route("*", "/{path:.*}", self._on_request)
        application.on_shutdown.append(self._on_shutdown)
        return application

    async def _on_request(self, http: web.Request) -> web.StreamResponse:
        endpoint = self._endpoints.get((http.method, http.path))
        if endpoint is None:
            if http.path in self._paths:
                return _refusal(_unsupported())
            return _page(HTTPStatus.NOT_FOUND)
        try:
            unit = TimeUnit.read(http.headers.get("X-MBX-TIME-UNIT", "") if http.path.startswith("/api/") else "")
            request = await _request(http)
        except ApiError as error:
            return _refusal(error)
        except _UnreadableError as error:
            return _page(error.status)
        if self.faults is not None:
            return await self.faults.answer(http, endpoint, request, partial(_response, unit=unit))
        return _response(self._gate.handle(endpoint, request), unit)

    async def _on_raw_stream(self, http: web.Request) -> web.StreamResponse:
        names = http.match_info.get("streams", "")
        return await self._serve_streams(http, names, combined=False)

    async def _on_combined_stream(self, http: web.Request) -> web.StreamResponse:
        return await self._serve_streams(http, http.query.get("streams", ""), combined=True)

    async def _serve_streams(self, http: web.Request, names: str, *, combined: bool) -> web.StreamResponse:
        if (refusal := self._refused(http)) is not None:
            return refusal
        try:
            self._limits.connect(http.remote or "", "streams", self._venue.advance())
            unit = TimeUnit.read(http.query.get("timeUnit", ""))
        except ApiError as error:
            return _refusal(error)
        socket = await _socket(http)
        streams = StreamConnection(self._feed, socket, rules=self._stream_rules, unit=unit, combined=combined)
        self._connections.add(streams.connection)
        try:
            await streams.run([name for name in names.split("/") if name])
        finally:
            self._connections.discard(streams.connection)
        return socket

    async def _on_socket_api(self, http: web.Request) -> web.StreamResponse:
        if (refusal := self._refused(http)) is not None:
            return refusal
        address = http.remote or ""
        try:
            now_ms = self._venue.advance()
            self._limits.connect(address, "socket api", now_ms)
            self._limits.spend(address, CONNECT_WEIGHT, now_ms)
            unit = TimeUnit.read(http.query.get("timeUnit", ""))
        except ApiError as error:
            return _refusal(error)
        socket = await _socket(http)
        session = SocketSession(
            self._socket_api,
            socket,
            address=address,
            rules=self._socket_api_rules,
            unit=unit,
            with_limits=http.query.get("returnRateLimits") != "false",
        )
        self._connections.add(session.connection)
        try:
            await session.run()
        finally:
            self._connections.discard(session.connection)
        return socket

    def _refused(self, http: web.Request) -> web.Response | None:
        if self.faults is None:
            return None
        return self.faults.handshake(http, partial(_response, unit=TimeUnit.MILLISECOND))

    async def _on_shutdown(self, _: web.Application) -> None:
        now_ms = self._venue.now_ms
        await asyncio.gather(*(connection.say_farewell(now_ms) for connection in tuple(self._connections)))


class _UnreadableError(Exception):
    """A body that is too long, too slow or broken, which Binance's front door refuses without a code."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


async def _request(http: web.Request) -> Request:
    """Return a request as the gate wants it; a parameter in the query hides one of its name in the body.

    Raises:
        ApiError: A parameter is there twice.
        _UnreadableError: The body cannot be read.
    """
    _, _, query = http.raw_path.partition("?")
    body = await _body(http) if http.can_read_body else b""
    return Request(
        address=http.remote or "",
        values=_values(body.decode(errors="replace")) | _values(query),
        signed_payload=_unsigned(query.encode(errors="surrogateescape")) + _unsigned(body),
        api_key=http.headers.get("X-MBX-APIKEY", ""),
    )


async def _body(http: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_S_MAX):
            return await http.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise _UnreadableError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE) from error
    except TimeoutError as error:
        raise _UnreadableError(HTTPStatus.REQUEST_TIMEOUT) from error
    except (ClientPayloadError, HttpProcessingError, web.RequestPayloadError) as error:
        raise _UnreadableError(HTTPStatus.BAD_REQUEST) from error


def _values(raw: str) -> dict[str, str]:
    pairs = parse_qsl(raw, keep_blank_values=True)
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ApiError(-1101, "Duplicate values for a parameter detected.")
    return values


def _unsigned(raw: bytes) -> bytes:
    """Return what was signed of a raw query or body: everything but the signature, untouched."""
    return b"&".join(part for part in raw.split(b"&") if not part.startswith(b"signature="))


async def _socket(http: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=FRAME_BYTES_MAX)
    await socket.prepare(http)
    return socket


def _unsupported() -> ApiError:
    return ApiError(-1020, "This operation is not supported.", status=HTTPStatus.METHOD_NOT_ALLOWED)


def _page(status: HTTPStatus) -> web.Response:
    text = _PAGE.format(f"{status.value} {status.phrase}")
    return web.Response(status=status, text=text, content_type="text/html", headers=_HEADERS)


def _refusal(error: ApiError) -> web.Response:
    return _response(Answer(error.status, error.body(), retry_after_s=error.retry_after_s), TimeUnit.MILLISECOND)


def _response(answer: Answer, unit: TimeUnit) -> web.Response:
    headers: dict[str, str] = _HEADERS | {"x-mbx-uuid": str(uuid.uuid4())}
    if answer.used_weight is not None:
        headers |= {"x-mbx-used-weight": str(answer.used_weight), "x-mbx-used-weight-1m": str(answer.used_weight)}
    if answer.order_counts is not None:
        short, day = answer.order_counts
        headers |= {"x-mbx-order-count-10s": str(short), "x-mbx-order-count-1d": str(day)}
    if answer.retry_after_s is not None:
        headers["Retry-After"] = str(answer.retry_after_s)
    body = unit.of_answer(answer.body)
    body = body if not isinstance(body, Mapping) else dict(body)
    return web.Response(
        status=answer.status,
        body=json.dumps(body, separators=(",", ":")).encode(),
        content_type=_JSON,
        charset="UTF-8",
        headers=headers,
    )
