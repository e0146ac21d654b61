"""Events to and from Kafka records: JSON in the value, the envelope in the headers.

Everything that comes from outside is validated here, once; what cannot be read is an `InvalidMessageError`.
"""

import re
import reprlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.fields import utc
from libs.common.contracts.topics import EVENT_TYPES, TOPIC_BY_NAME, TOPIC_OF, TopicName
from libs.common.errors import InvalidMessageError

VALUE_BYTES_MAX: Final = 1_000_000
"""Kafka's own default bound of a record is 1 MiB: larger messages are refused before they are sent, and unread."""
KEY_BYTES_MAX: Final = 1_000
HEADERS_BYTES_MAX: Final = 16_384
"""Our own take a thirtieth of it; tracing may add some. With value and key it stays below a record's bound."""

_NUL: Final = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
"""JSON's escape of the one character that Postgres does not hold, which no text of ours needs."""

_SHORT: Final = reprlib.Repr()
"""Shows the beginning of what was found without writing out all of it."""
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 200

_TRACEPARENT: Final = re.compile(r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")


@dataclass(frozen=True, slots=True)
class WireRecord:
    """A record ready to be sent: topic (without prefix), key, value and headers."""

    topic: TopicName
    key: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


def encode(envelope: Envelope[Event]) -> WireRecord:
    """Return the record of an envelope; a NUL in a text becomes the replacement character.

    Raises:
        ValueError: The value exceeds `VALUE_BYTES_MAX`, or the key `KEY_BYTES_MAX`: a bug of the producer, which must
            bound its fields.
    """
    event = envelope.event
    value = event.model_dump_json().encode()
    for what, size, size_max in (("", len(value), VALUE_BYTES_MAX), ("key: ", len(event.key.encode()), KEY_BYTES_MAX)):
        if size > size_max:
            message = f"{type(event).__name__}: {what}expected at most {size_max} bytes, found {size}"
            raise ValueError(message)
    if b"\\u0000" in value:
        value = _NUL.sub(rb"\1\\ufffd", value)
    headers = {
        "event_id": str(envelope.event_id),
        "event_type": type(event).__name__,
        "schema_version": str(event.schema_version),
        "recorded_at": envelope.recorded_at.isoformat(),
        "causation_id": str(envelope.causation_id) if envelope.causation_id else None,
        "correlation_id": str(envelope.correlation_id) if envelope.correlation_id else None,
        "traceparent": envelope.traceparent,
        "origin_at": envelope.origin_at.isoformat() if envelope.origin_at else None,
    }
    return WireRecord(
        topic=TOPIC_OF[type(event)].name,
        key=event.key,
        value=value,
        headers=tuple((name, text.encode()) for name, text in headers.items() if text is not None),
    )


def decode(topic: TopicName, value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> Envelope[Event]:
    """Return the envelope of a record.

    Raises:
        InvalidMessageError: Too large, unknown type or version, a type that does not belong on the topic, a
            malformed header, or a value that the event type refuses.
    """
    headers = tuple(headers)
    _check_sizes(value or b"", headers)
    fields = {name: _text(name, content) for name, content in headers}
    event_type = _event_type(topic, fields)
    try:
        event = event_type.model_validate_json(value or b"")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:200] or "value"
        raise InvalidMessageError(
            "malformed event",
            expected=f"{event_type.__name__}: {where}: {first['msg']}",
            found=_SHORT.repr(first["input"])[:200],
        ) from error
    return Envelope(
        event=event,
        event_id=_required_uuid("event_id", fields),
        recorded_at=_time("recorded_at", fields.get("recorded_at")) or event.occurred_at,
        causation_id=_uuid("causation_id", fields.get("causation_id")),
        correlation_id=_uuid("correlation_id", fields.get("correlation_id")),
        traceparent=_traceparent(fields.get("traceparent")),
        origin_at=_time("origin_at", fields.get("origin_at")),
    )


def oversized(value_bytes: int) -> InvalidMessageError:
    """Return the error of a value that is larger than any message of ours."""
    return InvalidMessageError(
        "oversized message", expected=f"at most {VALUE_BYTES_MAX} bytes", found=f"{value_bytes} bytes"
    )


def _check_sizes(value: bytes, headers: tuple[tuple[str, bytes], ...]) -> None:
    """Refuse what would take long to read; a broker with other settings, or a packed batch, can deliver it."""
    size = sum(len(name) + len(content or b"") for name, content in headers)
    if size > HEADERS_BYTES_MAX:
        raise InvalidMessageError(
            "oversized headers", expected=f"at most {HEADERS_BYTES_MAX} bytes", found=f"{size} bytes"
        )
    if len(value) > VALUE_BYTES_MAX:
        raise oversized(len(value))
    if b"\\u0000" in value and _NUL.search(value) is not None:
        raise InvalidMessageError("malformed event", expected="text without NUL characters", found="\\u0000")


def _event_type(topic: TopicName, fields: dict[str, str]) -> type[Event]:
    name = fields.get("event_type", "")
    event_type = EVENT_TYPES.get(name)
    if event_type is None or event_type not in TOPIC_BY_NAME[topic].event_types:
        accepted = ", ".join(accepted.__name__ for accepted in TOPIC_BY_NAME[topic].event_types)
        raise InvalidMessageError("unknown event type", expected=accepted, found=repr(name)[:100])
    version = fields.get("schema_version", "")
    if version != str(event_type.schema_version):
        raise InvalidMessageError(
            "unknown schema version",
            expected=f"{name} version {event_type.schema_version}",
            found=repr(version)[:20],
        )
    return event_type


def _text(name: str, content: bytes) -> str:
    try:
        return (content or b"").decode("ascii")
    except UnicodeDecodeError as error:
        raise InvalidMessageError("malformed header", expected=f"{name} in ASCII", found=repr(content)[:100]) from error


def _uuid(name: str, text: str | None) -> uuid.UUID | None:
    if text is None:
        return None
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise InvalidMessageError("malformed header", expected=f"{name} as a UUID", found=repr(text)[:100]) from error


def _required_uuid(name: str, fields: dict[str, str]) -> uuid.UUID:
    value = _uuid(name, fields.get(name))
    if value is None:
        raise InvalidMessageError("missing header", expected=name, found="no such header")
    return value


def _time(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidMessageError("malformed header", expected=f"{name} in ISO 8601", found=repr(text)[:100]) from error
    if moment.tzinfo is None:
        raise InvalidMessageError("malformed header", expected=f"{name} with a time zone", found=text[:100])
    try:
        return utc(moment)
    except ValueError as error:
        raise InvalidMessageError("malformed header", expected=f"{name}: {error}", found=text[:100]) from error


def _traceparent(text: str | None) -> str | None:
    """Drop a malformed trace context, as W3C Trace Context §4.3 asks; it never fails a message."""
    return text if text is not None and _TRACEPARENT.match(text) else None
