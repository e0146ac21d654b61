"""The base of every event and the envelope it travels in.

An event is what happened, in the past tense; the envelope is how it travels: ids, causes and times.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from libs.common.contracts.fields import UtcTime

EventT_co = TypeVar("EventT_co", bound="Event", covariant=True)

_NAMESPACE = uuid.UUID("9c4b5f0e-6a0f-5b0d-9d59-5f6d2f1c7a11")


class Event(BaseModel):
    """A fact. Frozen; fields are only ever added, so readers ignore those they do not know.

    Attributes:
        occurred_at: When it happened: the exchange's time where the exchange said it, else ours.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=False, ser_json_timedelta="float")

    schema_version: ClassVar[int] = 1

    occurred_at: UtcTime

    @property
    def key(self) -> str:
        """What must stay ordered: the record's key on its topic."""
        raise NotImplementedError

    @property
    def natural_key(self) -> str | None:
        """What identifies this fact whoever reports it; None: it is identified by its cause."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope(Generic[EventT_co]):
    """An event on its way.

    Attributes:
        event_id: `uuid5(type | natural key or cause | ordinal)`: the same cause yields the same id again.
        causation_id: The event that this one answers; None for facts from outside.
        correlation_id: The first event of the chain: one order's whole story shares it.
        traceparent: W3C trace context, carried along unchanged when tracing is off.
        origin_at: When the market data that started the chain reached us; latencies are measured from it.
        recorded_at: When we wrote it down, as opposed to `event.occurred_at`.
    """

    event: EventT_co
    event_id: uuid.UUID
    recorded_at: datetime
    causation_id: uuid.UUID | None = None
    correlation_id: uuid.UUID | None = None
    traceparent: str | None = None
    origin_at: datetime | None = None


def event_id_of(event: Event, *, cause: uuid.UUID | None, ordinal: int) -> uuid.UUID:
    """Return the id that a repetition of the same fact gets again.

    Args:
        event: The fact.
        cause: The event whose handling produced it; may be None only for events with a natural key.
        ordinal: Its place among the events of its type that the same cause produced.

    Raises:
        ValueError: An event without a natural key and without a cause has no reproducible identity.
    """
    event_type = type(event).__name__
    natural_key = event.natural_key
    if natural_key is not None:
        return uuid.uuid5(_NAMESPACE, f"{event_type}|{natural_key}")
    if cause is None:
        message = f"{event_type}: expected a natural key or a cause, found neither"
        raise ValueError(message)
    return uuid.uuid5(_NAMESPACE, f"{event_type}|{cause}|{ordinal}")
