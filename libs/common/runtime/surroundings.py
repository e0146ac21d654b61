"""What a process lends the wiring of its service: stores, readers, owners, health, heartbeats.

Invariant: whatever is lent here and can be away is a condition of readiness.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Generic, TypeVar

from libs.common.clock import Clock
from libs.common.configuration import LiveConfiguration, TradingConfiguration
from libs.common.configuration.following import follow
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import ConfigurationChanged, HeartbeatSent, LogRecorded
from libs.common.contracts.topics import TopicName
from libs.common.errors import RetryableError
from libs.common.messaging.batch_owner import BatchHandler, BatchOwner
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
from libs.common.observability.health import Health
from libs.common.settings import ServiceSettings
from libs.common.storage.postgres import Database
from libs.common.storage.redis import RedisStore
from libs.common.storage.transaction import Transaction

LOOP_PROGRESS_S_MAX: Final = 10.0

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)
R = TypeVar("R")


class Runtime(Generic[SettingsT]):
    """One process's surroundings, handed to the wiring of its service.

    Attributes:
        name: The service's name; `instance` tells this process from others of the same service.
        settings: Where the others are; `configuration` what is traded, `live` the same as it changes.
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
        self.live = LiveConfiguration(configuration)
        self._started_with = configuration
        self.clock = clock
        self.kafka = Kafka(
            settings.kafka_bootstrap_servers,
            client_id=name,
            topic_prefix=settings.topic_prefix,
            login=settings.kafka_login(name),
        )
        self.publisher = Publisher(self.kafka, clock=clock)
        self.health = Health(name=name, clock=clock)
        self.stopping = asyncio.Event()
        self.started_at = clock.now()
        self._lags: list[Callable[[], Mapping[str, int]]] = []
        self._beats = 0
        self._log_lines = 0

    @property
    def configuration(self) -> TradingConfiguration:
        """What is traded now; who keeps it, keeps what held then."""
        return self.live.current

    async def on_configuration_changed(self, envelope: Envelope[ConfigurationChanged]) -> None:
        """Work with a new version from now on: for the observers of `control.state`."""
        self.follow_configuration(envelope.event)

    def follow_configuration(self, changed: ConfigurationChanged) -> None:
        """Work with a new version from now on."""
        follow(self.live, changed, started_with=self._started_with)

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
        bind: Callable[[Transaction], R],
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
        bind: Callable[[Transaction], R],
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
            "relay": OutboxRelay(database=database, producer=self.kafka.producer()),
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
                configuration_hash=self.live.hash,
                build=self.settings.program,
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
