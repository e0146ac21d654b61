"""Verify the chains: every link, no offset missing, nothing cut off behind an anchor.

Rows are streamed in order and forgotten, so memory does not grow with the log.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from libs.common.audit.anchors import Anchors, ChainHead
from libs.common.audit.archives import Archive, ArchiveError, Section, Shelf
from libs.common.audit.findings import BrokenLink, Verification
from libs.common.audit.records import (
    COLUMNS,
    GENESIS,
    READ_IN_ORDER,
    ChainId,
    LinkedRecord,
    RecordKind,
    from_row,
    link_hash,
)
from libs.common.errors import RetryableError

PREFETCH_ROWS: Final = 500
ROWS_TIMEOUT_S: Final = 60.0
"""For the next rows, of a disk that is read here and there; a connection's own deadline is for single rows."""
TRIES_MAX: Final = 3

_SELECT_RECORDS: Final = f"SELECT {', '.join(COLUMNS)} FROM reading.audit ORDER BY topic, partition, offset_last"  # noqa: S608 - constants of this package
_SELECT_ARCHIVES: Final = "SELECT name, sha256, sections FROM reading.archives ORDER BY ends_at"
_SELECT_HEADS: Final = "SELECT topic, partition, offset_last, hash FROM reading.audit_heads"


@dataclass(slots=True)
class _Walk:
    """One chain while it is walked along."""

    chain: ChainId
    anchored: Sequence[tuple[int, bytes]] = ()
    offset: int = -1
    hash: bytes = GENESIS
    anchors_passed: int = 0
    trusted_to: int = -1
    broken: BrokenLink | None = None


@dataclass(slots=True)
class ChainVerifier:
    """Walks along the chains; feed it the records of each chain ordered by offset, then `finish`."""

    anchors: Anchors = field(default_factory=Anchors)
    _archives: int = 0
    _unread: list[BrokenLink] = field(default_factory=list)
    _walks: dict[ChainId, _Walk] = field(default_factory=dict)
    _events: int = 0
    _records: int = 0
    _messages_missing: int = 0

    def check(self, linked: LinkedRecord) -> None:
        """Take the next record; after the first broken link of a chain, its further records are only counted."""
        record = linked.record
        walk = self._walk(record.chain)
        self._records += 1
        self._events += record.kind in (RecordKind.EVENT, RecordKind.POISON)
        if record.kind is RecordKind.GAP:
            self._messages_missing += record.offset_last - record.offset_first + 1
        if walk.broken is None:
            walk.broken = _link_problem(walk, linked) or _anchor_problem(walk, linked)
        walk.offset = record.offset_last
        walk.hash = linked.hash

    def read_archive(self, archive: Archive, shelf: Shelf) -> None:
        """Take an archive's records. One that is not as it was signed for is named, and its ends are believed."""
        self._archives += 1
        try:
            for linked in shelf.read(archive):
                self.check(linked)
        except ArchiveError as error:
            self._unread.append(
                BrokenLink("archives", 0, 0, f"{error.name}: {error.problem}", error.expected, error.found)
            )
            for section in archive.sections:
                self._pass_over(section)

    def _pass_over(self, section: Section) -> None:
        walk = self._walk(section.chain)
        walk.offset, walk.hash = section.offset_last, bytes.fromhex(section.hash)
        while walk.anchors_passed < len(walk.anchored) and walk.anchored[walk.anchors_passed][0] <= walk.offset:
            walk.anchors_passed += 1

    def finish(self, heads: Iterable[ChainHead] = ()) -> Verification:
        """Compare the ends with the recorder's own heads and with the newest anchors, and return the result."""
        for head in (*heads, *self._newest_anchors()):
            walk = self._walk(head.chain)
            if walk.broken is None:
                walk.broken = _end_problem(walk, head)
        broken = self._unread + [walk.broken for _, walk in sorted(self._walks.items()) if walk.broken is not None]
        if self.anchors.problem:
            broken.append(
                BrokenLink("anchors", 0, 0, self.anchors.problem, "an unbroken file of anchors", "a bad line")
            )
        return Verification(
            events=self._events,
            records=self._records,
            chains=len(self._walks),
            anchors=self.anchors.lines,
            messages_missing=self._messages_missing,
            broken=tuple(broken),
            archives=self._archives,
        )

    def _walk(self, chain: ChainId) -> _Walk:
        walk = self._walks.get(chain)
        if walk is None:
            walk = self._walks[chain] = _Walk(chain, self.anchors.heads.get(chain, ()))
        return walk

    def _newest_anchors(self) -> list[ChainHead]:
        return [ChainHead(chain, *entries[-1]) for chain, entries in self.anchors.heads.items()]


