"""Why an event exists: the chain that its envelope carries on."""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.common.contracts.event import Envelope, Event, event_id_of


@dataclass(frozen=True, slots=True)
class Cause:
    """What an event answers; all None for a fact from outside.

    Attributes:
        event_id: The event that was handled.
        correlation_id: The first event of its chain.
        traceparent: The W3C trace context of the chain.
        origin_at: When the market data that started the chain reached us.
    """

    event_id: uuid.UUID | None = None
    correlation_id: uuid.UUID | None = None
    traceparent: str | None = None
    origin_at: datetime | None = None

    @classmethod
    def of(cls, envelope: Envelope[Any]) -> "Cause":
        """Return the cause that `envelope` is for what is made of it."""
        return cls(
            event_id=envelope.event_id,
            correlation_id=envelope.correlation_id or envelope.event_id,
            traceparent=envelope.traceparent,
            origin_at=envelope.origin_at,
        )

    @classmethod
    def none(cls) -> "Cause":
        """Return the cause of a fact from outside."""
        return cls()


def enclose(event: Event, *, cause: Cause, ordinal: int, now: datetime) -> Envelope[Event]:
    """Return the envelope of an event: reproducible id, chain of causes, a trace if it has none yet."""
    event_id = event_id_of(event, cause=cause.event_id, ordinal=ordinal)
    correlation_id = cause.correlation_id or event_id
    return Envelope(
        event=event,
        event_id=event_id,
        recorded_at=now,
        causation_id=cause.event_id,
        correlation_id=correlation_id,
        traceparent=cause.traceparent or f"00-{correlation_id.hex}-{event_id.hex[:16]}-00",
        origin_at=cause.origin_at,
    )


def enclose_all(events: Sequence[Event], *, cause: Cause, now: datetime) -> list[Envelope[Event]]:
    """Return the envelopes of all answers to one cause, numbered within their types."""
    seen: Counter[type[Event]] = Counter()
    envelopes = []
    for event in events:
        envelopes.append(enclose(event, cause=cause, ordinal=seen[type(event)], now=now))
        seen[type(event)] += 1
    return envelopes
