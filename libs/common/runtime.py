"""What every process does the same way: settings, logs, health, heartbeats, an orderly end.

`run_service` is the only place where an error that nobody handled ends: it is logged, and the process exits.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, Generic, NoReturn, TypeVar

import structlog

from libs.common.clock import Clock, SystemClock
from libs.common.configuration import TradingConfiguration, load_configuration
from libs.common.contracts.event import Event
from libs.common.contracts.events import HeartbeatSent, LogRecorded
from libs.common.contracts.topics import TopicName
from libs.common.errors import ConfigurationError, RetryableError
from libs.common.messaging.batch_owner import BatchHandler, BatchOwner
from libs.common.messaging.deadlines import every
from libs.common.messaging.group import GroupLoop, OnAssigned
from libs.common.messaging.group import Handler as GroupHandler
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.outbox import OutboxRelay
from libs.common.messaging.owner import Handler as OwnerHandler
from libs.common.messaging.owner import Owner
from libs.common.messaging.ownership import Ownership
from libs.common.messaging.publisher import Publisher
from libs.common.messaging.reader import Observer, Starts, TopicReader
from libs.common.observability import metrics
from libs.common.observability.health import Health, serve
from libs.common.observability.logs import configure_logging
from libs.common.settings import ServiceSettings, load_settings
from libs.common.storage.postgres import Connection, Database
from libs.common.storage.redis import RedisStore

EXIT_CRASHED: Final = 1
EXIT_CONFIGURATION: Final = 4
SHUTDOWN_S_MAX: Final = 8.0
FLUSH_S_MAX: Final = 2.0
CANCEL_S_MAX: Final = 1.0
HEARTBEAT_INTERVAL_S: Final = 2.0
LOOP_PROGRESS_S_MAX: Final = 10.0

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)
R = TypeVar("R")

_log = structlog.get_logger(__name__)


class Runtime(Generic[SettingsT]):
    """One process's surroundings, handed to the wiring of its service.

    Attributes:
        name: The service's name; `instance` tells this process from others of the same service.
        settings: Where the others are; `configuration` what is traded.
        clock: The process's clock.
        kafka: The cluster.
        publisher: Publishes what belongs to no transaction.
        health: Collects readiness checks and progress.
        stopping: Set when the process has been asked to stop.
    """

    def __init__(self, name: str, settings: SettingsT, configuration: TradingConfiguration, clock: Clock) -> None:
        self.name = name
        self.instance = f"{socket.gethostname()[:30]}:{os.getpid()}"
        self.settings = settings
        self.configuration = configuration
        self.clock = clock
        self.kafka = Kafka(settings.kafka_bootstrap_servers, client_id=name, topic_prefix=settings.topic_prefix)
        self.publisher = Publisher(self.kafka, clock=clock)
        self.health = Health(name=name, clock=clock)
        self.stopping = asyncio.Event()
        self.started_at = clock.now()
        self._lags: list[Callable[[], Mapping[str, int]]] = []
        self._beats = 0
        self._log_lines = 0

    @asynccontextmanager
    async def database(self, *, connections_max: int = 4) -> AsyncIterator[Database]:
        """Lend the database under this service's role; its answer is a condition of readiness."""
        database = await Database.connect(
            self.settings.postgres_dsn(self.name), application=self._session, connections_max=connections_max
        )
        self.health.check("postgres", database.ping)
        try:
            yield database
        finally:
            await database.close()

    @asynccontextmanager
    async def redis(self) -> AsyncIterator[RedisStore]:
        """Lend Redis; its answer is a condition of readiness."""
        store = RedisStore.connect(self.settings.redis_url(), name=self._session)
        self.health.check("redis", store.ping)
        try:
            yield store
        finally:
            await store.close()

    def reader(
        self,
        *,
        topics: Sequence[TopicName],
        observers: Mapping[type[Event], Observer],
        start: Starts = "end",
        conflate: bool = False,
        name: str = "reader",
    ) -> TopicReader:
        """Return a reader of market data or state; having caught up is a condition of readiness."""
        reader = TopicReader(
            self.kafka,
            component=self.name,
            publisher=self.publisher,
            topics=topics,
            observers=observers,
            clock=self.clock,
            start=start,
            conflate=conflate,
        )
        self.health.check(name, reader.answered)
        self._lags.append(lambda: reader.lag)
        return reader

    def group(
        self,
        *,
        topics: Sequence[TopicName],
        handlers: Mapping[type[Event], GroupHandler],
        member: str = "0",
        on_assigned: OnAssigned | None = None,
    ) -> GroupLoop:
        """Return this service's group loop; its assignment is a condition of readiness."""
        loop = GroupLoop(
            self.kafka,
            group=f"{self.settings.topic_prefix}{self.name}",
            member=f"{self.name}-{member}",
            topics=topics,
            handlers=handlers,
            publisher=self.publisher,
            clock=self.clock,
            on_assigned=on_assigned,
            progress=self.health.progress("group loop", LOOP_PROGRESS_S_MAX),
        )
        self.health.check("group", loop.answered)
        self._lags.append(lambda: loop.lag)
        return loop

    def owner(
        self,
        *,
        database: Database,
        topics: Sequence[TopicName],
        handlers: Mapping[type[Event], OwnerHandler[R]],
        bind: Callable[[Connection], R],
        on_owned: Callable[[], Awaitable[None]] | None = None,
    ) -> Owner[R]:
        """Return the owner of this service's state, whose role is the service's name."""
        owner = Owner(handlers=handlers, bind=bind, on_owned=on_owned, **self._ownership(database, topics))
        self._watch_owner(owner)
        return owner

    def batch_owner(
        self,
        *,
        database: Database,
        topics: Sequence[TopicName],
        handle: BatchHandler[R],
        bind: Callable[[Connection], R],
        on_owned: Callable[[], Awaitable[None]] | None = None,
    ) -> BatchOwner[R]:
        """Return the owner of this service's records, whose role is the service's name."""
        owner = BatchOwner(handle=handle, bind=bind, on_owned=on_owned, **self._ownership(database, topics))
        self._watch_owner(owner)
        return owner

    def _ownership(self, database: Database, topics: Sequence[TopicName]) -> dict[str, Any]:
        return {
            "database": database,
            "ownership": Ownership(
                dsn=self.settings.postgres_dsn(self.name), role=self.name, holder=self._session, clock=self.clock
            ),
            "relay": OutboxRelay(database=database, producer=self.kafka.producer(), clock=self.clock),
            "kafka": self.kafka,
            "role": self.name,
            "topics": topics,
            "clock": self.clock,
            "progress": self.health.progress("owner loop", LOOP_PROGRESS_S_MAX),
        }

    def _watch_owner(self, owner: Owner[Any]) -> None:
        self.health.check("owner", owner.answered)
        self._lags.append(lambda: owner.lag)

    def report_lag(self, lag: Callable[[], Mapping[str, int]]) -> None:
        """Add a loop's lag to the heartbeats."""
        self._lags.append(lag)

    @property
    def _session(self) -> str:
        return f"{self.name} {self.instance}"

    async def beat(self) -> None:
        """Publish one heartbeat."""
        lag: dict[str, int] = {}
        for lags in self._lags:
            for topic, records in lags().items():
                lag[topic] = lag.get(topic, 0) + records
        handled = sum(
            int(sample.value)
            for family in metrics.MESSAGES_HANDLED.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        )
        self._beats += 1
        self._publish_if_room(
            HeartbeatSent(
                occurred_at=self.clock.now(),
                component=self.name,
                instance=self.instance,
                sequence=self._beats,
                ready=self.health.ready,
                handled=handled,
                lag=lag,
                loop_lag_ms=round(self.health.loop_lag_s * 1_000, 3),
                configuration_hash=self.configuration.hash,
                started_at=self.started_at,
            )
        )

    def forward_log(self, level: str, message: str, fields: Mapping[str, str]) -> None:
        """Send a log line of INFO or above to the `logs` topic."""
        self._log_lines += 1
        self._publish_if_room(
            LogRecorded(
                occurred_at=self.clock.now(),
                component=self.name,
                instance=self.instance,
                sequence=self._log_lines,
                level=level,
                message=message,
                fields=dict(list(fields.items())[:50]),
                started_at=self.started_at,
            )
        )

    def _publish_if_room(self, event: Event) -> None:
        try:
            self.publisher.publish(event)
        except RetryableError:
            metrics.LOGS_DROPPED.inc()


