"""A record of the audit log, its canonical form and its link to the record before it.

Every stored column stands in the canonical form, so that no column can be altered without breaking the chain.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

GENESIS: Final = bytes(32)
"""What the first record of a chain is linked to."""


class ChainId(NamedTuple):
    """One chain: a partition of a topic (without the installation's prefix)."""

    topic: str
    partition: int


class RecordKind(StrEnum):
    """What a record stands for."""

    EVENT = "EVENT"
    """One message, its payload exactly as it was read."""
    POISON = "POISON"
    """One message that no event type accepts; the payload is base64 where it is not text."""
    DIGEST = "DIGEST"
    """A minute of market data: how many messages, and a hash over all of them."""
    GAP = "GAP"
    """Offsets that Kafka no longer held when they were to be recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """What is known about one message, or about a run of messages without a gap.

    Attributes:
        offset_first: The first message that the record stands for; equal to `offset_last` for a single one.
        headers: Names and values in the order of the message; a value that is not text is base64 with that mark.
        correlation_id: The first event of the chain of causes; an event without one is the first itself.
        payload: The message's value as text, or what stands for it (`kind` says which).
    """

    topic: str
    partition: int
    offset_first: int
    offset_last: int
    kind: RecordKind
    event_id: UUID | None = None
    event_type: str = ""
    key: str = ""
    recorded_at: datetime
    occurred_at: datetime | None = None
    correlation_id: UUID | None = None
    causation_id: UUID | None = None
    headers: tuple[tuple[str, str], ...] = ()
    payload: str

    @property
    def chain(self) -> ChainId:
        """The chain that the record belongs to."""
        return ChainId(self.topic, self.partition)

    def canonical(self) -> bytes:
        """Return the one byte sequence that stands for this record."""
        return json.dumps(
            (
                self.topic,
                self.partition,
                self.offset_first,
                self.offset_last,
                self.kind,
                _text(self.event_id),
                self.event_type,
                self.key,
                _moment(self.recorded_at),
                _moment(self.occurred_at),
                _text(self.correlation_id),
                _text(self.causation_id),
                self.headers,
                self.payload,
            ),
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()


@dataclass(frozen=True, slots=True)
class LinkedRecord:
    """A record in its chain: `hash` = SHA-256 of the previous hash and the canonical form."""

    record: AuditRecord
    previous_hash: bytes
    hash: bytes


def link(record: AuditRecord, previous_hash: bytes) -> LinkedRecord:
    """Append a record to the chain that ends in `previous_hash`."""
    return LinkedRecord(record, previous_hash, link_hash(record, previous_hash))


def link_hash(record: AuditRecord, previous_hash: bytes) -> bytes:
    """Return the hash that a record must have after `previous_hash`."""
    return hashlib.sha256(previous_hash + record.canonical()).digest()


def _text(identity: UUID | None) -> str | None:
    return None if identity is None else str(identity)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="microseconds")


COLUMNS: Final = (
    "topic",
    "partition",
    "offset_first",
    "offset_last",
    "kind",
    "event_id",
    "event_type",
    "key",
    "recorded_at",
    "occurred_at",
    "correlation_id",
    "causation_id",
    "headers",
    "payload",
    "previous_hash",
    "hash",
)
"""The columns of `audit_log`, in the order in which records are written and read."""

READ_IN_ORDER: Final = "SET LOCAL enable_sort = off"
"""For a transaction that reads chain after chain: along the parts' keys. Sorted, a month would first be written to the
database's disk once more."""


def from_row(row: Any) -> LinkedRecord:
    """Return the record of a row with `COLUMNS`, as asyncpg gives it with jsonb decoded."""
    record = AuditRecord(
        topic=row["topic"],
        partition=row["partition"],
        offset_first=row["offset_first"],
        offset_last=row["offset_last"],
        kind=RecordKind(row["kind"]),
        event_id=row["event_id"],
        event_type=row["event_type"],
        key=row["key"],
        recorded_at=row["recorded_at"],
        occurred_at=row["occurred_at"],
        correlation_id=row["correlation_id"],
        causation_id=row["causation_id"],
        headers=tuple((str(name), str(value)) for name, value in row["headers"]),
        payload=row["payload"],
    )
    return LinkedRecord(record, bytes(row["previous_hash"]), bytes(row["hash"]))
