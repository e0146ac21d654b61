"""Every way to tamper with a chain, and the place that the verifier names."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from libs.common.audit.anchors import Anchors, ChainHead
from libs.common.audit.findings import Verification
from libs.common.audit.records import GENESIS, AuditRecord, ChainId, LinkedRecord, RecordKind, link
from libs.common.audit.verification import ChainVerifier
from tests.support.raw_records import AT

CHAIN = ChainId("fills", 0)
LENGTH = 10


def a_record(offset: int, *, payload: str = "", topic: str = "fills") -> AuditRecord:
    return AuditRecord(
        topic=topic,
        partition=0,
        offset_first=offset,
        offset_last=offset,
        kind=RecordKind.EVENT,
        event_type="OrderFilled",
        recorded_at=AT,
        payload=payload or f"fill {offset}",
    )


def a_chain(records: Iterable[AuditRecord] | None = None, *, after: bytes = GENESIS) -> list[LinkedRecord]:
    chain = []
    for record in records if records is not None else (a_record(offset) for offset in range(LENGTH)):
        chain.append(link(record, after))
        after = chain[-1].hash
    return chain


def head_of(chain: Sequence[LinkedRecord]) -> ChainHead:
    return ChainHead(chain[-1].record.chain, chain[-1].record.offset_last, chain[-1].hash)


def anchors_at(*heads: ChainHead) -> Anchors:
    anchors = Anchors(lines=len(heads))
    for head in heads:
        anchors.add(head)
    return anchors


def verify_rows(
    rows: Iterable[LinkedRecord], *, anchors: Anchors | None = None, heads: Iterable[ChainHead] = ()
) -> Verification:
    verifier = ChainVerifier(anchors or Anchors())
    for row in rows:
        verifier.check(row)
    return verifier.finish(heads)


def broken_at(result: Verification) -> tuple[str, int, int]:
    assert not result.verified
    assert result.first_broken is not None
    return result.first_broken.topic, result.first_broken.partition, result.first_broken.offset


def test_an_untouched_chain_verifies():
    chain = a_chain()

    result = verify_rows(chain, anchors=anchors_at(head_of(chain[:4]), head_of(chain)), heads=[head_of(chain)])

    assert result.verified
    assert (result.events, result.chains, result.anchors) == (LENGTH, 1, 2)
    assert result.as_json()["first_broken"] is None


def test_an_empty_log_verifies():
    assert verify_rows([]).verified


@given(offset=st.integers(0, LENGTH - 1))
def test_an_altered_payload_is_named_at_its_offset(offset: int):
    chain = a_chain()
    chain[offset] = replace(chain[offset], record=a_record(offset, payload="fill of another size"))

    result = verify_rows(chain)

    assert broken_at(result) == ("fills", 0, offset)
    assert result.first_broken is not None
    assert "altered" in result.first_broken.problem


@given(offset=st.integers(0, LENGTH - 2))
def test_a_deleted_record_is_named_at_its_offset(offset: int):
    chain = a_chain()
    del chain[offset]

    assert broken_at(verify_rows(chain)) == ("fills", 0, offset)


@given(first=st.integers(0, LENGTH - 1), second=st.integers(0, LENGTH - 1))
def test_two_swapped_records_are_named_at_the_first_of_them(first: int, second: int):
    chain = a_chain()
    first, second = sorted((first, second))
    if first == second:
        return
    chain[first], chain[second] = (
        replace(chain[second], record=replace(chain[second].record, offset_first=first, offset_last=first)),
        replace(chain[first], record=replace(chain[first].record, offset_first=second, offset_last=second)),
    )

    assert broken_at(verify_rows(chain)) == ("fills", 0, first)


def test_an_inserted_record_is_named():
    chain = a_chain()
    chain.insert(5, chain[4])

    assert broken_at(verify_rows(chain)) == ("fills", 0, 4)


def test_a_forged_link_is_named():
    chain = a_chain()
    chain[5] = link(chain[5].record, bytes(range(32)))

    result = verify_rows(chain)

    assert broken_at(result) == ("fills", 0, 5)
    assert result.first_broken is not None
    assert "not linked" in result.first_broken.problem


@given(kept=st.integers(0, LENGTH - 1))
def test_a_cut_tail_is_named_by_an_anchor(kept: int):
    chain = a_chain()

    result = verify_rows(chain[:kept], anchors=anchors_at(head_of(chain)))

    assert broken_at(result) == ("fills", 0, kept)
    assert result.first_broken is not None
    assert "cut off" in result.first_broken.problem


def test_a_cut_tail_is_named_by_the_recorders_own_head():
    chain = a_chain()

    assert broken_at(verify_rows(chain[:7], heads=[head_of(chain)])) == ("fills", 0, 7)


def test_a_cut_tail_without_anchor_and_head_cannot_be_seen():
    assert verify_rows(a_chain()[:7]).verified


@given(start=st.integers(0, LENGTH - 1), anchored=st.sets(st.integers(0, LENGTH - 1), min_size=1))
def test_a_chain_rewritten_from_the_middle_is_named_by_the_first_anchor_behind_it(start: int, anchored: set[int]):
    chain = a_chain()
    anchors = anchors_at(*(head_of(chain[: offset + 1]) for offset in sorted(anchored)))
    after = chain[start - 1].hash if start else GENESIS
    forged = a_chain((a_record(offset, payload=f"forged {offset}") for offset in range(start, LENGTH)), after=after)

    result = verify_rows([*chain[:start], *forged], anchors=anchors)

    behind = [offset for offset in sorted(anchored) if offset >= start]
    if behind:
        assert broken_at(result) == ("fills", 0, behind[0])
        assert result.first_broken is not None
        trusted = max((offset for offset in anchored if offset < start), default=-1)
        assert f"offsets {trusted + 1} to {behind[0]}" in result.first_broken.problem
    else:
        assert result.verified  # written after the newest anchor: the next one will hold it


def test_a_rewritten_end_is_named_by_the_recorders_own_head():
    chain = a_chain()
    forged = [*chain[:-1], *a_chain([a_record(LENGTH - 1, payload="forged")], after=chain[-2].hash)]

    assert broken_at(verify_rows(forged, heads=[head_of(chain)])) == ("fills", 0, LENGTH - 1)


def test_a_chain_that_was_deleted_whole_is_named():
    chain = a_chain()

    assert broken_at(verify_rows([], anchors=anchors_at(head_of(chain)))) == ("fills", 0, 0)


def test_the_first_broken_chain_is_named_and_the_others_are_still_walked():
    fills, signals = a_chain(), a_chain(a_record(offset, topic="signals") for offset in range(3))
    signals[1] = replace(signals[1], record=a_record(1, topic="signals", payload="forged"))
    fills[8] = replace(fills[8], record=a_record(8, payload="forged"))

    result = verify_rows([*fills, *signals])

    assert [(broken.topic, broken.offset) for broken in result.broken] == [("fills", 8), ("signals", 1)]
    assert broken_at(result) == ("fills", 0, 8)
    assert result.events == LENGTH + 3


def test_a_digest_stands_for_all_its_messages_and_a_gap_is_counted():
    digest = replace(a_record(0), kind=RecordKind.DIGEST, offset_last=99)
    gap = replace(a_record(0), kind=RecordKind.GAP, offset_first=100, offset_last=149)
    result = verify_rows(a_chain([digest, gap, a_record(150)]))

    assert result.verified
    assert (result.events, result.records, result.messages_missing) == (1, 3, 50)


def test_a_bad_file_of_anchors_fails_the_verification():
    anchors = Anchors(problem="line 3: its signature does not fit its content")

    result = verify_rows(a_chain(), anchors=anchors)

    assert broken_at(result) == ("anchors", 0, 0)


def test_memory_of_anchors_is_bounded_and_the_newest_always_stays():
    anchors = anchors_at(*(ChainHead(CHAIN, offset, bytes(32)) for offset in range(20_000)))

    entries = anchors.heads[CHAIN]

    assert len(entries) <= 4_096
    assert entries[-1][0] == 19_999
    assert entries == sorted(entries)