Serve = Callable[[Runtime[SettingsT]], Awaitable[None]]
"""Wires a service and runs it until it is cancelled."""


def run_service(name: str, settings_type: type[SettingsT], service: Serve[SettingsT]) -> NoReturn:
    """Run a service until it is told to stop, and exit: 0 stopped, 1 crashed, 4 configuration."""
    clock = SystemClock()
    try:
        settings = load_settings(settings_type)
        configuration = load_configuration(settings.config_files)
    except ConfigurationError as error:
        sys.stderr.write(f"{name}: configuration error: {error}\n")
        sys.exit(EXIT_CONFIGURATION)
    sys.exit(asyncio.run(_run(name, settings, configuration, clock, service)))


async def _run(
    name: str, settings: SettingsT, configuration: TradingConfiguration, clock: Clock, service: Serve[SettingsT]
) -> int:
    runtime = Runtime(name, settings, configuration, clock)
    configure_logging(
        service=name,
        instance=runtime.instance,
        level=settings.log_level,
        clock=clock,
        forward=runtime.forward_log,
    )
    loop = asyncio.get_running_loop()
    for stop_signal in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(stop_signal, runtime.stopping.set)
    background: list[asyncio.Task[Any]] = []
    try:
        web, port = await serve(runtime.health.application(), host=settings.health_host, port=settings.health_port)
    except OSError as error:
        _log.error(
            "The health port is taken; set TRADER_HEALTH_PORT to another one or to 0",
            host=settings.health_host,
            port=settings.health_port,
            error=str(error),
        )
        return EXIT_CRASHED
    _log.info("Started", health_port=port, configuration_hash=configuration.hash[:12])
    try:
        publishing = asyncio.create_task(runtime.publisher.run(), name="publisher")
        background += [
            publishing,
            asyncio.create_task(runtime.health.run_checks(), name="readiness"),
            asyncio.create_task(runtime.health.watch_loop(), name="loop lag"),
            asyncio.create_task(every(HEARTBEAT_INTERVAL_S, runtime.beat, clock=clock), name="heartbeats"),
        ]
        status = await _serve_until_stopped(runtime, service, background)
        try:
            await runtime.publisher.flush(FLUSH_S_MAX)
        except RetryableError as error:
            _log.warning("Not everything was published before the end", error=str(error))
    finally:
        await web.cleanup()
        unfinished = await _cancel_the_others()
    if unfinished:  # asyncio would wait for them, and a library may ignore its cancellation for ever
        _log.warning("Leaving tasks that do not end", tasks=unfinished)
        os._exit(status)
    return status


