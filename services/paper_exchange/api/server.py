"""The public port: paths to endpoints and connections, over HTTP and WebSocket.

Invariant: this port speaks Binance only; health and metrics have a port of their own.
"""

import json
import uuid
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.typedefs import Middleware

from services.paper_exchange.api.feed import Feed
from services.paper_exchange.api.gate import Answer, Endpoint, Gate, Request
from services.paper_exchange.api.socket_api import CONNECT_WEIGHT, SocketApi, SocketSession
from services.paper_exchange.api.streams import FRAME_BYTES_MAX, HEARTBEAT_S, StreamConnection
from services.paper_exchange.venue.errors import ApiError

_NOT_FOUND = "<html><head><title>404 Not Found</title></head><body><h1>404 Not Found</h1></body></html>"
_JSON = "application/json"
_HEADERS = {"Server": "nginx"}


class Server:
    """Routes requests; knows no business."""

    def __init__(self, *, endpoints: Iterable[Endpoint], gate: Gate, socket_api: SocketApi, feed: Feed) -> None:
        self._endpoints = {(endpoint.method, endpoint.path): endpoint for endpoint in endpoints}
        self._gate = gate
        self._socket_api = socket_api
        self._feed = feed

    def application(self, middlewares: Iterable[Middleware] = ()) -> web.Application:
        """Return the web application."""
        application = web.Application(middlewares=tuple(middlewares), client_max_size=1024 * 1024)
        application.router.add_get("/ws-api/v3", self._on_socket_api)
        application.router.add_get("/stream", self._on_combined_stream)
        for path in ("/ws", "/ws/{streams:.+}", "/stream/ws", "/stream/ws/{number:[0-9]*}"):
            application.router.add_get(path, self._on_raw_stream)
        application.router.add_route("*", "/{path:.*}", self._on_request)
        return application

    async def _on_request(self, http: web.Request) -> web.Response:
        endpoint = self._endpoints.get((http.method, http.path))
        if endpoint is None:
            return web.Response(status=HTTPStatus.NOT_FOUND, text=_NOT_FOUND, content_type="text/html")
        _, _, query = http.raw_path.partition("?")
        body = (await http.read()).decode(errors="replace") if http.can_read_body else ""
        pairs = parse_qsl(query, keep_blank_values=True) + parse_qsl(body, keep_blank_values=True)
        values = dict(pairs)
        if len(values) != len(pairs):
            error = ApiError(-1101, "Duplicate values for a parameter detected.")
            return _response(Answer(error.status, error.body()))
        request = Request(
            address=http.remote or "",
            values=values,
            signed_payload=(_unsigned(query) + _unsigned(body)).encode(),
            api_key=http.headers.get("X-MBX-APIKEY", ""),
        )
        return _response(self._gate.handle(endpoint, request))

    async def _on_raw_stream(self, http: web.Request) -> web.WebSocketResponse:
        names = http.match_info.get("streams", "")
        return await self._serve_streams(http, names, combined=False)

    async def _on_combined_stream(self, http: web.Request) -> web.WebSocketResponse:
        return await self._serve_streams(http, http.query.get("streams", ""), combined=True)

    async def _serve_streams(self, http: web.Request, names: str, *, combined: bool) -> web.WebSocketResponse:
        socket = _socket()
        await socket.prepare(http)
        connection = StreamConnection(self._feed, socket, combined=combined)
        await connection.run([name for name in names.split("/") if name])
        return socket

    async def _on_socket_api(self, http: web.Request) -> web.StreamResponse:
        api = self._socket_api
        address = http.remote or ""
        try:
            api.limits.spend(address, CONNECT_WEIGHT, api.venue.advance())
        except ApiError as error:
            return _response(Answer(error.status, error.body(), retry_after_s=error.retry_after_s))
        socket = _socket()
        await socket.prepare(http)
        await SocketSession(api, socket, address).run()
        return socket


def _socket() -> web.WebSocketResponse:
    return web.WebSocketResponse(heartbeat=HEARTBEAT_S, compress=False, max_msg_size=FRAME_BYTES_MAX)


def _unsigned(raw: str) -> str:
    """Return what was signed of a raw query or body: everything but the signature, untouched."""
    return "&".join(part for part in raw.split("&") if not part.startswith("signature="))


def _response(answer: Answer) -> web.Response:
    headers: dict[str, str] = _HEADERS | {"x-mbx-uuid": str(uuid.uuid4())}
    if answer.used_weight is not None:
        headers |= {"x-mbx-used-weight": str(answer.used_weight), "x-mbx-used-weight-1m": str(answer.used_weight)}
    if answer.order_counts is not None:
        short, day = answer.order_counts
        headers |= {"x-mbx-order-count-10s": str(short), "x-mbx-order-count-1d": str(day)}
    if answer.retry_after_s is not None:
        headers["Retry-After"] = str(answer.retry_after_s)
    body = answer.body if not isinstance(answer.body, Mapping) else dict(answer.body)
    return web.Response(
        status=answer.status,
        body=json.dumps(body, separators=(",", ":")).encode(),
        content_type=_JSON,
        charset="UTF-8",
        headers=headers,
    )
