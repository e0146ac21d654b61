"""Audit recorder: append every message to its chain, and keep the read models that people look at.

Nothing is recorded that is not linked, and nothing is linked that is not recorded: both are one transaction with
the offsets. Its state between batches stands in Postgres only, so that a restart goes on exactly where it was.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Protocol

from libs.common.audit.records import ChainId
from libs.common.configuration import TradingConfiguration
from libs.common.contracts.event import Event
from libs.common.messaging.records import RawRecord
from services.audit_recorder.domain.chains import ChainState, Extension, extend
from services.audit_recorder.domain.read_models import ReadModelChanges, changes_of


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

    async def save_configuration(self, configuration: TradingConfiguration) -> None:
        """Write the configuration in use, if it is not the one that stands there."""
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
    """Turns batches of raw messages into linked records and read models."""

    def __init__(self, *, configuration: TradingConfiguration) -> None:
        self._configuration = configuration

    async def on_owned(self, repositories: Repositories) -> Sequence[Event]:
        """Record the configuration that is in use from now on."""
        await repositories.read_models.save_configuration(self._configuration)
        return ()

    async def on_records(self, records: Sequence[RawRecord], repositories: Repositories) -> Sequence[Event]:
        """Record a batch of any topics; the answer is always empty, the recorder only listens."""
        batches = {
            ChainId(topic.value, partition): tuple(batch)
            for (topic, partition), batch in groupby(sorted(records, key=_place), key=attrgetter("topic", "partition"))
        }
        states = await repositories.chains.load(batches.keys())
        extensions = [extend(chain, states.get(chain, ChainState()), batch) for chain, batch in batches.items()]
        await repositories.chains.append(extensions)
        await repositories.read_models.save(
            changes_of(envelope for extension in extensions for envelope in extension.envelopes)
        )
        return ()


def _place(record: RawRecord) -> tuple[str, int, int]:
    return record.topic.value, record.partition, record.offset