async def _cancel_the_others() -> list[str]:
    """Cancel every task but this one and return the names of those that did not end in time."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if not others:
        return []
    _, pending = await asyncio.wait(others, timeout=CANCEL_S_MAX)
    return [task.get_name() for task in pending]


async def _serve_until_stopped(
    runtime: Runtime[SettingsT], service: Serve[SettingsT], background: Sequence[asyncio.Task[Any]]
) -> int:
    serving = asyncio.ensure_future(service(runtime))
    stopping = asyncio.ensure_future(runtime.stopping.wait())
    await asyncio.wait({serving, stopping, *background}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    broken = next((task for task in background if task.done()), None)
    if not serving.done():
        _log.info("Stopping")
        serving.cancel()
        done, _ = await asyncio.wait({serving}, timeout=SHUTDOWN_S_MAX)
        if not done:
            _log.error("The service did not stop in time; leaving it", deadline_s=SHUTDOWN_S_MAX)
            return EXIT_CRASHED
    if broken is not None:
        _log.error("Crashed", task=broken.get_name(), exc_info=broken.exception())
        return EXIT_CRASHED
    if serving.cancelled():
        _log.info("Stopped", uptime_s=_seconds_since(runtime.started_at, runtime.clock.now()))
        return 0
    error = serving.exception()
    if error is None:
        _log.error("The service ended by itself; it should run until it is stopped")
        return EXIT_CRASHED
    if (mistake := _configuration_error(error)) is not None:
        _log.error("Configuration error", error=str(mistake))
        return EXIT_CONFIGURATION
    _log.error("Crashed", exc_info=error)
    return EXIT_CRASHED


def _configuration_error(error: BaseException) -> ConfigurationError | None:
    """Return the configuration error that `error` is, or that the tasks of a group ended with."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for inner in error.exceptions if (found := _configuration_error(inner)) is not None), None)
    return error if isinstance(error, ConfigurationError) else None


def _seconds_since(then: datetime, now: datetime) -> float:
    return round((now - then).total_seconds(), 1)
