"""The WebSocket API: the REST endpoints by another way, and the user data streams.

Invariant: events of an account reach only connections that signed for it.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import WSMsgType, web

from services.paper_exchange.api.feed import Feed
from services.paper_exchange.api.gate import Answer, Endpoint, Gate, Request
from services.paper_exchange.api.limits import RATE_LIMITS, Limits
from services.paper_exchange.api.outbox import Outbox
from services.paper_exchange.venue.errors import ApiError
from services.paper_exchange.venue.venue import Venue

CONNECT_WEIGHT = 2
SUBSCRIPTION_WEIGHT = 2
Json = dict[str, Any]
Receive = Callable[[Json], None]


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


class SocketSession:
    """One connection to the WebSocket API."""

    def __init__(self, api: SocketApi, socket: web.WebSocketResponse, address: str) -> None:
        self._api = api
        self._socket = socket
        self._address = address
        self._subscriptions: dict[int, tuple[str, Receive]] = {}
        self._next_subscription = 0
        self._outbox = Outbox(socket)

    async def run(self) -> None:
        """Serve the connection until it ends."""
        sender = asyncio.create_task(self._outbox.run())
        try:
            async for message in self._socket:
                if message.type is WSMsgType.TEXT:
                    self.receive(message.data)
        finally:
            sender.cancel()
            for account, receive in self._subscriptions.values():
                self._api.feed.unsubscribe_account(account, receive)

    def receive(self, text: str) -> None:
        """Answer one message."""
        try:
            message = json.loads(text)
            request_id, method = message["id"], message["method"]
            params = message.get("params") or {}
            values = {name: _text(value) for name, value in params.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            error = ApiError(-1135, "Invalid JSON Request")
            self._reply(None, Answer(error.status, error.body()), with_limits=True)
            return
        payload = "&".join(f"{name}={values[name]}" for name in sorted(values) if name != "signature")
        with_limits = values.pop("returnRateLimits", "true") != "false"
        request = Request(self._address, values, payload.encode(), values.get("apiKey", ""))
        match method:
            case "userDataStream.subscribe.signature":
                answer = self._guarded(lambda: self._subscribe(request))
            case "userDataStream.unsubscribe":
                answer = self._guarded(lambda: self._unsubscribe(values))
            case _ if method in self._api.endpoints:
                answer = self._api.gate.handle(self._api.endpoints[method], request)
            case _:
                error = ApiError(-1020, "This operation is not supported.")
                answer = Answer(error.status, error.body())
        self._reply(request_id, answer, with_limits=with_limits)

    def _guarded(self, action: Callable[[], Json]) -> Answer:
        used: int | None = None
        try:
            now_ms = self._api.venue.advance()
            used = self._api.limits.spend(self._address, SUBSCRIPTION_WEIGHT, now_ms)
            return Answer(HTTPStatus.OK, action(), used)
        except ApiError as error:
            return Answer(error.status, error.body(), used, retry_after_s=error.retry_after_s)

    def _subscribe(self, request: Request) -> Json:
        key = self._api.gate.authenticate(request, self._api.venue.now_ms)
        if any(account == key.account for account, _ in self._subscriptions.values()):
            raise ApiError(-2035, "User data stream subscription already active.")
        number = self._next_subscription
        self._next_subscription += 1

        def receive(event: Json) -> None:
            wrapped = {"subscriptionId": number, "event": event}
            self._outbox.put(json.dumps(wrapped, separators=(",", ":")))

        self._subscriptions[number] = (key.account, receive)
        self._api.feed.subscribe_account(key.account, receive)
        return {"subscriptionId": number}

    def _unsubscribe(self, values: Mapping[str, str]) -> Json:
        named = values.get("subscriptionId")
        numbers = [number for number in self._subscriptions if named in (None, str(number))]
        for number in numbers:
            account, receive = self._subscriptions.pop(number)
            self._api.feed.unsubscribe_account(account, receive)
            receive({"e": "eventStreamTerminated", "E": self._api.venue.now_ms})
        return {}

    def _reply(self, request_id: Any, answer: Answer, *, with_limits: bool) -> None:
        reply: Json = {"id": request_id, "status": int(answer.status)}
        if answer.status == HTTPStatus.OK:
            reply["result"] = answer.body
        else:
            reply["error"] = dict(answer.body)
            if answer.retry_after_s is not None:
                now_ms = self._api.venue.now_ms
                reply["error"]["data"] = {"serverTime": now_ms, "retryAfter": now_ms + answer.retry_after_s * 1_000}
        if with_limits and answer.used_weight is not None:
            reply["rateLimits"] = [RATE_LIMITS[0] | {"count": answer.used_weight}]
        self._outbox.put(json.dumps(reply, separators=(",", ":")))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
