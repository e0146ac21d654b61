"""Whatever stands on a topic is an event that can be written and stored again, or an invalid message; nothing else.

The mutations are seeded, so that what was found once is found again.
"""

import json
import random
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final

import pytest

from libs.common.contracts.codec import HEADERS_BYTES_MAX, VALUE_BYTES_MAX, WireRecord, decode, encode
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.fields import TIME_MAX, TIME_MIN
from libs.common.contracts.topics import EVENT_TYPES
from libs.common.errors import InvalidMessageError
from libs.common.messaging.cause import Cause, enclose
from tests.support.events import AT, every_event

EXAMPLES: Final = {type(event).__name__: event for event in every_event()}
BYTE_MUTATIONS: Final = 400
SECONDS_PER_MESSAGE_MAX: Final = 2.0
"""Of the processor, for the largest message; it takes a fifth of it."""

REASON_CHARACTERS_MAX: Final = 2_000
STORED_INTEGER_MAX: Final = 2**63 - 1

HOSTILE: Final = (
    *("null", "true", "false", "0", "-1", "-0", "3", "1e400", "-1e400", "1e308", "0.1", "NaN", "Infinity", "-Infinity"),
    *("[]", "{}", "[[]]", "[null]", "[1]", '{"":{}}', '{"a":-1}', '{"a":1e999}', '[{"a":[{"a":[]}]}]'),
    *('""', '" "', '"NaN"', '"sNaN"', '"Infinity"', '"-1"', '"0"', '"1e3"', '"1_000"', '"\\uff11"', '"0x10"'),
    *('"0E-99999999"', '"0E+99999999"', '"1E+999999999999"', '"0.0000000000000000001"'),
    *('"BTC/USDT\\n"', '"btc/usdt"', '"a\\\\u0000"', '"\\u0000"', '{"\\u0000":1}', '"\\u202e"'),
    *('"\\ud800"', '"\\udc00\\ud800"', '"\ud800"'),
    *('"0001-01-01T00:00:00+23:59"', '"9999-12-31T23:59:59-23:59"', '"2026-01-05T12:00:00+99:99"'),
    *('"2026-01-05T12:00:00"', '"2026-13-45"', '"{00000000000000000000000000000000}"'),
    "9" * 300,
    "-" + "9" * 300,
    f'"{"9" * 300}"',
    f'"0.{"9" * 300}"',
    str(2**31),
    str(2**53),
    str(2**63),
    "[" * 300 + "]" * 300,
    '{"a":' * 300 + "1" + "}" * 300,
    f'"{"한" * 5_000}"',
    f'"{"x" * 5_000}"',
    "[" + ",".join(['"x"'] * 500) + "]",
    "{" + ",".join(f'"{number}":"1"' for number in range(500)) + "}",
)

HOSTILE_HEADERS: Final = (
    None,
    b"",
    b" ",
    b"\x00",
    b"\xff\xfe",
    "한국".encode(),
    b"nan",
    b"1",
    b"-1",
    b"9" * 5_000,
    b"00000000-0000-0000-0000-000000000000",
    b"0001-01-01T00:00:00+23:59",
    b"9999-12-31T23:59:59-23:59",
    b"2026-01-05T12:00:00",
    b"2026-W01-1T00:00:00Z",
    b"x" * HEADERS_BYTES_MAX,
)


def a_record(name: str) -> WireRecord:
    cause = Cause(
        event_id=uuid.UUID(int=1), correlation_id=uuid.UUID(int=2), traceparent=f"00-{'a' * 32}-{'b' * 16}-01"
    )
    return encode(enclose(EXAMPLES[name], cause=cause, ordinal=0, now=AT))


def outcome(record: WireRecord, value: bytes, headers: Iterable[tuple[str, Any]]) -> Envelope[Event] | None:
    """Decode; what is accepted must be usable by everybody behind: written again, keyed, stored."""
    began_s = time.process_time()
    try:
        envelope = decode(record.topic, value, headers)
    except InvalidMessageError as refused:
        envelope, reason = None, str(refused)
    else:
        reason = ""
    assert time.process_time() - began_s < SECONDS_PER_MESSAGE_MAX
    assert len(reason) <= REASON_CHARACTERS_MAX
    if envelope is None:
        return None
    again = encode(envelope)
    assert decode(again.topic, again.value, again.headers) == envelope
    assert b"\\u0000" not in again.value.replace(b"\\\\", b"")
    for moment in (envelope.event.occurred_at, envelope.recorded_at, envelope.origin_at):
        assert moment is None or TIME_MIN <= moment < TIME_MAX
    for number in integers(envelope.event.model_dump()):
        assert abs(number) <= STORED_INTEGER_MAX
    return envelope


def integers(value: Any) -> Iterator[int]:
    match value:
        case int():
            yield value
        case dict():
            for entry in value.values():
                yield from integers(entry)
        case list() | tuple():
            for entry in value:
                yield from integers(entry)


