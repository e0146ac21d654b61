"""Faults of requests and of their answers.

Invariant: a request is executed at most once, whatever becomes of its answer.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from services.paper_exchange.api.gate import Answer, Endpoint, Gate, Request
from services.paper_exchange.faults.faults import Faults
from services.paper_exchange.faults.menu import (
    AnswerClock,
    AnswerNotFound,
    Fault,
    OrdersThrottled,
    ReplyFailed,
    ReplyReplaced,
    ReplySlow,
    RequestBanned,
    RequestFailed,
    RequestLate,
    RequestLost,
    RequestThrottled,
)
from services.paper_exchange.faults.selection import Armed, Point, Subject
from services.paper_exchange.venue.errors import ApiError, no_such_order
from services.paper_exchange.venue.venue import Venue

SOCKET: Final = "WS"
_PAGE: Final = "<html><body><h1>Temporarily unavailable</h1></body></html>"
_TIMES: Final = ("time", "transactionTime")
_CLIENT_IDS: Final = ("origClientOrderId", "newClientOrderId", "workingClientOrderId", "listClientOrderId")
"""By which an order goes, the first one that is there: a cancel by what it cancels, a list by its working order."""
Render = Callable[[Answer], web.Response]


class LostRequestError(Exception):
    """A request over the WebSocket API that gets no answer."""


class RequestFaults:
    """Answer requests as the gate does, or as a fault would have it.

    Args:
        faults: Says what strikes.
        gate: Answers.
        venue: Knows the time.
    """

    def __init__(self, *, faults: Faults, gate: Gate, venue: Venue) -> None:
        self._faults = faults
        self._gate = gate
        self._venue = venue

    async def answer(
        self, http: web.Request, endpoint: Endpoint, request: Request, render: Render
    ) -> web.StreamResponse:
        """Answer a request over HTTP.

        Args:
            http: The request as it arrived.
            endpoint: What is asked.
            request: The same request as the gate wants it.
            render: Makes a response of an answer.
        """
        faults = self._faults
        subject = self._subject(endpoint.method, endpoint.path, request)
        match faults.strike(Point.ARRIVAL, subject):
            case RequestLate() as late:
                await asyncio.sleep(faults.between(late.delay_ms_min, late.delay_ms_max))
        instead = faults.strike(Point.INSTEAD, subject)
        if instead is not None:
            return self._instead(http, instead, render)
        answer = self._gate.handle(endpoint, request)
        if answer.status != HTTPStatus.OK:
            return render(answer)
        answer = self._altered(answer, subject)
        if answer.status != HTTPStatus.OK:
            return render(answer)
        fault = faults.strike(Point.REPLY, subject)
        if isinstance(fault, ReplySlow):
            await asyncio.sleep(faults.between(fault.delay_ms_min, fault.delay_ms_max))
            fault = None
        if fault is None:
            return render(answer)
        if fault.kind == "reply_truncated":
            return await _truncated(http, render(answer))
        return _damaged(http, fault, render)

    def handshake(self, http: web.Request, render: Render) -> web.Response | None:
        """Return the refusal of a WebSocket connection, if there is to be one."""
        fault = self._faults.strike(Point.INSTEAD, Subject(method="GET", path=http.path))
        return None if fault is None else self._instead(http, fault, render)

    def of_socket(self, name: str, request: Request) -> Answer | None:
        """Return what a request over the WebSocket API is answered in place of what was asked, if it is.

        Raises:
            LostRequestError: It is not answered at all.
        """
        fault = self._faults.strike(Point.INSTEAD, self._subject(SOCKET, name, request))
        if isinstance(fault, RequestLost):
            raise LostRequestError
        return None if fault is None else self._refusal(fault)

    def _subject(self, method: str, path: str, request: Request) -> Subject:
        values = request.values
        return Subject(
            method=method,
            path=path,
            account=self._gate.account_of(request),
            symbol=values.get("symbol", ""),
            side=values.get("side") or values.get("workingSide", ""),
            client_id=next((values[name] for name in _CLIENT_IDS if values.get(name)), ""),
        )

    def _instead(self, http: web.Request, fault: Fault, render: Render) -> web.Response:
        if isinstance(fault, RequestLost):
            return _cut(http)
        if isinstance(fault, RequestFailed) and fault.code is None:
            return _page(fault.status)
        return render(self._refusal(fault))

    def _refusal(self, fault: Fault) -> Answer:
        match fault:
            case RequestThrottled():
                text = "Too much request weight used; current limit is 6000 request weight per 1 MINUTE."
                error = ApiError(-1003, text, status=HTTPStatus.TOO_MANY_REQUESTS, retry_after_s=fault.retry_after_s)
            case RequestBanned():
                until_ms = self._venue.now_ms + fault.retry_after_s * 1_000
                text = f"Way too much request weight used; IP banned until {until_ms}."
                error = ApiError(-1003, text, status=HTTPStatus.IM_A_TEAPOT, retry_after_s=fault.retry_after_s)
            case OrdersThrottled():
                text = "Too many new orders; current limit is 100 orders per 10 SECOND."
                error = ApiError(-1015, text, status=HTTPStatus.TOO_MANY_REQUESTS, retry_after_s=fault.retry_after_s)
            case RequestFailed():
                error = ApiError(fault.code or -1000, fault.message, status=fault.status)
            case _:
                raise ValueError(f"{fault.kind} answers no request")
        return Answer(error.status, error.body(), retry_after_s=error.retry_after_s)

    def _altered(self, answer: Answer, subject: Subject) -> Answer:
        """Return what the answer says of orders that are too young to be seen, and of the time."""
        now_ms = self._venue.now_ms

        def applies(fault: Armed) -> bool:
            if isinstance(fault, AnswerClock):
                return isinstance(answer.body, Mapping) and "serverTime" in answer.body
            return (
                isinstance(fault, AnswerNotFound)
                and subject.method == "GET"
                and _without_young(answer.body, now_ms - fault.lag_ms) is not answer.body
            )

        match self._faults.strike(Point.CONTENT, subject, applies=applies):
            case AnswerClock() as clock:
                return replace(answer, body=answer.body | {"serverTime": answer.body["serverTime"] + clock.skew_ms})
            case AnswerNotFound() as lag:
                body = _without_young(answer.body, now_ms - lag.lag_ms)
                if body is not None:
                    return replace(answer, body=body)
                of_list = "contingencyType" in answer.body
                error = ApiError(-2018, "Order list does not exist.") if of_list else no_such_order()
                return replace(answer, status=error.status, body=error.body())
        return answer


def _damaged(http: web.Request, fault: Fault, render: Render) -> web.Response:
    match fault:
        case ReplyReplaced(kind="reply_html"):
            return _page(HTTPStatus.OK)
        case ReplyReplaced():
            return web.Response(body=b"", content_type="application/json")
        case ReplyFailed(code=None):
            return _page(fault.status)
        case ReplyFailed():
            return render(Answer(fault.status, {"code": fault.code, "msg": fault.message}))
        case _:
            return _cut(http)


def _without_young(body: Any, oldest_ms: int) -> Any:
    """Return a body without the orders and trades after `oldest_ms`: itself if there are none, None if it is one."""
    if isinstance(body, list):
        left = [each for each in body if not _is_young(each, oldest_ms)]
        return body if len(left) == len(body) else left
    return None if _is_young(body, oldest_ms) else body


def _is_young(entry: Any, oldest_ms: int) -> bool:
    if not isinstance(entry, Mapping) or not {"orderId", "orderListId"} & entry.keys():
        return False
    return any(entry.get(name, oldest_ms) > oldest_ms for name in _TIMES)


def _cut(http: web.Request) -> web.Response:
    """End the connection; what is returned goes nowhere."""
    if http.transport is not None:
        http.transport.close()
    return web.Response()


async def _truncated(http: web.Request, whole: web.Response) -> web.StreamResponse:
    """Send half of a body under the length of all of it, and end the connection."""
    body = whole.body if isinstance(whole.body, bytes) else b""
    headers = {**whole.headers, "Content-Length": str(len(body))}
    response = web.StreamResponse(status=whole.status, headers=headers)
    await response.prepare(http)
    await response.write(body[: len(body) // 2])
    if http.transport is not None:
        http.transport.close()
    return response


def _page(status: int) -> web.Response:
    return web.Response(status=status, text=_PAGE, content_type="text/html")
