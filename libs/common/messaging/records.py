"""A record as it was read, and what becomes of one that nobody can use."""

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from libs.common.clock import from_epoch_ms
from libs.common.contracts.codec import decode
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import MessageDeadLettered
from libs.common.contracts.topics import TopicName
from libs.common.errors import InvalidMessageError
from libs.common.messaging.kafka import Kafka

VALUE_BYTES_KEPT_MAX: Final = 65_536


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record of a topic, before anyone has understood it."""

    topic: TopicName
    partition: int
    offset: int
    key: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    written_at: datetime

    @classmethod
    def of(cls, record: Any, kafka: Kafka) -> "RawRecord":
        """Return the record that aiokafka read."""
        return cls(
            topic=kafka.topic_name(record.topic),
            partition=record.partition,
            offset=record.offset,
            key=(record.key or b"").decode(errors="replace"),
            value=record.value or b"",
            headers=tuple((name, content) for name, content in record.headers),
            written_at=from_epoch_ms(record.timestamp),
        )

    def decoded(self) -> Envelope[Event]:
        """Return the event in it.

        Raises:
            InvalidMessageError: There is none that we understand.
        """
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
            headers={name: content.decode(errors="replace")[:500] for name, content in self.headers[:20]},
            value=base64.b64encode(self.value[:VALUE_BYTES_KEPT_MAX]).decode(),
            value_bytes=len(self.value),
            reason=error.reason,
            detail=str(error)[:2_000],
        )
