"""Archives: months of the audit log in files, so that the database need not hold them for ever.

An archive is two files: the records, compressed, chain after chain (`NAME.jsonl.gz`), and what vouches for them
(`NAME.json`): the ends of each chain, the count, the SHA-256 of the other file, signed with the key of the anchors.
A record is its canonical form; its hash is not stored, because it follows from the hash before it.

Invariant: no file stands under its name before it is whole and on the disk.
"""

import gzip
import hashlib
import json
import os
from collections.abc import AsyncIterable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from libs.common.audit.records import AuditRecord, ChainId, LinkedRecord, RecordKind, link, link_hash
from libs.common.errors import TraderError

COMPRESSION: Final = 6


class ArchiveError(TraderError):
    """An archive that cannot be vouched for: missing, altered, or another one's.

    Attributes:
        problem: What is wrong, in a sentence for people.
    """

    def __init__(self, name: str, problem: str, *, expected: str, found: str) -> None:
        self.name = name
        self.problem = problem
        self.expected = expected
        self.found = found
        super().__init__(f"{name}: {problem}: expected {expected}, found {found}")


class Section(NamedTuple):
    """The part of one chain that an archive holds.

    Attributes:
        hash_before: Of the record before the first one, in hexadecimal digits.
        hash: Of the last record, in hexadecimal digits.
        at_byte: Where it begins in the file, as a compressed stream of its own.
    """

    topic: str
    partition: int
    offset_first: int
    offset_last: int
    hash_before: str
    hash: str
    records: int
    at_byte: int

    @property
    def chain(self) -> ChainId:
        """The chain that it is a part of."""
        return ChainId(self.topic, self.partition)


@dataclass(frozen=True, slots=True)
class Archive:
    """What is known of an archive, in the database and in its own signed file alike.

    Attributes:
        name: Also of its files: `audit-2026-09`, after the last month in it.
        sha256: Of the file of records, in hexadecimal digits.
    """

    name: str
    sha256: str
    sections: tuple[Section, ...]

    @property
    def records(self) -> int:
        """How many records it holds."""
        return sum(section.records for section in self.sections)

    def as_json(self) -> dict[str, Any]:
        """Return the documented form: what is signed."""
        return {"name": self.name, "records": self.records, "sha256": self.sha256, "sections": self.sections}

    @classmethod
    def of_json(cls, content: dict[str, Any]) -> "Archive":
        """Return what `as_json` gave, after JSON."""
        return cls(content["name"], content["sha256"], tuple(Section(*section) for section in content["sections"]))


def records_path(directory: Path, name: str) -> Path:
    """Return where an archive's records are."""
    return directory / f"{name}.jsonl.gz"


def signature_path(directory: Path, name: str) -> Path:
    """Return where stands what vouches for them."""
    return directory / f"{name}.json"


