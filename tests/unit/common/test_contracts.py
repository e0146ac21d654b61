"""The contracts hold: every type has a golden form, survives the wire, and refuses what it must."""

import json
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.clock import epoch_ms, from_epoch_ms
from libs.common.contracts.asyncapi import asyncapi_document
from libs.common.contracts.codec import VALUE_BYTES_MAX, WireRecord, decode, encode
from libs.common.contracts.event import Envelope, Event, event_id_of
from libs.common.contracts.events import LogRecorded, PositionChanged, SignalGenerated
from libs.common.contracts.topics import EVENT_TYPES, TOPIC_OF, TOPICS, TopicName
from libs.common.errors import InvalidMessageError
from libs.common.messaging.cause import Cause, enclose, enclose_all
from tests.support.events import AT, every_event

GOLDEN = Path(__file__).parent / "golden"
EXAMPLES = {type(event).__name__: event for event in every_event()}


def a_record(event: Event = EXAMPLES["TradePrinted"]) -> WireRecord:
    return encode(enclose(event, cause=Cause(event_id=uuid.UUID(int=7)), ordinal=0, now=AT))


def with_header(record: WireRecord, name: str, content: bytes | None) -> list[tuple[str, bytes]]:
    kept = [(other, value) for other, value in record.headers if other != name]
    return kept if content is None else [*kept, (name, content)]


def test_every_event_type_has_an_example():
    assert set(EXAMPLES) == set(EVENT_TYPES)


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_the_form_on_the_wire_is_the_golden_one(name: str):
    golden = json.loads((GOLDEN / f"{name}.json").read_text())

    assert json.loads(a_record(EXAMPLES[name]).value) == golden


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_events_written_by_earlier_versions_can_still_be_read(name: str):
    event = EVENT_TYPES[name].model_validate_json((GOLDEN / f"{name}.json").read_text())

    assert event == EXAMPLES[name]


def test_a_position_of_a_version_that_did_not_say_what_was_bought_can_still_be_read():
    golden = json.loads((GOLDEN / "PositionChanged.json").read_text())
    del golden["bought"]

    event = EVENT_TYPES["PositionChanged"].model_validate_json(json.dumps(golden))

    assert event == EXAMPLES["PositionChanged"].model_copy(update={"bought": None})


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_an_envelope_survives_the_wire(name: str):
    event = EXAMPLES[name]
    sent = Envelope(
        event=event,
        event_id=uuid.UUID(int=1),
        recorded_at=AT,
        causation_id=uuid.UUID(int=2),
        correlation_id=uuid.UUID(int=3),
        traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
        origin_at=AT,
    )
    record = encode(sent)

    assert decode(record.topic, record.value, record.headers) == sent


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_fields_that_a_later_version_adds_are_passed_over(name: str):
    record = a_record(EXAMPLES[name])
    later = json.dumps(json.loads(record.value) | {"added_later": 1}).encode()

    assert decode(record.topic, later, record.headers).event == EXAMPLES[name]


@given(st.decimals(min_value="1e-18", max_value="1e20", allow_nan=False, places=18))
def test_a_decimal_keeps_every_digit_and_shows_no_exponent(cost: Decimal):
    event = EXAMPLES["PositionChanged"].model_copy(update={"cost": cost})

    text = json.loads(event.model_dump_json())["cost"]

    assert "E" not in text
    assert Decimal(text) == cost
    assert PositionChanged.model_validate_json(event.model_dump_json()) == event


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-1", "0", "", "1e400", 61_000.5, None])
def test_a_price_that_is_no_price_is_refused(bad: object):
    record = a_record()
    value = json.dumps(json.loads(record.value) | {"price": bad}).encode()

    with pytest.raises(InvalidMessageError, match="price"):
        decode(record.topic, value, record.headers)


@pytest.mark.parametrize(
    ("header", "content"),
    [
        ("event_type", b"NoSuchEvent"),
        ("event_type", b"OrderFilled"),  # exists, but not on this topic
        ("event_type", None),
        ("event_type", b"\xff"),
        ("schema_version", b"2"),
        ("schema_version", None),
        ("event_id", b"not a uuid"),
        ("event_id", None),
        ("recorded_at", b"yesterday"),
        ("recorded_at", b"2026-01-05T12:00:00"),
        ("causation_id", b"7"),
    ],
)
def test_a_broken_envelope_is_refused(header: str, content: bytes | None):
    record = a_record()

    with pytest.raises(InvalidMessageError):
        decode(record.topic, record.value, with_header(record, header, content))


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"symbol": 3}', None])
def test_a_value_that_is_no_event_is_refused(value: bytes | None):
    record = a_record()

    with pytest.raises(InvalidMessageError, match="malformed event"):
        decode(record.topic, value, record.headers)


def test_a_malformed_trace_context_costs_the_trace_and_not_the_message():
    record = a_record()

    assert decode(record.topic, record.value, with_header(record, "traceparent", b"zz")).traceparent is None


