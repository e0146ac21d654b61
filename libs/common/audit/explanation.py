"""One order's whole story: every recorded event of its chains of causes, causes before what they caused.

An order is found by any of its names; the story also holds its parent, its protection and its exits.
"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from libs.common.audit.archives import Archive, Shelf
from libs.common.audit.records import RecordKind

UNTOLD_TOPICS: Final = ("heartbeats", "logs", "market.status", "account.equity")
"""What comes every second belongs to no story. The list is the predicate of a partial index, in these words."""
STEPS_MAX: Final = 2_000
"""An order's story is tens of events; more than this would be a fault of the correlation, not a story."""

_SELECT_CHAINS: Final = """
    SELECT DISTINCT relative.correlation_id
    FROM reading.audit_references AS named
    JOIN reading.audit_references AS relative USING (root_intent_id)
    WHERE named.reference = $1
"""
_SELECT_ARCHIVES: Final = """
    SELECT name, sha256, sections FROM reading.archives
    WHERE name IN (SELECT archive FROM reading.archived_stories WHERE correlation_id = ANY ($1::uuid[])) ORDER BY name
"""
_SELECT_STEPS: Final = """
    SELECT topic, partition, offset_last, event_id, event_type, recorded_at, occurred_at, correlation_id,
           causation_id, payload
    FROM reading.audit
    WHERE correlation_id = ANY ($1::uuid[]) AND kind = $2
      AND topic NOT IN ('heartbeats', 'logs', 'market.status', 'account.equity')
    ORDER BY recorded_at, topic, partition, offset_last
    LIMIT $3
"""  # the list of topics is the predicate of the partial index


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a story.

    Attributes:
        recorded_at: When we wrote it down; `occurred_at` when it happened, at the exchange where that said so.
        content: The event's fields as they travelled: decimals and times are strings.
    """

    topic: str
    partition: int
    offset: int
    event_id: UUID
    event_type: str
    recorded_at: datetime
    occurred_at: datetime
    correlation_id: UUID
    causation_id: UUID | None
    content: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the documented form of a step of `trader audit explain --json`."""
        return {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "event_id": str(self.event_id),
            "event_type": self.event_type,
            "recorded_at": self.recorded_at.isoformat(),
            "occurred_at": self.occurred_at.isoformat(),
            "correlation_id": str(self.correlation_id),
            "causation_id": None if self.causation_id is None else str(self.causation_id),
            "content": self.content,
        }


async def explain(connection: Any, reference: str, *, shelf: Shelf) -> tuple[Step, ...]:
    """Return the story of an order, oldest first; empty when nothing is known by that name.

    Args:
        connection: An asyncpg connection of a role that may read the views of the audit log, with jsonb decoded.
        reference: A client order id, an exchange order id, an intent id or a signal id.
        shelf: Where the archives are that hold its older part.

    Raises:
        ArchiveError: An archive that the story needs is missing or altered.
    """
    chains = [row["correlation_id"] for row in await connection.fetch(_SELECT_CHAINS, reference)]
    if not chains:
        return ()
    archives = [Archive.of_row(row) for row in await connection.fetch(_SELECT_ARCHIVES, chains)]
    archived = await asyncio.to_thread(_archived_steps, shelf, archives, frozenset(chains))
    rows = await connection.fetch(_SELECT_STEPS, chains, RecordKind.EVENT, STEPS_MAX)
    return causes_first(_distinct([*archived, *(_step(row) for row in rows)]))


def causes_first(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Keep the order of time, but let no event stand before its cause: clocks of two machines may differ."""
    waiting = list(steps)
    known = {step.event_id for step in waiting}
    told: list[Step] = []
    told_ids: set[UUID] = set()
    while waiting:
        ready = next(
            (step for step in waiting if step.causation_id not in known or step.causation_id in told_ids), waiting[0]
        )
        waiting.remove(ready)
        told.append(ready)
        told_ids.add(ready.event_id)
    return tuple(told)


def _archived_steps(shelf: Shelf, archives: Sequence[Archive], chains: frozenset[UUID]) -> list[Step]:
    found: list[Step] = []
    for archive in archives:
        for linked in shelf.read(archive, without=UNTOLD_TOPICS):
            record = linked.record
            if record.kind is RecordKind.EVENT and record.correlation_id in chains and len(found) < STEPS_MAX:
                found.append(_step(asdict(record)))
    return sorted(found, key=attrgetter("recorded_at", "topic", "partition", "offset"))


def _distinct(steps: Iterable[Step]) -> list[Step]:
    """An event that was delivered twice is recorded twice and told once."""
    first: dict[UUID, Step] = {}
    for step in steps:
        first.setdefault(step.event_id, step)
    return list(first.values())


def _step(row: Any) -> Step:
    return Step(
        topic=row["topic"],
        partition=row["partition"],
        offset=row["offset_last"],
        event_id=row["event_id"],
        event_type=row["event_type"],
        recorded_at=row["recorded_at"],
        occurred_at=row["occurred_at"],
        correlation_id=row["correlation_id"],
        causation_id=row["causation_id"],
        content=json.loads(row["payload"]),
    )
