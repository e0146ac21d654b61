"""Audit recorder: append every message to its chain, and keep the read models that people look at.

Nothing is recorded that is not linked, and nothing is linked that is not recorded: both are one transaction with
the offsets. Its state between batches stands in Postgres only, so that a restart goes on exactly where it was.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Protocol

import structlog

from libs.common.audit.anchors import AnchorLog, ChainHead
from libs.common.audit.records import ChainId, RecordKind
from libs.common.clock import Clock
from libs.common.contracts.events import ConfigurationChanged
from libs.common.errors import RetryableError
from libs.common.messaging.positions import Position, Positions
from libs.common.messaging.records import RawRecord
from libs.common.observability import metrics
from services.audit_recorder.domain.chains import ChainState, Extension, extend
from services.audit_recorder.domain.read_models import ReadModelChanges, changes_of

_log = structlog.get_logger(__name__)


class Chains(Protocol):
    """The audit log and where each of its chains stands."""

    async def load(self, chains: Collection[ChainId]) -> Mapping[ChainId, ChainState]:
        """Return where chains stand; those without a record are left out."""
        ...

    async def append(self, extensions: Sequence[Extension]) -> None:
        """Write the new records and where the chains stand now."""
        ...


class ReadModels(Protocol):
    """The tables that people and other services look at."""

    async def save(self, changes: ReadModelChanges) -> None:
        """Write the changed rows; writing them again changes nothing."""
        ...


class Heads(Protocol):
    """Where the committed chains end."""

    async def read(self) -> Sequence[ChainHead]:
        """Return the head of every chain that has a record.

        Raises:
            RetryableError: The database is away.
        """
        ...


class Repositories(Protocol):
    """What a transaction of the recorder writes."""

    @property
    def chains(self) -> Chains:
        """The audit log."""
        ...

    @property
    def read_models(self) -> ReadModels:
        """The read models."""
        ...


class AuditRecorder:
    """Turns batches of raw messages into linked records and read models.

    Args:
        follow: Is told each new version of the configuration.
    """

    def __init__(self, *, follow: Callable[[ConfigurationChanged], None]) -> None:
        self._follow = follow
        for kind in RecordKind:
            metrics.AUDIT_RECORDS.labels(kind=kind)  # one that begins with its first record would be absent until then

    async def on_records(self, records: Sequence[RawRecord], repositories: Repositories) -> Positions:
        """Record a batch of any topics and return where to continue: after everything in it."""
        ordered = sorted(records, key=_place)
        batches = {
            ChainId(topic.value, partition): tuple(batch)
            for (topic, partition), batch in groupby(ordered, key=attrgetter("topic", "partition"))
        }
        states = await repositories.chains.load(batches.keys())
        extensions = [extend(chain, states.get(chain, ChainState()), batch) for chain, batch in batches.items()]
        await repositories.chains.append(extensions)
        changes = changes_of(envelope for extension in extensions for envelope in extension.envelopes)
        await repositories.read_models.save(changes)
        for changed in changes.configurations.values():
            self._follow(changed)
        for extension in extensions:
            for linked in extension.linked:
                metrics.AUDIT_RECORDS.labels(kind=linked.record.kind).inc()
        return {(record.topic, record.partition): Position(record.offset + 1, _event_id(record)) for record in ordered}


class Anchoring:
    """Writes down, elsewhere and signed, where the committed chains end."""

    def __init__(self, *, heads: Heads, log: AnchorLog, clock: Clock) -> None:
        self._heads = heads
        self._log = log
        self._clock = clock

    async def write(self) -> None:
        """Anchor every chain that moved; what fails is tried again at the next time, and its age is a metric."""
        now = self._clock.now()
        try:
            heads = await self._heads.read()
            await asyncio.to_thread(self._log.append, heads, now)
        except (RetryableError, OSError) as error:
            _log.warning("The chains could not be anchored", error=str(error))
        else:
            metrics.AUDIT_ANCHORED_AT.set(now.timestamp())


def _place(record: RawRecord) -> tuple[str, int, int]:
    return record.topic.value, record.partition, record.offset


def _event_id(record: RawRecord) -> str:
    """Return the id by which the record is recognised after a restart, as it stands in its header."""
    return next((content.decode(errors="replace") for name, content in record.headers if name == "event_id"), "")
