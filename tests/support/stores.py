"""Real stores for tests: one Kafka, one Postgres and one Valkey a session, started when a test first asks for one.

A pytest plugin (`-p tests.support.stores`, or `pytest_plugins` in the root conftest). Tests stay apart by a topic
prefix, a database and a Redis database of their own: the fixtures `topic_prefix`, `database` and `redis_url`.
"""

import asyncio
import random
import secrets
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from redis.asyncio import Redis

from libs.embedded.directory import DataDirectory
from libs.embedded.ports import PortBook
from libs.embedded.process import ProcessStatus
from libs.embedded.stores.kafka import KafkaStore
from libs.embedded.stores.kafka_fetch import fetch_runtime
from libs.embedded.stores.postgres import PostgresStore
from libs.embedded.stores.store import Store
from libs.embedded.stores.valkey import ValkeyStore
from libs.embedded.supervisor import Supervisor

T = TypeVar("T")
StoreT = TypeVar("StoreT", bound=Store)
START_DEADLINE_S = 180.0
REDIS_DATABASES = 16


class StoreHost:
    """Runs the supervisor in a thread of its own, so that stores live through the event loops of many tests."""

    def __init__(self, root: Path) -> None:
        self.directory = DataDirectory(root)
        self.directory.create()
        self.ports = PortBook(self.directory.ports_file, choice=random.SystemRandom())
        self._loop = asyncio.new_event_loop()
        # The kernel ends the stores when the thread that started them ends: this one lives as long as the session.
        self._thread = threading.Thread(target=self._loop.run_forever, name="stores", daemon=True)
        self._thread.start()
        self._supervisor = Supervisor(self.directory, on_event=lambda _event: None)
        self._stores: list[Store] = []
        self.run(self._supervisor.__aenter__())

    def start(self, store: StoreT) -> StoreT:
        """Start a store and wait until it is ready."""
        self.run(self._supervisor.start([store.spec()]))
        self._stores.append(store)
        return store

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the host's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_DEADLINE_S)

    def processes(self) -> dict[str, ProcessStatus]:
        """Return the state of every store by its name."""

        async def snapshot() -> dict[str, ProcessStatus]:
            return {process.name: process for process in self._supervisor.snapshot()}

        return self.run(snapshot())

    def close(self) -> None:
        """Stop everything."""
        for store in self._stores:
            self.run(store.close())
        self.run(self._supervisor.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class KafkaForTests:
    """The session's broker."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers

    def fresh_topic_prefix(self) -> str:
        """Return a prefix that no other test has."""
        return f"t{secrets.token_hex(4)}."


class PostgresForTests:
    """The session's server; URLs are the superuser's."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._templates: set[str] = set()

    def url_of(self, database: str) -> str:
        """Return the URL of a database."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{database}"))

    async def template(self, name: str, build: Callable[[str], Awaitable[None]]) -> str:
        """Return a template's name, built once a session by `build(url)`, which leaves no connection open."""
        if name not in self._templates:
            await self._execute(f'CREATE DATABASE "{name}"')
            await build(self.url_of(name))
            self._templates.add(name)
        return name

    async def fresh_database(self, template: str = "template1") -> str:
        """Create a database from a template and return its URL."""
        name = f"t_{secrets.token_hex(4)}"
        await self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url_of(name)

    async def drop(self, url: str) -> None:
        """Drop a database, whoever is connected to it."""
        await self._execute(f'DROP DATABASE "{urlsplit(url).path[1:]}" WITH (FORCE)')

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


class ValkeyForTests:
    """The session's Redis server."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._numbers = count()

    async def fresh_database(self) -> str:
        """Return the URL of an emptied database; the one handed out 15 calls ago is given again."""
        number = 1 + next(self._numbers) % (REDIS_DATABASES - 1)
        url = urlunsplit(urlsplit(self.url)._replace(path=f"/{number}"))
        client = Redis.from_url(url)
        try:
            await client.flushdb()
        finally:
            await client.aclose()
        return url


@pytest.fixture(scope="session")
def store_host() -> Iterator[StoreHost]:
    # Not below pytest's own directory, which is closed to the account that Postgres runs as when we are root.
    with tempfile.TemporaryDirectory(prefix="trader-stores-", ignore_cleanup_errors=True) as name:
        root = Path(name)
        root.chmod(0o711)
        host = StoreHost(root)
        try:
            yield host
        finally:
            host.close()


@pytest.fixture(scope="session")
def kafka(store_host: StoreHost) -> KafkaForTests:
    ports = store_host.ports
    runtime = store_host.run(fetch_runtime())
    store = KafkaStore(
        store_host.directory, port=ports.port("kafka"), controller_port=ports.port("kafka-controller"), runtime=runtime
    )
    return KafkaForTests(store_host.start(store).address)


@pytest.fixture(scope="session")
def postgres(store_host: StoreHost) -> PostgresForTests:
    password = secrets.token_urlsafe()
    port = store_host.ports.port("postgres")
    store = PostgresStore(store_host.directory, port=port, password=password, database="trader")
    return PostgresForTests(store_host.start(store).address)


@pytest.fixture(scope="session")
def valkey(store_host: StoreHost) -> ValkeyForTests:
    password = secrets.token_urlsafe()
    store = ValkeyStore(store_host.directory, port=store_host.ports.port("redis"), password=password)
    return ValkeyForTests(store_host.start(store).address)


@pytest.fixture
def topic_prefix(kafka: KafkaForTests) -> str:
    return kafka.fresh_topic_prefix()


@pytest.fixture
async def database(postgres: PostgresForTests) -> AsyncIterator[str]:
    url = await postgres.fresh_database()
    yield url
    await postgres.drop(url)


@pytest.fixture
async def redis_url(valkey: ValkeyForTests) -> str:
    return await valkey.fresh_database()
