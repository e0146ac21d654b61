"""Builders of records as the audit recorder reads them."""

from collections.abc import Iterable
from datetime import UTC, datetime

from libs.common.contracts.codec import encode
from libs.common.contracts.event import Event
from libs.common.contracts.topics import TopicName
from libs.common.messaging.cause import Cause, enclose
from libs.common.messaging.records import RawRecord

AT = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def a_raw_record(
    *,
    topic: TopicName = TopicName.FILLS,
    partition: int = 0,
    offset: int = 0,
    key: str = "main",
    value: bytes = b"{}",
    headers: Iterable[tuple[str, bytes]] = (),
    written_at: datetime = AT,
) -> RawRecord:
    return RawRecord(topic, partition, offset, key, value, tuple(headers), written_at)


def record_of(
    event: Event, *, partition: int = 0, offset: int = 0, cause: Cause | None = None, written_at: datetime = AT
) -> RawRecord:
    """Return the record that publishing an event leaves on its topic."""
    wire = encode(enclose(event, cause=cause or Cause.none(), ordinal=0, now=written_at))
    return RawRecord(wire.topic, partition, offset, wire.key, wire.value, wire.headers, written_at)


def records_of(events: Iterable[Event], *, cause: Cause | None = None) -> list[RawRecord]:
    """Return records of events, numbered from 0 on each topic."""
    ends: dict[TopicName, int] = {}
    records = []
    for event in events:
        record = record_of(event, cause=cause)
        offset = ends.get(record.topic, 0)
        ends[record.topic] = offset + 1
        records.append(record_of(event, offset=offset, cause=cause))
    return records
