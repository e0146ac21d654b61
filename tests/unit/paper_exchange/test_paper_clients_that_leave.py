"""Clients that leave, fall silent or send half: the exchange goes on; what is its own mistake ends it."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import WSCloseCode, WSMsgType, web

from services.paper_exchange.__main__ import _crash_on_bug
from services.paper_exchange.api import server
from services.paper_exchange.api.connection import Connection, SocketRules
from services.paper_exchange.api.time_unit import TimeUnit
from tests.support.virtual_time import run_in_virtual_time


class LeavingSocket:
    """A client that pings, and to whom nothing can be sent."""

    def __init__(self, *, is_there: bool = False) -> None:
        self._is_there = is_there
        self.closed_with: list[int] = []

    async def __aiter__(self) -> AsyncIterator[SimpleNamespace]:
        yield SimpleNamespace(type=WSMsgType.PING, data=b"1")
        await asyncio.sleep(3_600)

    async def pong(self, _: bytes) -> None:
        if not self._is_there:
            raise ConnectionResetError

    async def ping(self, _: bytes) -> None:
        if not self._is_there:
            raise ConnectionResetError
        await asyncio.Event().wait()  # it does not read

    async def send_str(self, _: str) -> None:
        await self.ping(b"")

    async def close(self, *, code: int, **_: object) -> None:
        self.closed_with.append(code)


def a_connection(socket: LeavingSocket) -> Connection:
    client: Any = socket
    return Connection(client, rules=SocketRules(), unit=TimeUnit.MILLISECOND, farewell=lambda event: event)


def test_a_client_that_goes_while_its_ping_is_answered_has_gone():
    run_in_virtual_time(a_connection(LeavingSocket()).run(lambda _: None, lambda: 0))


def test_a_client_that_went_before_it_was_asked_is_not_asked_again():
    socket = LeavingSocket()

    run_in_virtual_time(a_connection(socket)._watch(lambda: 0))

    assert socket.closed_with == []


def test_a_client_that_does_not_read_is_cut_off():
    socket = LeavingSocket(is_there=True)

    run_in_virtual_time(a_connection(socket)._watch(lambda: 0))

    assert socket.closed_with == [WSCloseCode.POLICY_VIOLATION]


@pytest.mark.parametrize("is_there", [True, False])
def test_frames_and_a_farewell_to_a_client_that_hears_nothing_end(is_there: bool):  # noqa: FBT001
    socket = LeavingSocket(is_there=is_there)
    connection = a_connection(socket)
    connection.outbox.put("a frame")

    run_in_virtual_time(connection.outbox.run())
    run_in_virtual_time(connection.say_farewell(0))

    assert socket.closed_with == [WSCloseCode.POLICY_VIOLATION]


def test_a_body_that_does_not_come_is_not_waited_for():
    http: Any = SimpleNamespace(read=asyncio.Event().wait)

    with pytest.raises(server._UnreadableError) as refused:
        run_in_virtual_time(server._body(http))
    assert refused.value.status is HTTPStatus.REQUEST_TIMEOUT


@pytest.mark.parametrize(
    ("error", "ends"), [(ValueError(), True), (web.HTTPNotFound(), False), (ConnectionResetError(), False)]
)
async def test_only_an_error_that_nobody_expected_ends_the_exchange(error: Exception, ends: bool):  # noqa: FBT001
    async def handler(_: Any) -> web.StreamResponse:
        raise error

    crash: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    middleware = _crash_on_bug(crash)

    for _ in range(2):  # a second one changes nothing
        with pytest.raises(type(error)):
            await middleware(None, handler)

    assert crash.done() is ends
    assert not ends or crash.exception() is error
