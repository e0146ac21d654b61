"""Whatever breaks the user stream, it connects again and says from when on it delivers."""

import asyncio
import json
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import aiohttp.web
import pytest

from libs.exchange.credentials import Credentials
from libs.exchange.limits import AddressBudget, Purpose
from libs.exchange.user_stream import client
from libs.exchange.user_stream.client import EVENTS_MAX, StreamLostError, UserStream
from libs.exchange.user_stream.events import BalanceTransferred, StreamConnected, UserEvent
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.scripted_exchange import Said, ScriptedExchange, Talk, messages, say

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
def budget(clock: FakeClock) -> AddressBudget:
    return AddressBudget(clock)


def a_stream(exchange: ScriptedExchange, clock: FakeClock, budget: AddressBudget) -> UserStream:
    return UserStream(
        url=exchange.address.websocket_api,
        credentials=Credentials("key", "secret"),
        symbols={"BTCUSDT": "BTC/USDT"},
        clock=clock,
        clock_offset_ms=lambda: 0,
        randomness=Random(1),
        budget=budget,
    )


@pytest.fixture
async def stream(exchange: ScriptedExchange, clock: FakeClock, budget: AddressBudget) -> AsyncIterator[UserStream]:
    stream = a_stream(exchange, clock, budget)
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


@pytest.mark.parametrize("turns", range(6))
async def test_it_ends_when_it_is_told_to_while_its_connection_breaks(
    exchange: ScriptedExchange, clock: FakeClock, budget: AddressBudget, monkeypatch: pytest.MonkeyPatch, turns: int
):
    broken = asyncio.Event()

    async def breaks(*_: object) -> None:
        await broken.wait()
        raise StreamLostError("broken")

    monkeypatch.setattr(UserStream, "_keep_alive", breaks)
    exchange.talks.extend([messages(SUBSCRIBED), messages(SUBSCRIBED)])
    stream = a_stream(exchange, clock, budget)
    running = asyncio.create_task(stream.run())
    await heard(stream, 1)

    broken.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()

    await asyncio.wait({running}, timeout=5)
    assert running.cancelled()


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


def answers_pings(*said: Any) -> Talk:
    """A talk that says these frames and then answers every ping, and nothing else."""

    async def talk(socket: aiohttp.web.WebSocketResponse) -> None:
        await say(socket, said)
        async for frame in socket:
            await socket.send_json({"id": json.loads(frame.data)["id"], "status": 200, "result": {}})

    return talk


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PING_INTERVAL_S", 0.02)


@pytest.mark.usefixtures("hurried")
async def test_a_subscription_that_is_not_acknowledged_is_made_anew_though_pings_are_answered(
    exchange: ScriptedExchange, stream: UserStream, clock: FakeClock
):
    exchange.talks.extend([answers_pings(), messages(SUBSCRIBED)])

    async def is_made_anew() -> bool:
        clock.advance(0.5)  # less than the silence that is borne
        return exchange.connections > 1

    await eventually(is_made_anew)

    assert isinstance((await heard(stream, 1))[0], StreamConnected)
    assert clock.monotonic_s() - 1_000 > client.SUBSCRIBE_DEADLINE_S


@pytest.mark.usefixtures("hurried")
async def test_a_connection_is_left_before_the_exchange_ends_it(
    exchange: ScriptedExchange, stream: UserStream, clock: FakeClock
):
    exchange.talks.extend([answers_pings(SUBSCRIBED), messages(SUBSCRIBED, TRANSFER)])
    await heard(stream, 1)

    async def is_left() -> bool:
        clock.advance(1_200)  # pings are answered at once, but this clock is quicker
        stream._heard_at_s = clock.monotonic_s()
        return exchange.connections > 1

    await eventually(is_left)

    again, event = await heard(stream, 2)
    assert isinstance(again, StreamConnected)
    assert isinstance(event, BalanceTransferred)
    assert 0.95 * 23 * 3_600 < clock.monotonic_s() - 1_000 < 24 * 3_600


async def test_a_banned_address_does_not_connect(exchange: ScriptedExchange, stream: UserStream, budget: AddressBudget):
    error = {"code": -1003, "msg": "banned", "data": {"serverTime": 1_000, "retryAfter": 121_000}}
    exchange.talks.append(messages({"id": "subscribe", "status": 418, "error": error}))

    async def is_told() -> bool:
        return budget.wait_s(Purpose.REDUCTION) > 0

    await eventually(is_told)

    assert budget.wait_s(Purpose.REDUCTION) == 120
    assert exchange.connections == 1
    assert not stream.is_connected


@pytest.mark.parametrize(
    ("refusal", "reductions_wait_s"),
    [
        (Said(status=418, headers={"Retry-After": "30"}), 30),
        (Said(status=429, headers={"Retry-After": "30"}), 0),
        (Said(status=403), 0),
    ],
    ids=["banned", "too many connections", "firewall"],
)
async def test_a_refused_handshake_holds_back_the_stream_and_only_a_ban_the_rest(
    clock: FakeClock,
    budget: AddressBudget,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Said,
    reductions_wait_s: float,
):
    monkeypatch.setattr(client, "BACKOFF_S", (0.01,))
    exchange = ScriptedExchange()
    exchange.refusals.append(refusal)
    exchange.talks.append(messages(SUBSCRIBED))
    async with exchange.serving():
        stream = UserStream(
            url=exchange.address.websocket_api,
            credentials=Credentials("key", "secret"),
            symbols={},
            clock=clock,
            clock_offset_ms=lambda: 0,
            randomness=Random(1),
            budget=budget,
        )
        running = asyncio.create_task(stream.run())

        async def is_refused() -> bool:
            return not exchange.refusals

        await eventually(is_refused)
        await asyncio.sleep(0.2)
        running.cancel()
        await asyncio.wait({running})

    assert budget.wait_s(Purpose.REDUCTION) == reductions_wait_s
    assert exchange.connections == 0


@pytest.fixture
def once_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "BACKOFF_S", (0.01, 60.0))


@pytest.mark.usefixtures("once_quick")
@pytest.mark.parametrize(("lived_s", "connections"), [(client.CALM_S - 1, 2), (client.CALM_S, 3)])
async def test_only_a_connection_that_lived_a_while_makes_the_next_attempt_quick(
    exchange: ScriptedExchange, stream: UserStream, clock: FakeClock, lived_s: float, connections: int
):
    async def lives(socket: aiohttp.web.WebSocketResponse) -> None:
        await say(socket, [SUBSCRIBED])
        await asyncio.sleep(0.05)
        clock.advance(lived_s)
        await socket.close()

    exchange.talks.extend([leaves(SUBSCRIBED), lives, messages(SUBSCRIBED)])
    await heard(stream, 2)

    await asyncio.sleep(0.3)

    assert exchange.connections == connections


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
