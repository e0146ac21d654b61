"""Whatever is done to archives is named: a byte, a file, two files for each other."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from libs.common.audit import archive_files
from libs.common.audit.anchors import Anchors, ChainHead
from libs.common.audit.archive_files import write_archive
from libs.common.audit.archives import (
    Archive,
    ArchiveError,
    Shelf,
    check_archive,
    read_archive,
    records_path,
    signature_path,
)
from libs.common.audit.findings import Verification
from libs.common.audit.records import GENESIS, ChainId, LinkedRecord, link
from libs.common.audit.verification import ChainVerifier
from tests.support.archives import KEY, a_shelf, records_after, streamed

MONTHS = ("audit-2026-08", "audit-2026-09", "audit-2026-10")
CHAINS = (ChainId("fills", 0), ChainId("signals", 3))
COUNT = 5


def written(directory: Path, name: str, records: list[LinkedRecord], key: Ed25519PrivateKey = KEY) -> Archive:
    return asyncio.run(write_archive(directory, name, streamed(records), key))


def months_of(chain: ChainId) -> list[list[LinkedRecord]]:
    """Return a chain's records, month by month."""
    whole = records_after(chain, offset=0, before=GENESIS, count=COUNT * len(MONTHS))
    return [whole[number : number + COUNT] for number in range(0, len(whole), COUNT)]


@pytest.fixture(scope="module")
def shelf() -> Iterator[Shelf]:
    root = Path(tempfile.mkdtemp(prefix="archives"))
    for name, *records in zip(MONTHS, *(months_of(chain) for chain in CHAINS), strict=True):
        written(root / "archives", name, [linked for chain in records for linked in chain])
    yield a_shelf(root / "archives")
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def archives(shelf: Shelf) -> list[Archive]:
    return [check_archive(shelf.directory, name, KEY.public_key()) for name in MONTHS]


def verified(shelf: Shelf, archives: list[Archive], anchors: Anchors | None = None) -> Verification:
    verifier = ChainVerifier(anchors or Anchors())
    for archive in archives:
        verifier.read_archive(archive, shelf)
    return verifier.finish(
        [
            ChainHead(section.chain, section.offset_last, bytes.fromhex(section.hash))
            for section in archives[-1].sections
        ]
    )


def named(result: Verification) -> list[str]:
    assert {broken.topic for broken in result.broken} <= {"archives"}
    return [broken.problem.partition(":")[0] for broken in result.broken]


def after(shelf: Shelf, archives: list[Archive], path: Path, change: Callable[[bytes], bytes]) -> Verification:
    """Verify after a change of one file, and take the change back."""
    content = path.read_bytes()
    path.write_bytes(change(content))
    try:
        return verified(shelf, archives)
    finally:
        path.write_bytes(content)


every_file = st.sampled_from([path(Path(), name).name for name in MONTHS for path in (records_path, signature_path)])


def test_what_was_archived_is_read_back_and_verifies(shelf, archives):
    result = verified(shelf, archives)

    assert result.verified
    assert (result.archives, result.chains, result.events) == (3, 2, 2 * 3 * COUNT)
    assert [archive.records for archive in archives] == [2 * COUNT] * 3
    assert list(read_archive(shelf.directory, archives[1])) == [
        linked for chain in CHAINS for linked in months_of(chain)[1]
    ]


def test_chains_that_are_not_wanted_are_not_read(shelf, archives):
    assert list(shelf.read(archives[2], without=("fills",))) == months_of(CHAINS[1])[2]


def test_an_archive_is_the_same_file_whenever_it_is_written(shelf, archives, tmp_path):
    again = written(tmp_path, MONTHS[0], list(shelf.read(archives[0])))

    assert again == archives[0]
    assert not list(tmp_path.glob("*.unfinished"))


@given(file=every_file, data=st.data())
def test_any_byte_that_is_changed_is_named(shelf, archives, file, data):
    place = data.draw(st.integers(0, (shelf.directory / file).stat().st_size - 1))
    flip = data.draw(st.integers(1, 255))

    result = after(
        shelf,
        archives,
        shelf.directory / file,
        lambda content: content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :],
    )

    assert named(result) == [file.partition(".")[0]]


