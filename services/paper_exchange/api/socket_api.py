"""The WebSocket API: the REST endpoints by another way, sessions, and the user data streams.

Invariant: events of an account reach only connections that signed for it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web

from services.paper_exchange.api.connection import Connection, SocketRules
from services.paper_exchange.api.feed import Feed
from services.paper_exchange.api.gate import Answer, Endpoint, Gate, Request
from services.paper_exchange.api.json_text import is_request_id, read_json
from services.paper_exchange.api.keys import ApiKey
from services.paper_exchange.api.limits import RATE_LIMITS, Limits
from services.paper_exchange.api.parameters import Parameters
from services.paper_exchange.api.time_unit import TimeUnit
from services.paper_exchange.api.user_streams import UserStreams
from services.paper_exchange.faults.requests import LostRequestError, RequestFaults
from services.paper_exchange.faults.streams import UserFaults
from services.paper_exchange.venue.errors import ApiError
from services.paper_exchange.venue.venue import Venue

CONNECT_WEIGHT = 2
_SESSION_WEIGHT = 2
_SIGNED = ("apiKey", "timestamp", "signature")
_WEIGHT_LIMIT, *_ORDER_LIMITS = RATE_LIMITS[:3]
Json = dict[str, Any]


class SocketApi:
    """What all WebSocket API connections share."""

    def __init__(
        self, *, venue: Venue, feed: Feed, gate: Gate, limits: Limits, endpoints: Mapping[str, Endpoint]
    ) -> None:
        self.venue = venue
        self.feed = feed
        self.gate = gate
        self.limits = limits
        self.endpoints = endpoints
        self.faults: RequestFaults | None = None
        self.user_faults: UserFaults | None = None


@dataclass(frozen=True, slots=True)
class _Method:
    """A method of the connection itself, with the parameters that it takes."""

    run: Callable[[Request], Any]
    mandatory: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()


class SocketSession:
    """One connection to the WebSocket API."""

    def __init__(
        self,
        api: SocketApi,
        socket: web.WebSocketResponse,
        *,
        address: str,
        rules: SocketRules,
        unit: TimeUnit,
        with_limits: bool,
    ) -> None:
        self._api = api
        self._address = address
        self._with_limits = with_limits
        self._connected_ms = api.venue.now_ms
        self._key: ApiKey | None = None
        self._authorized_ms: int | None = None
        self.connection = Connection(socket, rules=rules, unit=unit, farewell=lambda event: {"event": event})
        self._streams = UserStreams(api.feed, self._send, connection=self.connection, faults=api.user_faults)
        self._methods = {
            "session.logon": _Method(self._log_on, mandatory=_SIGNED, allowed=("recvWindow",)),
            "session.status": _Method(lambda _: self._status()),
            "session.logout": _Method(lambda _: self._log_out()),
            "session.subscriptions": _Method(lambda _: self._streams.active()),
            "userDataStream.subscribe": _Method(lambda _: self._subscribe()),
            "userDataStream.subscribe.signature": _Method(
                self._subscribe_signed, mandatory=_SIGNED, allowed=("recvWindow",)
            ),
            "userDataStream.unsubscribe": _Method(self._unsubscribe, allowed=("subscriptionId",)),
        }

    async def run(self) -> None:
        """Serve the connection until it ends."""
        try:
            await self.connection.run(self.receive, lambda: self._api.venue.now_ms)
        finally:
            self._streams.drop_all()

    def receive(self, text: str) -> None:
        """Answer one message."""
        try:
            request_id, name, params = _read(text)
        except ApiError as error:
            self._reply(None, Answer(error.status, error.body()), with_limits=self._with_limits)
            return
        values = {name: _text(value) for name, value in params.items()}
        payload = "&".join(f"{name}={values[name]}" for name in sorted(values) if name != "signature")
        with_limits = values.pop("returnRateLimits", "true" if self._with_limits else "false") != "false"
        request = Request(self._address, values, payload.encode(), values.get("apiKey", ""), self._key)
        try:
            instead = None if self._api.faults is None else self._api.faults.of_socket(name, request)
        except LostRequestError:
            return
        if instead is not None:
            answer = instead
        elif name in self._methods:
            answer = self._run(self._methods[name], request)
        elif name in self._api.endpoints:
            answer = self._api.gate.handle(self._api.endpoints[name], request)
        else:
            unknown = ApiError(-1020, "This operation is not supported.")
            answer = Answer(unknown.status, unknown.body())
        self._reply(request_id, answer, with_limits=with_limits)

    def _run(self, method: _Method, request: Request) -> Answer:
        used: int | None = None
        try:
            now_ms = self._api.venue.advance()
            self._api.limits.admit(self._address, now_ms)
            used = self._api.limits.spend(self._address, _SESSION_WEIGHT, now_ms)
            Parameters(request.values).expect(mandatory=method.mandatory, allowed=method.allowed)
            return Answer(HTTPStatus.OK, method.run(request), used)
        except ApiError as error:
            return Answer(error.status, error.body(), used, retry_after_s=error.retry_after_s)

    def _log_on(self, request: Request) -> Json:
        key = self._api.gate.authenticate(request, self._api.venue.now_ms)
        if not key.is_ed25519:  # sessions are for Ed25519 keys only; clients report this answer for others
            raise ApiError(-1022, "Signature for this request is not valid.")
        self._key, self._authorized_ms = key, self._api.venue.now_ms
        return self._status()

    def _log_out(self) -> Json:
        self._key = self._authorized_ms = None
        self._streams.end_of_session(self._api.venue.now_ms)
        return self._status()

    def _status(self) -> Json:
        return {
            "apiKey": None if self._key is None else self._key.api_key,
            "authorizedSince": self._authorized_ms,
            "connectedSince": self._connected_ms,
            "returnRateLimits": self._with_limits,
            "serverTime": self._api.venue.now_ms,
            "userDataStream": bool(self._streams.active()),
        }

    def _subscribe(self) -> Json:
        if self._key is None:
            raise ApiError(-1002, "You are not authorized to execute this request.", status=HTTPStatus.UNAUTHORIZED)
        return self._streams.open(self._key.account, of_session=True)

    def _subscribe_signed(self, request: Request) -> Json:
        key = self._api.gate.authenticate(request, self._api.venue.now_ms)
        return self._streams.open(key.account, of_session=False)

    def _unsubscribe(self, request: Request) -> Json:
        number = Parameters(request.values).optional_integer("subscriptionId")
        self._streams.end(number, self._api.venue.now_ms)
        return {}

    def _reply(self, request_id: Any, answer: Answer, *, with_limits: bool) -> None:
        reply: Json = {"id": request_id, "status": int(answer.status)}
        if answer.status == HTTPStatus.OK:
            reply["result"] = self.connection.unit.of_answer(answer.body)
        else:
            reply["error"] = dict(answer.body)
            if answer.retry_after_s is not None:
                now_ms = self._api.venue.now_ms
                reply["error"]["data"] = {"serverTime": now_ms, "retryAfter": now_ms + answer.retry_after_s * 1_000}
        if with_limits and answer.used_weight is not None:
            counts = answer.order_counts or ()
            orders = [limit | {"count": count} for limit, count in zip(_ORDER_LIMITS, counts, strict=False)]
            reply["rateLimits"] = [*orders, _WEIGHT_LIMIT | {"count": answer.used_weight}]
        self._send(reply)

    def _send(self, message: Json) -> None:
        if "event" in message:
            message = message | {"event": self.connection.unit.of_event(message["event"])}
        self.connection.outbox.put(json.dumps(message, separators=(",", ":")))


def _read(text: str) -> tuple[Any, str, Json]:
    """Return a message's id, method and parameters.

    Raises:
        ApiError: It is no request.
    """
    error = ApiError(-1135, "Invalid JSON Request")
    try:
        message = read_json(text)
    except ValueError as reason:
        raise error from reason
    if not isinstance(message, dict) or "id" not in message or not is_request_id(message["id"]):
        raise error
    method, params = message.get("method"), message.get("params") or {}
    if not isinstance(method, str) or not isinstance(params, dict):
        raise error
    return message["id"], method.removeprefix("v3/"), params


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
