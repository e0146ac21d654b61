"""Messages of a partition become a dense chain, whatever the batches, the gaps and the rubbish among them."""

import base64
import hashlib
import json
from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from libs.common.audit.findings import Verification
from libs.common.audit.records import ChainId, RecordKind
from libs.common.audit.verification import ChainVerifier
from libs.common.contracts.codec import decode
from libs.common.contracts.topics import TopicName
from libs.common.messaging.records import RawRecord
from services.audit_recorder.domain.chains import ChainState, Extension, extend
from tests.support.events import every_event
from tests.support.raw_records import AT, a_raw_record, record_of

TICKS = ChainId("market.ticks", 1)
FILLS = ChainId("fills", 0)
FILL = next(event for event in every_event() if type(event).__name__ == "OrderFilled")


def a_tick(offset: int, *, after_s: float = 0) -> RawRecord:
    return a_raw_record(
        topic=TopicName.MARKET_TICKS,
        partition=1,
        offset=offset,
        value=f"tick {offset}".encode(),
        written_at=AT + timedelta(seconds=after_s),
    )


def a_fill(offset: int) -> RawRecord:
    return record_of(FILL, offset=offset)


def extend_in_batches(chain: ChainId, *batches: list[RawRecord]) -> tuple[ChainState, list[Extension]]:
    state, extensions = ChainState(), []
    for batch in batches:
        extensions.append(extend(chain, state, batch))
        state = extensions[-1].state
    return state, extensions


def verified(extensions: list[Extension]) -> Verification:
    verifier = ChainVerifier()
    for extension in extensions:
        for linked in extension.linked:
            verifier.check(linked)
    return verifier.finish()


def chained(values: list[bytes]) -> str:
    digest = bytes(32)
    for value in values:
        digest = hashlib.sha256(digest + value).digest()
    return digest.hex()


def test_each_message_is_one_record_with_its_exact_bytes():
    state, [extension] = extend_in_batches(FILLS, [a_fill(0), a_fill(1)])

    first = extension.linked[0].record
    assert first.payload.encode() == a_fill(0).value
    assert dict(first.headers)["event_type"] == "OrderFilled"
    assert first.correlation_id == first.event_id  # it started its own chain of causes
    assert decode(TopicName.FILLS, first.payload.encode(), a_fill(0).headers).event == FILL
    assert (state.offset, state.hash) == (1, extension.linked[1].hash)
    assert len(extension.envelopes) == 2


def test_messages_that_are_recorded_already_are_passed_over():
    _, extensions = extend_in_batches(FILLS, [a_fill(0), a_fill(1)], [a_fill(1), a_fill(2)], [a_fill(0)])

    assert [len(extension.linked) for extension in extensions] == [2, 1, 0]
    assert verified(extensions).verified


def test_a_gap_in_the_offsets_is_a_record_of_its_own():
    state, extensions = extend_in_batches(FILLS, [a_fill(5)], [a_fill(9)])

    kinds = [
        (linked.record.kind, linked.record.offset_first, linked.record.offset_last)
        for extension in extensions
        for linked in extension.linked
    ]
    assert kinds == [
        (RecordKind.GAP, 0, 4),
        (RecordKind.EVENT, 5, 5),
        (RecordKind.GAP, 6, 8),
        (RecordKind.EVENT, 9, 9),
    ]
    assert verified(extensions).messages_missing == 5 + 3
    assert state.offset_next == 10


def test_poison_is_recorded_whole_and_blocks_nothing():
    rubbish = a_raw_record(offset=0, key="a\0b", value=b"\xff\x00", headers=[("event_type", b"\xff"), ("x", b"a\0")])

    _, extensions = extend_in_batches(FILLS, [rubbish, a_fill(1)])

    record = extensions[0].linked[0].record
    assert record.kind is RecordKind.POISON
    assert base64.b64decode(record.payload) == b"\xff\x00"
    assert record.event_type == ""
    assert record.key == "a\ufffdb"
    assert record.headers == (("event_type", "base64:/w=="), ("x", "base64:YQA="))
    assert len(extensions[0].envelopes) == 1
    assert verified(extensions).verified


def test_ticks_are_one_digest_a_minute_written_when_the_next_minute_begins():
    state, [extension] = extend_in_batches(
        TICKS, [a_tick(0), a_tick(1, after_s=59.999), a_tick(2, after_s=60), a_tick(3, after_s=61)]
    )

    [linked] = extension.linked
    assert (linked.record.kind, linked.record.offset_first, linked.record.offset_last) == (RecordKind.DIGEST, 0, 1)
    assert json.loads(linked.record.payload) == {"messages": 2, "sha256": chained([b"tick 0", b"tick 1"])}
    assert linked.record.recorded_at == AT
    assert extension.envelopes == ()
    assert (state.offset, state.offset_next) == (1, 4)


def test_a_clock_that_goes_back_does_not_begin_another_digest():
    state, [extension] = extend_in_batches(TICKS, [a_tick(0, after_s=61), a_tick(1, after_s=59)])

    assert extension.linked == ()
    assert state.digest is not None
    assert (state.digest.offset_first, state.digest.offset_last) == (0, 1)


def test_a_gap_among_ticks_ends_the_digest():
    _, [extension] = extend_in_batches(TICKS, [a_tick(0), a_tick(5), a_tick(6, after_s=60)])

    assert [(linked.record.kind, linked.record.offset_last) for linked in extension.linked] == [
        (RecordKind.DIGEST, 0),
        (RecordKind.GAP, 4),
        (RecordKind.DIGEST, 5),
    ]


@given(
    steps=st.lists(st.floats(0, 40), min_size=1, max_size=30),
    cuts=st.lists(st.integers(0, 30), max_size=5),
    again=st.integers(0, 5),
)
def test_digests_do_not_depend_on_batches_or_restarts(steps: list[float], cuts: list[int], again: int):
    ticks, at_s = [], 0.0
    for offset, step_s in enumerate(steps):
        at_s += step_s
        ticks.append(a_tick(offset, after_s=at_s))
    edges = sorted({0, len(ticks), *(cut for cut in cuts if cut < len(ticks))})
    batches = [ticks[max(0, start - again) : end] for start, end in pairwise(edges)]

    whole, in_one = extend_in_batches(TICKS, ticks)
    pieces, in_many = extend_in_batches(TICKS, *batches)

    assert pieces == whole
    assert [linked for extension in in_many for linked in extension.linked] == list(in_one[0].linked)
    assert verified(in_many).verified
