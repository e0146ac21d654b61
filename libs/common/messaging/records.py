"""A record as it was read, and what becomes of one that nobody can use."""

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from libs.common.clock import epoch_ms, from_epoch_ms
from libs.common.contracts.codec import decode, oversized
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import MessageDeadLettered
from libs.common.contracts.fields import TEXT_CHARACTERS_MAX, TIME_MAX
from libs.common.contracts.topics import TopicName
from libs.common.errors import InvalidMessageError
from libs.common.messaging.kafka import VALUE_BYTES_KEPT_MAX, CutValue, Kafka

HEADERS_KEPT_MAX: Final = 20
_WRITTEN_MS_MAX: Final = epoch_ms(TIME_MAX) - 1


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record of a topic, before anyone has understood it.

    Attributes:
        value: Of a value that is larger than any message of ours, only the beginning.
        value_bytes_cut: How much of the value is left out; such a record is never decoded.
        written_at: As its writer said, brought within the times that we can calculate with.
    """

    topic: TopicName
    partition: int
    offset: int
    key: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    written_at: datetime
    value_bytes_cut: int = 0

    @classmethod
    def of(cls, record: Any, kafka: Kafka) -> "RawRecord":
        """Return the record that aiokafka read."""
        return cls(
            topic=kafka.topic_name(record.topic),
            partition=record.partition,
            offset=record.offset,
            key=(record.key or b"").decode(errors="replace"),
            value=record.value or b"",
            headers=tuple((name, content or b"") for name, content in record.headers),
            written_at=from_epoch_ms(min(max(record.timestamp, 0), _WRITTEN_MS_MAX)),
            value_bytes_cut=record.value.bytes_cut if isinstance(record.value, CutValue) else 0,
        )

    @property
    def value_bytes(self) -> int:
        """The length of the whole value."""
        return len(self.value) + self.value_bytes_cut

    def decoded(self) -> Envelope[Event]:
        """Return the event in it.

        Raises:
            InvalidMessageError: There is none that we understand.
        """
        if self.value_bytes_cut:
            raise oversized(self.value_bytes)
        return decode(self.topic, self.value, self.headers)

    def dead_letter(self, component: str, error: InvalidMessageError, now: datetime) -> MessageDeadLettered:
        """Return what is put on the dead letters topic in its place."""
        return MessageDeadLettered(
            occurred_at=now,
            component=component,
            topic=self.topic,
            partition=self.partition,
            offset=self.offset,
            record_key=self.key[:500],
            headers={
                name[:100]: content[:500].decode(errors="replace") for name, content in self.headers[:HEADERS_KEPT_MAX]
            },
            value=base64.b64encode(self.value[:VALUE_BYTES_KEPT_MAX]).decode(),
            value_bytes=self.value_bytes,
            reason=error.reason,
            detail=str(error)[:TEXT_CHARACTERS_MAX],
        )
