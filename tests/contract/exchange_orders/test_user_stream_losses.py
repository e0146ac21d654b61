"""Whatever breaks the user stream, it connects again and says from when on it delivers."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp.web
import pytest

from libs.exchange.credentials import Credentials
from libs.exchange.user_stream.client import EVENTS_MAX, UserStream
from libs.exchange.user_stream.events import BalanceTransferred, StreamConnected, UserEvent
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.scripted_exchange import ScriptedExchange, Talk, messages, say

SUBSCRIBED = {"id": "subscribe", "status": 200, "result": {"subscriptionId": 0}}
TRANSFER = {"subscriptionId": 0, "event": {"e": "balanceUpdate", "E": 1, "a": "BTC", "d": "0.1", "T": 1}}
ENDED = {"subscriptionId": 0, "event": {"e": "eventStreamTerminated", "E": 1}}
PONG = {"id": "ping-1", "status": 200, "result": {}}


@pytest.fixture
async def exchange() -> AsyncIterator[ScriptedExchange]:
    exchange = ScriptedExchange()
    async with exchange.serving():
        yield exchange


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def stream(exchange: ScriptedExchange, clock: FakeClock) -> AsyncIterator[UserStream]:
    stream = UserStream(
        url=exchange.address.websocket_api,
        credentials=Credentials("key", "secret"),
        symbols={"BTCUSDT": "BTC/USDT"},
        clock=clock,
        clock_offset_ms=lambda: 0,
    )
    running = asyncio.create_task(stream.run())
    await asyncio.sleep(0)
    yield stream
    assert not running.done(), "the stream gave up"
    running.cancel()
    await asyncio.wait({running})


async def heard(stream: UserStream, count: int) -> list[UserEvent]:
    async with asyncio.timeout(5):
        return [await stream.next_event() for _ in range(count)]


def leaves(*said: Any) -> Talk:
    """A talk that says these frames and closes the connection."""

    async def talk(socket: aiohttp.web.WebSocketResponse) -> None:
        await say(socket, said)
        await socket.close()

    return talk


@pytest.mark.parametrize(
    "first",
    [
        leaves(SUBSCRIBED),
        messages(SUBSCRIBED, "no JSON"),
        messages(SUBSCRIBED, ["no object"]),
        messages(SUBSCRIBED, ENDED),
    ],
    ids=["closed", "no JSON", "no object", "ended by the exchange"],
)
async def test_a_stream_that_breaks_is_connected_again(exchange: ScriptedExchange, stream: UserStream, first: Talk):
    exchange.talks.extend([first, messages(SUBSCRIBED, TRANSFER)])

    connected, again, event = await heard(stream, 3)

    assert isinstance(connected, StreamConnected)
    assert isinstance(again, StreamConnected)
    assert isinstance(event, BalanceTransferred)
    assert stream.is_connected


async def test_a_refused_subscription_is_tried_again_and_delivers_nothing_until_it_holds(
    exchange: ScriptedExchange, stream: UserStream
):
    refused = {"id": "subscribe", "status": 400, "error": {"code": -1022, "msg": "Signature is not valid."}}
    exchange.talks.extend([messages(refused), leaves(), messages(SUBSCRIBED)])

    (event,) = await heard(stream, 1)

    assert isinstance(event, StreamConnected)
    assert exchange.connections == 3


async def test_frames_that_tell_nothing_are_passed_over(exchange: ScriptedExchange, stream: UserStream):
    unknown = {"subscriptionId": 0, "event": {"e": "somethingNew", "E": 1}}
    exchange.talks.append(messages(SUBSCRIBED, b"\x00", PONG, unknown, TRANSFER))

    _, event = await heard(stream, 2)

    assert isinstance(event, BalanceTransferred)
    assert stream.is_connected


async def test_a_silent_stream_is_connected_again(exchange: ScriptedExchange, stream: UserStream, clock: FakeClock):
    exchange.talks.extend([messages(SUBSCRIBED), messages(SUBSCRIBED)])
    await heard(stream, 1)

    clock.advance(5.1)

    assert isinstance((await heard(stream, 1))[0], StreamConnected)


async def test_more_events_than_can_wait_break_the_stream_so_that_the_books_are_compared(
    exchange: ScriptedExchange, stream: UserStream
):
    exchange.talks.extend([messages(SUBSCRIBED, *[TRANSFER] * (EVENTS_MAX + 1)), messages(SUBSCRIBED)])

    async def is_lost() -> bool:
        return exchange.connections > 1

    await eventually(is_lost)
    waiting = await heard(stream, EVENTS_MAX)  # until then there is no room to say that it delivers again
    (event,) = await heard(stream, 1)

    assert sum(isinstance(each, BalanceTransferred) for each in waiting) == EVENTS_MAX - 1
    assert isinstance(event, StreamConnected)