def test_an_event_beyond_the_size_of_a_record_is_not_sent():
    fields = {f"field{index}": "x" * VALUE_BYTES_MAX for index in range(2)}
    event = LogRecorded(
        occurred_at=AT,
        component="risk_manager",
        instance="host:1",
        sequence=1,
        level="INFO",
        message="large",
        fields=fields,
        started_at=AT,
    )

    with pytest.raises(ValueError, match="LogRecorded: expected at most"):
        encode(enclose(event, cause=Cause.none(), ordinal=0, now=AT))


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_the_same_fact_has_the_same_id_whoever_reports_it(name: str):
    event = EXAMPLES[name]
    again = type(event).model_validate_json(event.model_dump_json())

    assert event_id_of(event, cause=uuid.UUID(int=1), ordinal=0) == event_id_of(
        again, cause=uuid.UUID(int=1), ordinal=0
    )


def test_ids_of_different_types_with_the_same_key_differ():
    ids = {event_id_of(event, cause=uuid.UUID(int=1), ordinal=0) for event in every_event()}

    assert len(ids) == len(EVENT_TYPES)


class Unidentified(Event):
    @property
    def key(self) -> str:
        return "x"


def test_an_event_without_a_natural_key_is_identified_by_cause_and_ordinal():
    answers = enclose_all([Unidentified(occurred_at=AT)] * 2, cause=Cause(event_id=uuid.UUID(int=1)), now=AT)
    again = enclose_all([Unidentified(occurred_at=AT)] * 2, cause=Cause(event_id=uuid.UUID(int=1)), now=AT)

    assert [answer.event_id for answer in answers] == [answer.event_id for answer in again]
    assert answers[0].event_id != answers[1].event_id


def test_an_event_without_identity_is_a_bug():
    with pytest.raises(ValueError, match="a natural key or a cause"):
        event_id_of(Unidentified(occurred_at=AT), cause=None, ordinal=0)


def test_answers_carry_their_chain_on():
    signal = enclose(EXAMPLES["SignalGenerated"], cause=Cause(origin_at=AT), ordinal=0, now=AT)
    approval = enclose(EXAMPLES["OrderApproved"], cause=Cause.of(signal), ordinal=0, now=AT)

    assert approval.causation_id == signal.event_id
    assert approval.correlation_id == signal.event_id
    assert approval.traceparent == signal.traceparent
    assert approval.origin_at == AT


def test_each_event_type_stands_on_exactly_one_topic():
    assert sorted(event_type.__name__ for topic in TOPICS for event_type in topic.event_types) == sorted(EVENT_TYPES)
    assert {topic.name for topic in TOPICS} == set(TopicName)


def test_every_topic_is_bounded_in_bytes():
    assert all(topic.retention_bytes > 0 and topic.partitions > 0 for topic in TOPICS)


def test_what_moves_money_is_kept_for_ever_in_account_order():
    for name in ("OrderApproved", "OrderUpdated", "OrderFilled"):
        topic = TOPIC_OF[EVENT_TYPES[name]]
        assert (topic.retention_ms, topic.partitions, topic.halts_account) == (-1, 1, True)


def test_times_are_utc_whatever_zone_they_came_in():
    seoul = "2026-01-05T21:00:00.250000+09:00"
    record = a_record()
    value = json.dumps(json.loads(record.value) | {"occurred_at": seoul}).encode()

    occurred_at = decode(record.topic, value, record.headers).event.occurred_at

    assert occurred_at == AT
    assert occurred_at.tzinfo == UTC


def test_a_time_without_a_zone_is_refused():
    record = a_record()
    value = json.dumps(json.loads(record.value) | {"occurred_at": "2026-01-05T12:00:00"}).encode()

    with pytest.raises(InvalidMessageError, match="occurred_at"):
        decode(record.topic, value, record.headers)


def test_a_candle_whose_close_lies_outside_its_range_is_refused():
    record = a_record(EXAMPLES["CandleClosed"])
    value = json.dumps(json.loads(record.value) | {"close": "70000"}).encode()

    with pytest.raises(InvalidMessageError, match="expected low"):
        decode(record.topic, value, record.headers)


def test_a_candle_that_does_not_last_its_interval_is_refused():
    record = a_record(EXAMPLES["CandleClosed"])
    value = json.dumps(json.loads(record.value) | {"interval_s": 2}).encode()

    with pytest.raises(InvalidMessageError, match="close_at"):
        decode(record.topic, value, record.headers)


def test_events_are_frozen():
    event = EXAMPLES["SignalGenerated"]
    assert isinstance(event, SignalGenerated)

    with pytest.raises(ValueError, match="frozen"):
        event.quality_score = 100  # type: ignore[misc]  # the point of the test


def test_the_published_document_is_the_one_that_the_tables_generate():
    published = json.loads((Path(__file__).parents[3] / "docs" / "asyncapi.json").read_text())

    assert published == asyncapi_document(published["info"]["version"])


def test_epochs_convert_both_ways():
    moment = datetime(2026, 1, 5, 12, 0, 0, 250_000, tzinfo=UTC)
    assert from_epoch_ms(epoch_ms(moment)) == moment
