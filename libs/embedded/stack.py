"""A whole stack in one directory: stores, set-up jobs, services, and where to find them.

Invariant: everything is started from what the caller lists and from nothing else; this package knows no service.
"""

import asyncio
import json
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from libs.embedded.directory import DataDirectory, write_atomically
from libs.embedded.passwords import Passwords
from libs.embedded.ports import PortBook
from libs.embedded.process import ProcessEvent, ProcessStatus
from libs.embedded.process_table import end_leftovers
from libs.embedded.services import Service, service_spec
from libs.embedded.stores.kafka import KafkaStore
from libs.embedded.stores.kafka_fetch import fetch_runtime
from libs.embedded.stores.postgres import SUPERUSER, PostgresStore
from libs.embedded.stores.store import Store
from libs.embedded.stores.valkey import ValkeyStore
from libs.embedded.supervisor import Job, Supervisor

DATABASE = "trader"
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A step of the start is done.

    Attributes:
        name: `fetched`, `stores` or `ready`.
        elapsed_s: Since the step before for `fetched`, since the first process was started for the others.
    """

    name: str
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    """Addresses of stores that exist already; an embedded one takes the place of each None.

    Attributes:
        kafka: Bootstrap servers.
        postgres: URL of the database as a user who may create roles and schemas.
        redis: URL.
    """

    kafka: str | None = None
    postgres: str | None = None
    redis: str | None = None


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the stores of a stack are, secrets included."""

    kafka: str
    postgres: str
    redis: str


OnStackEvent = Callable[[ProcessEvent | Phase], None]


class Stack:
    """An opened data directory whose processes have not been started; made by `open_stack`.

    Attributes:
        addresses: Fixed before anything runs, so that services can be described.
        passwords: One file a name below `secrets/`.
    """

    def __init__(
        self,
        directory: DataDirectory,
        *,
        ports: PortBook,
        passwords: Passwords,
        addresses: Addresses,
        stores: tuple[Store, ...],
        supervisor: Supervisor,
        on_event: OnStackEvent,
    ) -> None:
        self.directory = directory
        self.passwords = passwords
        self.addresses = addresses
        self._ports = ports
        self._stores = stores
        self._supervisor = supervisor
        self._on_event = on_event

    @property
    def time_to_ready_s(self) -> float | None:
        """Return the seconds from the first process started to everything ready, or None before that."""
        return self._supervisor.time_to_ready_s

    def port(self, name: str, *, wanted: int | None = None) -> int:
        """Return a port for the caller's use that stays the same over restarts (`PortBook.port`)."""
        return self._ports.port(name, wanted=wanted)

    def snapshot(self) -> tuple[ProcessStatus, ...]:
        """Return the state of every process, in the order of their start."""
        return self._supervisor.snapshot()

    async def start(self, services: Iterable[Service] = (), jobs: Iterable[Job] = ()) -> None:
        """Start the stores, run the jobs and start the services, each after what it depends on.

        The stores' names in `depends_on` are `kafka`, `postgres` and `redis`; an external one counts as ready.

        Raises:
            EmbeddedError: Something failed or was not ready in time.
        """
        started_at_s = _now_s()
        embedded = {store.name for store in self._stores}
        external = [Job(name=name, run=_nothing) for name in ("kafka", "postgres", "redis") if name not in embedded]
        specs = [
            service_spec(service, directory=self.directory, health_port=self.port(f"{service.name}.health"))
            for service in services
        ]
        await self._supervisor.start([*(store.spec() for store in self._stores), *specs], [*external, *jobs])
        self._supervisor.time_to_ready_s = round(_now_s() - started_at_s, 3)
        self._on_event(Phase(name="ready", elapsed_s=self._supervisor.time_to_ready_s))

    async def run(self, until: Awaitable[object]) -> None:
        """Keep everything running until the awaitable is done.

        Raises:
            BaseException: Whatever ended supervision itself: a bug, never the crash of a supervised process.
        """
        tasks = {asyncio.ensure_future(until), asyncio.ensure_future(self._supervisor.broken())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()

    def write_endpoints(self, more: Mapping[str, Any]) -> None:
        """Write `run/endpoints.json`: where the stores are, and what the caller adds."""
        endpoints = {
            "data_dir": str(self.directory.root),
            "kafka": self.addresses.kafka,
            "redis": self.addresses.redis,
            "postgres": self.addresses.postgres,
            **more,
        }
        write_atomically(self.directory.endpoints_file, json.dumps(endpoints, indent=1))


@asynccontextmanager
async def open_stack(
    root: Path,
    *,
    external: External = External(),
    on_event: OnStackEvent = lambda _event: None,
    on_fetch: Callable[[int, int], None] = lambda _done, _of: None,
) -> AsyncIterator[Stack]:
    """Open a data directory for one stack; leaving it stops every process and gives the directory free.

    Args:
        root: The data directory; created when missing.
        external: Stores that exist already.
        on_event: Told of every change of a process and of every step of the start.
        on_fetch: Told how many of how many missing jars of the broker have arrived, from other threads.

    Raises:
        EmbeddedError: The directory cannot be used, another stack runs in it, or the broker cannot be had.
    """
    directory = DataDirectory(root)
    directory.create()
    with directory.locked():
        await asyncio.to_thread(end_leftovers, directory)
        directory.endpoints_file.unlink(missing_ok=True)
        ports = PortBook(directory.ports_file, choice=random.SystemRandom())
        passwords = Passwords(directory.secrets)
        stores: list[Store] = []
        if external.kafka is None:
            began_s = _now_s()
            runtime = await fetch_runtime(on_progress=on_fetch)
            on_event(Phase(name="fetched", elapsed_s=round(_now_s() - began_s, 3)))
            stores.append(
                KafkaStore(
                    directory,
                    port=ports.port("kafka"),
                    controller_port=ports.port("kafka-controller"),
                    runtime=runtime,
                )
            )
        if external.postgres is None:
            password = passwords.password(f"postgres-{SUPERUSER}")
            stores.append(PostgresStore(directory, port=ports.port("postgres"), password=password, database=DATABASE))
        if external.redis is None:
            stores.append(ValkeyStore(directory, port=ports.port("redis"), password=passwords.password("redis")))
        embedded = {store.name: store.address for store in stores}
        addresses = Addresses(
            kafka=external.kafka or embedded["kafka"],
            postgres=external.postgres or embedded["postgres"],
            redis=external.redis or embedded["redis"],
        )
        async with AsyncExitStack() as closing:
            for store in stores:
                closing.push_async_callback(store.close)
            supervisor = await closing.enter_async_context(Supervisor(directory, on_event=on_event))
            yield Stack(
                directory,
                ports=ports,
                passwords=passwords,
                addresses=addresses,
                stores=tuple(stores),
                supervisor=supervisor,
                on_event=on_event,
            )


async def run_until_signal(work: Coroutine[Any, Any, None]) -> signal.Signals | None:
    """Run until the work ends by itself or SIGINT or SIGTERM cancels it; what it has opened is closed in order.

    A second signal ends this process at once, and with it, by the kernel, every process of the stack.

    Returns:
        The signal that ended it, or None.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    received: list[signal.Signals] = []

    def on_signal(number: signal.Signals) -> None:
        received.append(number)
        for each in _STOP_SIGNALS:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        task.cancel()

    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    try:
        await asyncio.wait({task})
    finally:
        for number in _STOP_SIGNALS:
            loop.remove_signal_handler(number)
    if not task.cancelled():
        task.result()
    return received[0] if received else None


async def _nothing() -> None:
    """Do nothing: an external store is there already."""


def _now_s() -> float:
    return asyncio.get_running_loop().time()