@given(file=every_file, data=st.data())
def test_a_file_that_is_cut_off_or_grows_is_named(shelf, archives, file, data):
    size = (shelf.directory / file).stat().st_size
    kept = data.draw(st.integers(0, size - 1))

    cut = after(shelf, archives, shelf.directory / file, lambda content: content[:kept])
    grown = after(shelf, archives, shelf.directory / file, lambda content: content + content[kept:])

    assert named(cut) == named(grown) == [file.partition(".")[0]]


@given(removed=st.sets(every_file, min_size=1))
def test_every_archive_of_which_a_file_is_removed_is_named_and_the_others_still_verify(shelf, archives, removed):
    content = {name: (shelf.directory / name).read_bytes() for name in removed}
    for name in removed:
        (shelf.directory / name).unlink()
    try:
        result = verified(shelf, archives)
    finally:
        for name, whole in content.items():
            (shelf.directory / name).write_bytes(whole)

    assert named(result) == sorted({name.partition(".")[0] for name in removed})
    assert all("is missing" in broken.problem for broken in result.broken)
    assert result.events == (len(MONTHS) - len(named(result))) * 2 * COUNT


@given(first=st.sampled_from(MONTHS), second=st.sampled_from(MONTHS), ending=st.sampled_from(["json", "jsonl.gz", "*"]))
def test_two_archives_that_are_swapped_are_both_named(shelf, archives, first, second, ending):
    if first == second:
        return
    endings = ("json", "jsonl.gz") if ending == "*" else (ending,)
    pairs = [(shelf.directory / f"{first}.{each}", shelf.directory / f"{second}.{each}") for each in endings]

    def swap() -> None:
        for one, other in pairs:
            content = one.read_bytes()
            one.write_bytes(other.read_bytes())
            other.write_bytes(content)

    swap()
    try:
        result = verified(shelf, archives)
    finally:
        swap()

    assert named(result) == sorted({first, second})


def test_an_archive_of_another_key_is_named(shelf, archives, tmp_path):
    forged = written(tmp_path / "archives", MONTHS[0], list(shelf.read(archives[0])), Ed25519PrivateKey.generate())

    with pytest.raises(ArchiveError, match="what vouches for it was altered"):
        list(a_shelf(tmp_path / "archives").read(forged))


def test_an_archive_that_the_database_does_not_tell_of_is_named(shelf, archives):
    result = verified(shelf, [replace(archives[0], sha256="00"), *archives[1:]])

    assert named(result) == [MONTHS[0]]
    assert "not the archive that the database tells of" in result.broken[0].problem


def test_a_chain_that_does_not_end_as_it_was_signed_for_is_named(shelf, archives):
    wrong = replace(archives[0], sections=tuple(each._replace(hash=each.hash_before) for each in archives[0].sections))

    with pytest.raises(ArchiveError, match="fills/0 does not end as it was signed for"):
        list(read_archive(shelf.directory, wrong))


