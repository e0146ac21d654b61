"""The consume loop of an owner of state: one transaction an input, with its effects, its answers and its offset.

A handler loads, decides and answers; only this loop publishes and commits. An input from Kafka and one from
elsewhere (an exchange's answer, a timer) go through the same transaction, one after another.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from functools import partial
from typing import Any, Final, Generic, TypeVar

import asyncpg
import structlog

from libs.common.clock import Clock
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.topics import TopicName
from libs.common.errors import InvalidMessageError, RetryableError
from libs.common.messaging.cause import Cause, enclose_all
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.outbox import OutboxRelay
from libs.common.messaging.ownership import Ownership
from libs.common.messaging.polling import PartitionPoller
from libs.common.messaging.positions import Position, Positions, StoredPositions
from libs.common.messaging.records import RawRecord
from libs.common.messaging.sealing import CommittedUnseenError, seal
from libs.common.observability import metrics
from libs.common.observability.health import Progress
from libs.common.storage.postgres import Database
from libs.common.storage.transaction import Transaction

R = TypeVar("R")
Handler = Callable[[Envelope[Any], R], Awaitable[Sequence[Event]]]
"""Takes an event and the repositories bound to its transaction; returns what it answers."""

RETRIED: Final = (RetryableError, asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
"""What another attempt of the same transaction may cure."""

RETRY_S_MIN: Final = 0.05
RETRY_S_MAX: Final = 2.0

_log = structlog.get_logger(__name__)


class Owner(Generic[R]):
    """Owns a role: waits for it as a hot standby, recovers, then handles its topics and its other inputs.

    Args:
        database: The role's connections, with its schema as search path.
        ownership: The claim on the role.
        relay: Publishes what the transactions leave in the outbox.
        kafka: The cluster.
        role: Names the owner in offsets and dead letters.
        topics: What is consumed, each record once, in a transaction of its own.
        handlers: What to do with each event type; other types are passed over.
        bind: Makes the repositories of a transaction.
        clock: The time of what is written.
        on_owned: Recovery: runs after the role is taken and before anything is consumed; may use `apply`.
        progress: Told at every turn of the loop.
        fetch_bytes_min: See `Kafka.consumer`: 1 for decisions, more for a recorder.
    """

    def __init__(
        self,
        *,
        database: Database,
        ownership: Ownership,
        relay: OutboxRelay,
        kafka: Kafka,
        role: str,
        topics: Sequence[TopicName],
        handlers: Mapping[type[Event], Handler[R]],
        bind: Callable[[Transaction], R],
        clock: Clock,
        on_owned: Callable[[], Awaitable[None]] | None = None,
        progress: Progress | None = None,
        fetch_bytes_min: int = 1,
    ) -> None:
        self._session = database.session()
        self._ownership = ownership
        self._relay = relay
        self._role = role
        self._handlers = handlers
        self._bind = bind
        self._clock = clock
        self._on_owned = on_owned
        self._progress = progress
        stored = StoredPositions(database=database, kafka=kafka, role=role)
        self._poller = PartitionPoller(
            kafka, topics=topics, seek=stored.seek, clock=clock, fetch_bytes_min=fetch_bytes_min
        )
        self._one_at_a_time = asyncio.Lock()
        self._after_commit: list[Callable[[], None]] = []
        self.is_owner = False

    @property
    def epoch(self) -> int:
        """The epoch under which this process owns the role."""
        return self._ownership.epoch

    @property
    def lag(self) -> dict[str, int]:
        """Records still to handle per topic."""
        return self._poller.lag

    async def answered(self) -> bool:
        """Readiness: recovered, and the broker answered lately. A standby is ready to take over."""
        return not self.is_owner or self._poller.answered_lately(5.0)

    def after_commit(self, action: Callable[[], None]) -> None:
        """Within a transaction: run `action` once it has committed, never if it does not."""
        self._after_commit.append(action)

    async def apply(self, work: Callable[[R], Awaitable[Sequence[Event]]], *, cause: Cause | None = None) -> None:
        """Run `work` in a transaction of its own: an input that did not come from Kafka.

        Raises:
            RetryableError: The database is away; nothing that anybody was to be told of took effect.
            CommittedUnseenError: Whether it took effect is unknown: the process is to start again.
            OwnershipLostError: Another process owns the role now.
        """
        await self._transact(work, cause=cause or Cause.none())

    async def run(self) -> None:
        """Own the role for as long as it can be held.

        Raises:
            OwnershipLostError: Another process took over.
        """
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._ownership.release)
            await self._stand_by()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._ownership.keep(), name=f"{self._role} lease")
                tasks.create_task(self._relay.run(), name=f"{self._role} outbox")
                if self._on_owned is not None:
                    await self._on_owned()
                self.is_owner = True
                async with aclosing(self._poller.batches()) as batches:
                    async for records in batches:
                        await self._handle_batch(records)
                        self._made_progress()

    async def _stand_by(self) -> None:
        waiting = asyncio.ensure_future(self._ownership.take())
        try:
            while not waiting.done():
                self._made_progress()
                await asyncio.wait({waiting}, timeout=1.0)
            waiting.result()
        finally:
            waiting.cancel()

    def _made_progress(self) -> None:
        if self._progress is not None:
            self._progress.made()

    async def _handle_batch(self, records: Sequence[RawRecord]) -> None:
        for record in records:
            with metrics.HANDLING_SECONDS.labels(topic=record.topic).time():
                await self._until_done(partial(self._handle, record), record)

    async def _until_done(self, attempt: Callable[[], Awaitable[None]], first: RawRecord) -> None:
        """Attempt a transaction until it succeeds: nothing after it may be handled before."""
        retry_s = RETRY_S_MIN
        while True:
            self._made_progress()
            try:
                return await attempt()
            except RETRIED as error:
                metrics.MESSAGES_RETRIED.labels(topic=first.topic).inc()
                _log.warning("Trying a message again", topic=first.topic, offset=first.offset, error=str(error))
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, RETRY_S_MAX)

    async def _handle(self, record: RawRecord) -> None:
        try:
            envelope = record.decoded()
            handler = self._handlers.get(type(envelope.event))
            await self._transact(
                (lambda repositories: handler(envelope, repositories)) if handler else _nothing,
                cause=Cause.of(envelope),
                positions=lambda: _after(record, str(envelope.event_id)),
            )
        except InvalidMessageError as error:
            metrics.MESSAGES_DEAD_LETTERED.labels(topic=record.topic).inc()
            _log.warning("Poison message", topic=record.topic, offset=record.offset, reason=str(error))
            dead_letter = record.dead_letter(self._role, error, self._clock.now())
            await self._transact(_answer(dead_letter), cause=Cause.none(), positions=lambda: _after(record, ""))
        else:
            metrics.MESSAGES_HANDLED.labels(topic=record.topic, type=type(envelope.event).__name__).inc()
            metrics.EVENT_AGE_SECONDS.labels(topic=record.topic).observe(
                max(0.0, (self._clock.now() - envelope.recorded_at).total_seconds())
            )

    async def _transact(
        self,
        work: Callable[[R], Awaitable[Sequence[Event]]],
        *,
        cause: Cause,
        positions: Callable[[], Positions] = dict,
    ) -> None:
        """Run `work`, and store with its effects what it answers and where reading continues."""
        async with self._one_at_a_time:
            self._after_commit.clear()
            may_go_unseen = False
            try:
                async with self._session.transaction() as transaction:
                    events = await work(self._bind(transaction))
                    places = positions()
                    # Another attempt of a record finds its position moved; of any other input, nothing left to do.
                    may_go_unseen = not places and bool(events or self._after_commit)
                    rows = await seal(
                        transaction,
                        role=self._role,
                        epoch=self.epoch,
                        positions=places,
                        envelopes=enclose_all(events, cause=cause, now=self._clock.now()),
                    )
            except RetryableError as error:
                self._relay.look()  # it may have committed all the same
                if may_go_unseen:
                    raise CommittedUnseenError(self._role, positions={}) from error
                raise
            actions, self._after_commit = self._after_commit, []
            for action in actions:  # what is done comes before what is told: an order leaves before its event
                action()
            self._relay.committed(rows)


def _after(record: RawRecord, event_id: str) -> Positions:
    return {(record.topic, record.partition): Position(record.offset + 1, event_id)}


async def _nothing(_: Any) -> Sequence[Event]:
    """An event that this owner does not handle: only its offset moves."""
    return ()


def _answer(event: Event) -> Callable[[Any], Awaitable[Sequence[Event]]]:
    async def answer(_: Any) -> Sequence[Event]:
        return (event,)

    return answer
