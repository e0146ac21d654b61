import hashlib
import json
from dataclasses import replace
from uuid import UUID

import pytest

from libs.common.audit.records import GENESIS, AuditRecord, RecordKind, link, link_hash
from tests.support.raw_records import AT

RECORD = AuditRecord(
    topic="fills",
    partition=0,
    offset_first=7,
    offset_last=7,
    kind=RecordKind.EVENT,
    event_id=UUID(int=1),
    event_type="OrderFilled",
    key="main",
    recorded_at=AT,
    occurred_at=AT,
    correlation_id=UUID(int=2),
    causation_id=UUID(int=3),
    headers=(("event_id", "x"),),
    payload='{"price":"1.0"}',
)


def test_a_link_is_the_hash_of_the_previous_link_and_the_canonical_form():
    linked = link(RECORD, GENESIS)

    assert linked.hash == hashlib.sha256(bytes(32) + RECORD.canonical()).digest()
    assert link(RECORD, linked.hash).previous_hash == linked.hash


def test_the_canonical_form_is_documented_json_that_others_can_compute():
    zeros = "00000000-0000-0000-0000-00000000000"

    assert json.loads(RECORD.canonical()) == [
        *("fills", 0, 7, 7, "EVENT", f"{zeros}1", "OrderFilled", "main"),
        *("2026-01-05T12:00:00.000000+00:00", "2026-01-05T12:00:00.000000+00:00"),
        *(f"{zeros}2", f"{zeros}3", [["event_id", "x"]], '{"price":"1.0"}'),
    ]


@pytest.mark.parametrize(
    "altered",
    [
        {"topic": "signals"},
        {"partition": 1},
        {"offset_first": 6},
        {"offset_last": 8},
        {"kind": RecordKind.POISON},
        {"event_id": None},
        {"event_type": "OrderUpdated"},
        {"key": "other"},
        {"recorded_at": AT.replace(microsecond=1)},
        {"occurred_at": None},
        {"correlation_id": None},
        {"causation_id": None},
        {"headers": ()},
        {"payload": '{"price":"1.1"}'},
    ],
)
def test_no_column_can_be_altered_without_changing_the_hash(altered):
    assert link_hash(replace(RECORD, **altered), GENESIS) != link_hash(RECORD, GENESIS)