def test_anchors_are_compared_with_what_is_archived_and_passed_over_with_what_is_missing(shelf, archives):
    anchors = Anchors(lines=2)
    anchors.add(ChainHead(CHAINS[0], 2, bytes(32)))  # nobody could have signed for this
    anchors.add(ChainHead(CHAINS[0], 2 * COUNT, months_of(CHAINS[0])[2][0].hash))

    rewritten = verified(shelf, archives, anchors)
    path = records_path(shelf.directory, MONTHS[0])
    content = path.read_bytes()
    path.unlink()
    missing = verified(shelf, archives, anchors)
    path.write_bytes(content)

    assert rewritten.first_broken is not None
    assert (rewritten.first_broken.topic, rewritten.first_broken.offset) == ("fills", 2)
    assert named(missing) == [MONTHS[0]]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda records: [*records[:2], *records[3:]], "does not follow the record before it"),
        (lambda records: [records[0], replace(records[1], hash=bytes(32))], "was altered in the database"),
        (
            lambda records: [records[0], replace(records[1], record=replace(records[1].record, payload="forged"))],
            "was altered in the database",
        ),
    ],
)
def test_nothing_is_archived_that_does_not_verify(tmp_path, change, problem):
    with pytest.raises(ArchiveError, match=problem):
        written(tmp_path, MONTHS[0], change(months_of(CHAINS[0])[0]))

    assert not signature_path(tmp_path, MONTHS[0]).exists()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda records: records[:-1], "found offset 3 with"),
        (lambda records: [*records[:-1], renewed(records[-1])], "found offset 4 with"),
        (lambda records: records[1:], "found offset 4 with"),
        (lambda _: [], "found nothing of it"),
    ],
    ids=["shorter", "other", "begins later", "empty"],
)
def test_an_archive_is_not_replaced_by_one_that_lacks_a_record_of_it(tmp_path, change, found):
    records = months_of(CHAINS[0])[0]
    archive = written(tmp_path, MONTHS[0], records)

    with pytest.raises(ArchiveError, match=f"keep its two files elsewhere.*{found}"):
        written(tmp_path, MONTHS[0], change(records))

    assert list(read_archive(tmp_path, check_archive(tmp_path, MONTHS[0], KEY.public_key()))) == records
    assert check_archive(tmp_path, MONTHS[0], KEY.public_key()) == archive
    assert not list(tmp_path.glob("*.unfinished"))


def renewed(linked: LinkedRecord) -> LinkedRecord:
    """Return what was recorded at this offset after a restore."""
    return link(replace(linked.record, payload="renewed"), linked.previous_hash)


def test_an_archive_is_replaced_by_one_that_goes_on_after_it(tmp_path):
    month, next_month, _ = months_of(CHAINS[0])
    written(tmp_path, MONTHS[0], month)

    longer = written(tmp_path, MONTHS[0], [*month, *next_month, *months_of(CHAINS[1])[0]])

    assert check_archive(tmp_path, MONTHS[0], KEY.public_key()) == longer


def test_what_nobody_vouches_for_any_more_is_not_replaced(tmp_path):
    month = months_of(CHAINS[0])[0]
    written(tmp_path, MONTHS[0], month)
    signature_path(tmp_path, MONTHS[0]).write_bytes(b"{}")

    with pytest.raises(ArchiveError, match="what vouches for it was altered"):
        written(tmp_path, MONTHS[0], month)


@pytest.mark.parametrize("room", [[0], [2**40, 0], [2**40, 2**40]], ids=["at first", "meanwhile", "enough"])
def test_an_archive_leaves_room_and_nothing_unfinished_on_the_disk(tmp_path, monkeypatch, room):
    looks = iter(room)
    monkeypatch.setattr(archive_files, "RECORDS_BETWEEN_LOOKS", COUNT)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=next(looks)))
    killed = [tmp_path / f"{MONTHS[0]}.{ending}.unfinished" for ending in ("jsonl.gz", "json")]
    for path in killed:
        path.touch()

    with nullcontext() if all(room) else pytest.raises(OSError, match="less than 1024 MiB of the disk left"):
        written(tmp_path, MONTHS[0], months_of(CHAINS[0])[0])

    assert next(looks, None) is None
    assert sorted(tmp_path.iterdir()) == ([] if not all(room) else sorted(path.with_suffix("") for path in killed))


def test_a_month_without_records_is_an_archive_too(tmp_path):
    archive = written(tmp_path / "archives", MONTHS[0], [])

    assert list(a_shelf(tmp_path / "archives").read(archive)) == []


def test_what_vouches_for_an_archive_can_be_read_by_anybody(shelf):
    content = json.loads(signature_path(shelf.directory, MONTHS[0]).read_text(encoding="ascii"))

    assert content["records"] == 2 * COUNT
    assert [section[:4] for section in content["sections"]] == [
        ["fills", 0, 0, COUNT - 1],
        ["signals", 3, 0, COUNT - 1],
    ]