def mutated(value: bytes, chance: random.Random) -> bytes:
    """Return the bytes with a few of them changed, left out, put in, repeated, or cut off."""
    content = bytearray(value)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(content) + 1)
        length = chance.randint(1, 8)
        match chance.randrange(6):
            case 0:
                content[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                del content[place : place + length]
            case 2:
                content[place:place] = chance.randbytes(length)
            case 3:
                content[place:place] = content[place : place + length]
            case 4:
                content[place:place] = chance.choice(HOSTILE).encode("utf-8", "surrogatepass")
            case _:
                del content[place + chance.randrange(len(content) + 1) :]
    return bytes(content)


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_changed_bytes_are_an_event_or_an_invalid_message(name: str) -> None:
    record, chance = a_record(name), random.Random(name)

    refused = sum(outcome(record, mutated(record.value, chance), record.headers) is None for _ in range(BYTE_MUTATIONS))

    assert refused > BYTE_MUTATIONS // 2


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_any_value_in_any_field_is_an_event_or_an_invalid_message(name: str) -> None:
    record = a_record(name)
    fields = {key: json.dumps(entry) for key, entry in json.loads(record.value).items()}

    for field in fields:
        for hostile in HOSTILE:
            in_place = fields | {field: hostile}
            doubled = [*fields.items(), (field, hostile)]
            for pairs in (in_place.items(), doubled):
                outcome(record, _object(pairs), record.headers)


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_a_field_left_out_is_refused_unless_it_has_a_default(name: str) -> None:
    record = a_record(name)
    fields = {key: json.dumps(entry) for key, entry in json.loads(record.value).items()}

    for field, declared in EVENT_TYPES[name].model_fields.items():
        rest = {key: text for key, text in fields.items() if key != field}
        assert (outcome(record, _object(rest.items()), record.headers) is None) == declared.is_required(), field


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_any_header_is_carried_or_refused(name: str) -> None:
    record = a_record(name)
    for header, content in record.headers:
        rest = [(other, kept) for other, kept in record.headers if other != header]
        outcome(record, record.value, rest)
        for hostile in (*HOSTILE_HEADERS, content + b"\n", content[:-1], content * 2):
            outcome(record, record.value, [*rest, (header, hostile)])
            outcome(record, record.value, [*record.headers, (header, hostile)])
    for other in EVENT_TYPES:
        if other != name:  # the value of one type under the name of another
            outcome(record, record.value, [*record.headers, ("event_type", other.encode())])


@pytest.mark.parametrize("content", HOSTILE)
@pytest.mark.parametrize("name", ["TradePrinted", "OrderApproved", "LogRecorded"])
def test_a_value_that_is_no_object_is_refused(name: str, content: str) -> None:
    record = a_record(name)

    assert outcome(record, content.encode("utf-8", "surrogatepass"), record.headers) is None


LARGE: Final = {
    "arrays": b"[" * VALUE_BYTES_MAX,
    "objects": b'{"a":' * (VALUE_BYTES_MAX // 5),
    "number": b'{"trade_id":' + b"9" * (VALUE_BYTES_MAX - 13) + b"}",
    "price": b'{"price":"' + b"9" * (VALUE_BYTES_MAX - 12) + b'"}',
    "text": b'{"symbol":"' + b"B" * (VALUE_BYTES_MAX - 13) + b'"}',
    "time": b'{"occurred_at":"' + b"2" * (VALUE_BYTES_MAX - 18) + b'"}',
    "entries": b'{"a":[' + b"{}," * (VALUE_BYTES_MAX // 3 - 10) + b"{}]}",
    "keys": b"{" + b",".join(b'"%d":0' % number for number in range(100_000)) + b"}",
    "backslashes": b'{"symbol":"' + b"\\" * (VALUE_BYTES_MAX - 20) + b'\\u0000"}',
}


@pytest.mark.parametrize("kind", LARGE)
def test_the_largest_messages_are_refused_within_their_time(kind: str) -> None:
    record = a_record("TradePrinted")

    assert outcome(record, LARGE[kind], record.headers) is None


@pytest.mark.parametrize("kind", LARGE)
def test_a_message_beyond_the_bound_is_refused_unread(kind: str) -> None:
    record = a_record("TradePrinted")
    value = LARGE[kind] * 10

    with pytest.raises(
        InvalidMessageError, match=f"oversized message: expected at most 1000000 bytes, found {len(value)}"
    ):
        decode(record.topic, value, record.headers)


def test_headers_beyond_their_bound_are_refused() -> None:
    record = a_record("TradePrinted")
    many = [(f"x{number}", b"y") for number in range(10_000)]

    for added in (many, [("x", b"y" * 100_000)], [("x" * 100_000, b"y")]):
        with pytest.raises(InvalidMessageError, match="oversized headers: expected at most 16384 bytes"):
            decode(record.topic, record.value, [*record.headers, *added])


def test_a_nul_in_a_text_is_written_as_the_replacement_character() -> None:
    alert = EXAMPLES["AlertRaised"].model_copy(update={"message": "a\0b \\u0000 \\\0"})
    record = encode(enclose(alert, cause=Cause.none(), ordinal=0, now=AT))

    read = decode(record.topic, record.value, record.headers).event

    assert read == alert.model_copy(update={"message": "a\ufffdb \\u0000 \\\ufffd"})


def _object(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Return a JSON object of texts that are taken as they are; surrogates and doubled keys included."""
    return ("{" + ",".join(f"{json.dumps(key)}:{text}" for key, text in pairs) + "}").encode("utf-8", "surrogatepass")
