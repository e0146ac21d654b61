"""Archives: months of the audit log in files, so that the database need not hold them for ever.

An archive is two files: the records, compressed, chain after chain (`NAME.jsonl.gz`), and what vouches for them
(`NAME.json`): the ends of each chain, the count, the SHA-256 of the other file, signed with the key of the anchors.
A record is its canonical form; its hash is not stored, because it follows from the hash before it.

Invariant: what is read from an archive was signed for, byte by byte.
"""

import gzip
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from libs.common.audit.anchors import load_public_key
from libs.common.audit.records import AuditRecord, ChainId, LinkedRecord, RecordKind, link
from libs.common.errors import TraderError


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
    def of_row(cls, content: Mapping[str, Any]) -> "Archive":
        """Return what `as_json` gave, after JSON; or what a row of `reading.archives` tells."""
        return cls(content["name"], content["sha256"], tuple(Section(*section) for section in content["sections"]))


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where archives are, and the file of the key that tells true ones, read when there is one to tell."""

    directory: Path
    key_file: Path

    def read(self, archive: Archive, *, without: Collection[str] = ()) -> Iterator[LinkedRecord]:
        """Yield the records of an archive, chain after chain.

        Args:
            archive: As the database tells of it.
            without: Topics that are passed over.

        Raises:
            ArchiveError: It is missing, altered, or not the one that the database tells of.
            ConfigurationError: There is no key.
        """
        found = check_archive(self.directory, archive.name, load_public_key(self.key_file))
        if found != archive:
            raise ArchiveError(
                archive.name,
                "it is not the archive that the database tells of",
                expected=f"{archive.records} records, SHA-256 {archive.sha256}",
                found=f"{found.records} records, SHA-256 {found.sha256}",
            )
        yield from read_archive(self.directory, found, without=without)


def records_path(directory: Path, name: str) -> Path:
    """Return where an archive's records are."""
    return directory / f"{name}.jsonl.gz"


def signature_path(directory: Path, name: str) -> Path:
    """Return where stands what vouches for them."""
    return directory / f"{name}.json"


def signed_archive(directory: Path, name: str, public_key: Ed25519PublicKey) -> Archive:
    """Return what was signed for under a name; the records are not looked at.

    Raises:
        ArchiveError: It is missing, altered, or another one under this name.
    """
    signature = signature_path(directory, name)
    try:
        raw = signature.read_bytes()
        content = json.loads(raw)
        text = content.pop("signature")
        public_key.verify(bytes.fromhex(text), signed_form(content))
        archive = Archive.of_row(content)
        as_signed = raw == signed_form({**archive.as_json(), "signature": bytes.fromhex(text).hex()})
    except FileNotFoundError:
        raise ArchiveError(name, "the archive is missing", expected=str(signature), found="no such file") from None
    except (InvalidSignature, KeyError, TypeError, ValueError, AttributeError):
        as_signed = False
    if not as_signed:
        raise ArchiveError(name, "what vouches for it was altered", expected="what was signed", found=str(signature))
    if archive.name != name:
        raise ArchiveError(name, "it is another archive", expected=name, found=archive.name)
    return archive


def check_archive(directory: Path, name: str, public_key: Ed25519PublicKey) -> Archive:
    """Return an archive of which every byte is as it was signed for; its records themselves are not read.

    Raises:
        ArchiveError: It is missing, altered, or another one under this name.
    """
    archive, records = signed_archive(directory, name, public_key), records_path(directory, name)
    try:
        sha256 = sha256_of(records)
    except FileNotFoundError:
        raise ArchiveError(name, "the archive is missing", expected=str(records), found="no such file") from None
    if sha256 != archive.sha256:
        raise ArchiveError(name, "its records were altered", expected=archive.sha256, found=sha256)
    return archive


def read_archive(directory: Path, archive: Archive, *, without: Collection[str] = ()) -> Iterator[LinkedRecord]:
    """Yield the records of a checked archive, chain after chain.

    Args:
        directory: Where it is.
        archive: As `check_archive` returned it.
        without: Topics that are passed over.

    Raises:
        ArchiveError: A chain does not end as it was signed for.
    """
    with records_path(directory, archive.name).open("rb") as file:
        for section in archive.sections:
            if section.topic in without:
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


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def signed_form(content: Mapping[str, Any]) -> bytes:
    """Return the one byte sequence that is signed, and that stands in the file."""
    return json.dumps(content, ensure_ascii=True, separators=(",", ":"), sort_keys=True).encode() + b"\n"