async def verify(connection: Any, *, shelf: Shelf, anchors: Anchors | None = None) -> Verification:
    """Verify the log: first what is archived, then the rest in one consistent snapshot.

    Args:
        connection: An asyncpg connection of a role that may read the views of the audit log, with jsonb decoded; no
            transaction is open on it.
        shelf: Where the archives are.
        anchors: Read before this call, so that none of them is newer than the snapshot.

    Raises:
        RetryableError: Months were archived each time that it was tried.
    """
    for _ in range(TRIES_MAX):
        verifier = ChainVerifier(anchors or Anchors())
        archives = [Archive.of_row(row) for row in await connection.fetch(_SELECT_ARCHIVES)]
        for archive in archives:
            await asyncio.to_thread(verifier.read_archive, archive, shelf)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            # Before the snapshot is taken: a month that is dropped after it would be in neither place.
            await connection.execute("LOCK TABLE reading.audit IN ACCESS SHARE MODE")
            if len(await connection.fetch(_SELECT_ARCHIVES)) != len(archives):
                continue
            await connection.execute(f"{READ_IN_ORDER}; SET LOCAL statement_timeout = {int(ROWS_TIMEOUT_S * 1_000)}")
            heads = [
                ChainHead(ChainId(row["topic"], row["partition"]), row["offset_last"], bytes(row["hash"]))
                for row in await connection.fetch(_SELECT_HEADS)
            ]
            rows: AsyncIterator[Mapping[str, Any]] = connection.cursor(
                _SELECT_RECORDS, prefetch=PREFETCH_ROWS, timeout=ROWS_TIMEOUT_S
            )
            async for row in rows:
                verifier.check(from_row(row))
        return verifier.finish(heads)
    raise RetryableError(f"expected the months to stay where they are, found them being archived {TRIES_MAX} times")


def _link_problem(walk: _Walk, linked: LinkedRecord) -> BrokenLink | None:
    record = linked.record
    expected_offset = walk.offset + 1
    if record.offset_first != expected_offset or record.offset_last < record.offset_first:
        missing = record.offset_first > expected_offset
        return _broken(
            walk,
            expected_offset if missing else record.offset_last,
            "records are missing" if missing else "a record stands where another belongs",
            expected=f"a record that begins at offset {expected_offset}",
            found=f"one for offsets {record.offset_first} to {record.offset_last}",
        )
    if linked.previous_hash != walk.hash:
        return _broken(
            walk,
            record.offset_last,
            "the record is not linked to the one before it",
            expected=walk.hash.hex(),
            found=linked.previous_hash.hex(),
        )
    recomputed = link_hash(record, linked.previous_hash)
    if linked.hash != recomputed:
        return _broken(
            walk,
            record.offset_last,
            "the record was altered: it does not fit its hash",
            expected=linked.hash.hex(),
            found=recomputed.hex(),
        )
    return None


def _anchor_problem(walk: _Walk, linked: LinkedRecord) -> BrokenLink | None:
    """Compare a record with the anchors at its offset; the chain was rewritten somewhere after the last good one."""
    problem = None
    while walk.anchors_passed < len(walk.anchored) and problem is None:
        offset, digest = walk.anchored[walk.anchors_passed]
        if offset > linked.record.offset_last:
            break
        walk.anchors_passed += 1
        if offset == linked.record.offset_last and digest == linked.hash:
            walk.trusted_to = offset
            continue
        problem = _broken(
            walk,
            offset,
            f"the chain was rewritten after its anchor: somewhere in offsets {walk.trusted_to + 1} to {offset}",
            expected=digest.hex(),
            found=linked.hash.hex(),
        )
    return problem


def _end_problem(walk: _Walk, head: ChainHead) -> BrokenLink | None:
    if walk.offset < head.offset:
        return _broken(
            walk,
            walk.offset + 1,
            "the end of the chain was cut off",
            expected=f"records up to offset {head.offset}",
            found=f"the last one at offset {walk.offset}" if walk.offset >= 0 else "no record",
        )
    if walk.offset == head.offset and walk.hash != head.hash:
        return _broken(
            walk,
            head.offset,
            "the chain does not end as its recorder left it",
            expected=head.hash.hex(),
            found=walk.hash.hex(),
        )
    return None


def _broken(walk: _Walk, offset: int, problem: str, *, expected: str, found: str) -> BrokenLink:
    return BrokenLink(walk.chain.topic, walk.chain.partition, offset, problem, expected, found)