async def write_archive(
    directory: Path, name: str, records: AsyncIterable[LinkedRecord], key: Ed25519PrivateKey
) -> Archive:
    """Write records, ordered by chain and offset, and sign for them; files of the same name are replaced.

    Raises:
        ArchiveError: The records are no unbroken chains: nothing is archived that does not verify.
        OSError: The files cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    target = records_path(directory, name)
    unfinished = target.with_name(target.name + ".unfinished")
    sections: list[Section] = []
    with unfinished.open("wb") as file:
        stream: gzip.GzipFile | None = None
        try:
            async for linked in records:
                last = sections[-1] if sections else None
                if stream is None or last is None or last.chain != linked.record.chain:
                    if stream is not None:
                        stream.close()
                    sections.append(_begun(linked, at_byte=file.tell()))
                    stream = gzip.GzipFile(filename="", mode="wb", compresslevel=COMPRESSION, fileobj=file, mtime=0)
                sections[-1] = _extended(name, sections[-1], linked)
                stream.write(linked.record.canonical() + b"\n")
        finally:
            if stream is not None:
                stream.close()
        file.flush()
        os.fsync(file.fileno())
    archive = Archive(name, _sha256(unfinished), tuple(sections))
    os.replace(unfinished, target)
    body = _canonical(archive.as_json())
    unsigned = signature_path(directory, name).with_suffix(".json.unfinished")
    with unsigned.open("wb") as file:
        file.write(_canonical({**json.loads(body), "signature": key.sign(body).hex()}))
        file.flush()
        os.fsync(file.fileno())
    os.replace(unsigned, signature_path(directory, name))
    _force_names(directory)
    return archive


def check_archive(directory: Path, name: str, public_key: Ed25519PublicKey) -> Archive:
    """Return an archive of which every byte is as it was signed for; its records themselves are not read.

    Raises:
        ArchiveError: It is missing, altered, or another one under this name.
    """
    signature, records = signature_path(directory, name), records_path(directory, name)
    try:
        raw = signature.read_bytes()
        content = json.loads(raw)
        text = content.pop("signature")
        public_key.verify(bytes.fromhex(text), _canonical(content))
        archive = Archive.of_json(content)
        as_signed = raw == _canonical({**archive.as_json(), "signature": bytes.fromhex(text).hex()})
    except FileNotFoundError:
        raise ArchiveError(name, "the archive is missing", expected=str(signature), found="no such file") from None
    except (InvalidSignature, KeyError, TypeError, ValueError, AttributeError):
        as_signed = False
    if not as_signed:
        raise ArchiveError(name, "what vouches for it was altered", expected="what was signed", found=str(signature))
    if archive.name != name:
        raise ArchiveError(name, "it is another archive", expected=name, found=archive.name)
    try:
        sha256 = _sha256(records)
    except FileNotFoundError:
        raise ArchiveError(name, "the archive is missing", expected=str(records), found="no such file") from None
    if sha256 != archive.sha256:
        raise ArchiveError(name, "its records were altered", expected=archive.sha256, found=sha256)
    return archive


def read_archive(directory: Path, archive: Archive, topics: Collection[str] | None = None) -> Iterator[LinkedRecord]:
    """Yield the records of a checked archive, chain after chain.

    Args:
        directory: Where it is.
        archive: As `check_archive` returned it.
        topics: The chains wanted; None: all.

    Raises:
        ArchiveError: A chain does not end as it was signed for.
    """
    with records_path(directory, archive.name).open("rb") as file:
        for section in archive.sections:
            if topics is not None and section.topic not in topics:
                continue
            file.seek(section.at_byte)
            before = bytes.fromhex(section.hash_before)
            with gzip.GzipFile(fileobj=file, mode="rb") as stream:
                for line in islice(stream, section.records):
                    linked = link(_record(json.loads(line)), before)
                    before = linked.hash
                    yield linked
            if before.hex() != section.hash:
                problem = f"{section.topic}/{section.partition} does not end as it was signed for"
                raise ArchiveError(archive.name, problem, expected=section.hash, found=before.hex())


def _begun(linked: LinkedRecord, *, at_byte: int) -> Section:
    record = linked.record
    before = linked.previous_hash.hex()
    return Section(record.topic, record.partition, record.offset_first, record.offset_first - 1, before, before, 0, at_byte)


def _extended(name: str, section: Section, linked: LinkedRecord) -> Section:
    record, hash_before = linked.record, bytes.fromhex(section.hash)
    place = f"{record.topic}/{record.partition} at offset {record.offset_first}"
    if record.offset_first != section.offset_last + 1 or linked.previous_hash != hash_before:
        raise ArchiveError(
            name,
            f"{place} does not follow the record before it",
            expected=f"offset {section.offset_last + 1} after {section.hash}",
            found=f"offset {record.offset_first} after {linked.previous_hash.hex()}",
        )
    if linked.hash != link_hash(record, hash_before):
        raise ArchiveError(
            name,
            f"{place} was altered in the database",
            expected=linked.hash.hex(),
            found=link_hash(record, hash_before).hex(),
        )
    return section._replace(offset_last=record.offset_last, hash=linked.hash.hex(), records=section.records + 1)


def _record(fields: list[Any]) -> AuditRecord:
    topic, partition, first, last, kind, event_id, event_type, key, recorded_at, occurred_at, *rest = fields
    correlation_id, causation_id, headers, payload = rest
    return AuditRecord(
        topic=topic,
        partition=partition,
        offset_first=first,
        offset_last=last,
        kind=RecordKind(kind),
        event_id=_uuid(event_id),
        event_type=event_type,
        key=key,
        recorded_at=datetime.fromisoformat(recorded_at),
        occurred_at=None if occurred_at is None else datetime.fromisoformat(occurred_at),
        correlation_id=_uuid(correlation_id),
        causation_id=_uuid(causation_id),
        headers=tuple((header, value) for header, value in headers),
        payload=payload,
    )


def _uuid(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _canonical(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=True, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def _force_names(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
