"""The freeze matrix: whatever peer freezes however, the await on it ends within its deadline, at most 10 % late.

The libraries and the sockets are real, and so are the deadlines; only the clock is held, so that what is measured is
the deadline and not the machine (`tests/support/held_time.py`).
"""

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import aiokafka.client
import asyncpg
import pytest
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from libs.common.contracts.topics import TopicName
from libs.common.errors import OwnershipLostError, RetryableError
from libs.common.messaging import kafka as kafka_module
from tests.integration.freezes import edges_of_kafka, edges_of_stores, edges_of_the_exchange, edges_of_the_watchdog
from tests.integration.freezes.chattering_exchange import chattering_exchange
from tests.integration.freezes.edges import Call, Edge
from tests.support import migrated
from tests.support.dead_ends import relay_to
from tests.support.frozen_peers import StoppingRelay, mute, stopping_relay, unconnectable
from tests.support.held_time import HeldTimeLoop
from tests.support.owners import ROLE
from tests.support.stores import KafkaForTests, PostgresForTests, ValkeyForTests
from tests.support.wire import create_topics

LATE_RATE_MAX: Final = 0.1
HANGS: Final = 4
"""So many deadlines later, an await that still waits is left."""
UNANSWERED: Final = (
    RetryableError,
    OwnershipLostError,
    RedisError,
    KafkaError,
    asyncpg.PostgresError,
    aiohttp.ClientError,
    OSError,
)

EDGES = (*edges_of_stores.EDGES, *edges_of_kafka.EDGES, *edges_of_the_exchange.EDGES, *edges_of_the_watchdog.EDGES)
FIRST = [edge for edge in EDGES if edge.opening_s is not None]

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
"""A library that is given up leaves its sockets to the collector."""


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    """What the cells left is collected while its warnings are not heard."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def stopping() -> Iterator[StoppingRelay]:
    with stopping_relay() as relay:
        yield relay


@pytest.fixture(scope="module")
def postgres_url(postgres: PostgresForTests) -> str:
    async def migrate() -> str:
        return await postgres.fresh_database(await postgres.template("migrated", migrated._migrate))

    return migrated.MigratedDatabase(asyncio.run(migrate())).url_of(ROLE)


@pytest.fixture
def url(request: pytest.FixtureRequest, edge: Edge) -> str:
    """The address of the server that answers an edge."""
    return str(request.getfixturevalue(f"{edge.server}_url"))


@pytest.fixture(scope="module")
def redis_url(valkey: ValkeyForTests) -> str:
    return valkey.url


@pytest.fixture(scope="module")
def kafka_url(kafka: KafkaForTests) -> str:
    url = f"kafka://{kafka.bootstrap_servers}/{kafka.fresh_topic_prefix()}"
    asyncio.run(create_topics(edges_of_kafka.cluster(url), TopicName.ALERTS))
    return url


@pytest.fixture(scope="module")
def exchange_url() -> Iterator[str]:
    with chattering_exchange() as url:
        yield url


@pytest.fixture(autouse=True)
def _the_broker_answers_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """So late, where there is nothing to read: everything else that is asked waits behind it."""
    monkeypatch.setattr(kafka_module, "FETCH_WAIT_MS", 50)


@pytest.fixture
def detours(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """Ports in place of others: a broker tells its own, and clients would pass by the relay."""
    ports: dict[int, int] = {}
    create = aiokafka.client.create_conn

    async def connected(host: str, port: int, **options: Any) -> Any:
        return await create(host, ports.get(port, port), **options)

    monkeypatch.setattr(aiokafka.client, "create_conn", connected)
    return ports


@pytest.mark.parametrize("peer", [unconnectable, mute], ids=["never connected", "never answered"])
@pytest.mark.parametrize("edge", FIRST, ids=str)
def test_the_first_call_to_a_peer_that_never_answers_ends_in_time(
    edge: Edge, peer: Callable[[], AbstractContextManager[int]], url: str
) -> None:
    async def measured() -> float:
        with peer() as port:
            held_loop().hold()
            if edge.opening_s:
                return await waited_s(lambda: _opened(edge, at_port(url, port)), edge.opening_s)
            async with edge.client(at_port(url, port)) as client:
                return await waited_s(client.call, edge.call_s)

    declared_s = edge.opening_s or edge.call_s
    assert 0 < run_in_held_time(measured()) <= declared_s * (1 + LATE_RATE_MAX)


@pytest.mark.parametrize("edge", EDGES, ids=str)
def test_a_call_to_a_peer_that_fell_silent_ends_in_time(edge: Edge, url: str, detours: dict[int, int]) -> None:
    async def measured() -> float:
        async with AsyncExitStack() as used:
            relay = await used.enter_async_context(relay_to("127.0.0.1", port_of(url)))
            detours[port_of(url)] = relay.port
            client = await used.enter_async_context(edge.client(at_port(url, relay.port)))
            await (client.before or client.call)()
            relay.silence()
            held_loop().hold()
            return await waited_s(client.call, edge.call_s)

    assert 0 < run_in_held_time(measured()) <= edge.call_s * (1 + LATE_RATE_MAX)


@pytest.mark.parametrize("edge", EDGES, ids=str)
def test_a_call_to_a_peer_that_is_stopped_within_its_answer_ends_in_time(
    edge: Edge, url: str, stopping: StoppingRelay, detours: dict[int, int]
) -> None:
    port = detours[port_of(url)] = stopping.in_front_of(port_of(url))

    async def measured() -> float:
        async with edge.client(at_port(url, port)) as client:
            await (client.before or client.call)()
            stopping.stop_within_next_answer()
            held_loop().hold(may_pass=stopping.is_stopped)
            return await waited_s(client.call, edge.call_s)

    try:
        assert 0 < run_in_held_time(measured()) <= edge.call_s * (1 + LATE_RATE_MAX)
    finally:
        stopping.go_on()


async def waited_s(call: Call, declared_s: float) -> float:
    """Return how long a call waited for an answer that did not come."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    task = asyncio.ensure_future(call())
    await asyncio.wait({task}, timeout=HANGS * declared_s)
    waited = loop.time() - began_s
    if not task.done():
        task.cancel()
        return waited
    try:
        answer = task.result()
    except UNANSWERED:
        return waited
    assert not answer, "the peer was not frozen"
    return waited


async def _opened(edge: Edge, url: str) -> bool:
    async with edge.client(url):
        return True


def held_loop() -> HeldTimeLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, HeldTimeLoop)
    return loop


def run_in_held_time(main: Any) -> float:
    with asyncio.Runner(loop_factory=HeldTimeLoop) as runner:
        return float(runner.run(main))


def port_of(url: str) -> int:
    return urlsplit(url).port or 0


def at_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{port}"))
