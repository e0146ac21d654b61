"""Messages of one partition become records of one chain: dense in offsets, each linked to the one before it."""

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from libs.common.audit.records import GENESIS, AuditRecord, ChainId, LinkedRecord, RecordKind, link
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.topics import TopicName
from libs.common.errors import InvalidMessageError
from libs.common.messaging.records import RawRecord

DIGESTED_TOPICS: Final = frozenset({TopicName.MARKET_TICKS})
"""Twenty million ticks a day are kept by Kafka; the chain holds one digest of each minute."""


@dataclass(frozen=True, slots=True)
class OpenDigest:
    """A minute of messages that is not over yet.

    Attributes:
        minute_at: The minute in which the first message was written to Kafka.
        hash: SHA-256 chained over the values: h(0) = 32 zero bytes, h(n) = SHA-256(h(n-1), value n). Unlike the
            state of one long hash it can be stored after any message, so that a restart goes on exactly there.
    """

    minute_at: datetime
    offset_first: int
    offset_last: int
    hash: bytes

    @classmethod
    def begin(cls, raw: RawRecord) -> "OpenDigest":
        """Return the digest that begins with a message."""
        minute_at = raw.written_at.replace(second=0, microsecond=0)
        return cls(minute_at, raw.offset, raw.offset, _digest(GENESIS, raw))

    def add(self, raw: RawRecord) -> "OpenDigest":
        """Return the digest with one more message."""
        return replace(self, offset_last=raw.offset, hash=_digest(self.hash, raw))

    def takes(self, raw: RawRecord) -> bool:
        """Tell whether a message still belongs to this minute; a clock that goes back does not begin another."""
        return raw.written_at.replace(second=0, microsecond=0) <= self.minute_at

    def record(self, chain: ChainId) -> AuditRecord:
        """Return the record of the finished minute."""
        content = {"messages": self.offset_last - self.offset_first + 1, "sha256": self.hash.hex()}
        return AuditRecord(
            topic=chain.topic,
            partition=chain.partition,
            offset_first=self.offset_first,
            offset_last=self.offset_last,
            kind=RecordKind.DIGEST,
            recorded_at=self.minute_at,
            payload=json.dumps(content, separators=(",", ":")),
        )


@dataclass(frozen=True, slots=True)
class ChainState:
    """Where a chain stands: its last record, and the digest that will be its next one."""

    offset: int = -1
    hash: bytes = GENESIS
    digest: OpenDigest | None = None

    @property
    def offset_next(self) -> int:
        """The first offset that is not recorded yet."""
        return (self.digest.offset_last if self.digest else self.offset) + 1


@dataclass(frozen=True, slots=True)
class Extension:
    """What a batch adds to a chain: new records, where it stands then, and the events that could be read."""

    chain: ChainId
    state: ChainState
    linked: tuple[LinkedRecord, ...]
    envelopes: tuple[Envelope[Event], ...]


def extend(chain: ChainId, state: ChainState, batch: Iterable[RawRecord]) -> Extension:
    """Append a batch of one partition, in order of its offsets; messages that are recorded already are passed over."""
    linked: list[LinkedRecord] = []
    envelopes: list[Envelope[Event]] = []

    def append(record: AuditRecord) -> None:
        nonlocal state
        link_made = link(record, state.hash)
        linked.append(link_made)
        state = ChainState(record.offset_last, link_made.hash)

    for raw in batch:
        expected = state.offset_next
        if raw.offset < expected:
            continue
        digest = state.digest
        if digest is not None and (raw.offset > expected or not digest.takes(raw)):
            append(digest.record(chain))
            digest = None
        if raw.offset > expected:
            append(_gap(chain, expected, raw))
        if raw.topic in DIGESTED_TOPICS:
            state = replace(state, digest=digest.add(raw) if digest else OpenDigest.begin(raw))
            continue
        record, envelope = understand(raw)
        append(record)
        if envelope is not None:
            envelopes.append(envelope)
    return Extension(chain, state, tuple(linked), tuple(envelopes))


def understand(raw: RawRecord) -> tuple[AuditRecord, Envelope[Event] | None]:
    """Return the record of one message, and the event in it if there is one that we know."""
    try:
        envelope = raw.decoded()
    except InvalidMessageError:
        return _poison(raw), None
    event = envelope.event
    record = AuditRecord(
        topic=raw.topic.value,
        partition=raw.partition,
        offset_first=raw.offset,
        offset_last=raw.offset,
        kind=RecordKind.EVENT,
        event_id=envelope.event_id,
        event_type=type(event).__name__,
        key=_storable(raw.key),
        recorded_at=envelope.recorded_at,
        occurred_at=event.occurred_at,
        correlation_id=envelope.correlation_id or envelope.event_id,
        causation_id=envelope.causation_id,
        headers=_headers(raw),
        payload=raw.value.decode(),
    )
    return record, envelope


def _poison(raw: RawRecord) -> AuditRecord:
    return AuditRecord(
        topic=raw.topic.value,
        partition=raw.partition,
        offset_first=raw.offset,
        offset_last=raw.offset,
        kind=RecordKind.POISON,
        key=_storable(raw.key),
        recorded_at=raw.written_at,
        headers=_headers(raw),
        payload=base64.b64encode(raw.value).decode(),
    )


def _gap(chain: ChainId, offset_first: int, raw: RawRecord) -> AuditRecord:
    return AuditRecord(
        topic=chain.topic,
        partition=chain.partition,
        offset_first=offset_first,
        offset_last=raw.offset - 1,
        kind=RecordKind.GAP,
        recorded_at=raw.written_at,
        payload=json.dumps({"messages": raw.offset - offset_first}, separators=(",", ":")),
    )


def _digest(previous: bytes, raw: RawRecord) -> bytes:
    return hashlib.sha256(previous + raw.value).digest()


def _headers(raw: RawRecord) -> tuple[tuple[str, str], ...]:
    return tuple((_storable(name), _header_text(content)) for name, content in raw.headers)


def _header_text(content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\0"
    return f"base64:{base64.b64encode(content).decode()}" if "\0" in text else text


def _storable(text: str) -> str:
    """Postgres holds every character but NUL."""
    return text.replace("\0", "\ufffd")
