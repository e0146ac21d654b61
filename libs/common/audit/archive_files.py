"""Writing an archive.

Invariant: no file stands under its name before it is whole and on the disk, and no signed archive is replaced by one
that lacks a record of it: after a restore the database may know less of a month than its archive does. Whatever
happens, some of the disk is left, and what was not finished does not stay on it.
"""

import asyncio
import errno
import gzip
import json
import os
import shutil
from collections.abc import AsyncIterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.audit.archives import (
    Archive,
    ArchiveError,
    Section,
    records_path,
    sha256_of,
    signature_path,
    signed_archive,
    signed_form,
)
from libs.common.audit.records import ChainId, LinkedRecord, link_hash

COMPRESSION: Final = 6
RESERVE_BYTES: Final = 1024**3
"""What an archive leaves of the disk: the database is probably on the same one."""
RECORDS_BETWEEN_LOOKS: Final = 10_000
"""At the free disk; they are a few megabytes."""


async def write_archive(
    directory: Path, name: str, records: AsyncIterable[LinkedRecord], key: Ed25519PrivateKey
) -> Archive:
    """Write records, ordered by chain and offset, and sign for them; files of the same name are replaced.

    Raises:
        ArchiveError: The records are no unbroken chains: nothing is archived that does not verify. Or an archive of
            this name has others, which would be lost.
        OSError: The files cannot be written, or less than `RESERVE_BYTES` would be left.
    """
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    paths = records_path(directory, name), signature_path(directory, name)
    with _unfinished(*paths) as (records_file, signature_file):
        archive = await _write_records(records_file, directory, name, records, key)
        records_file.replace(paths[0])
        body = signed_form(archive.as_json())
        with signature_file.open("wb") as file:
            file.write(signed_form({**json.loads(body), "signature": key.sign(body).hex()}))
            file.flush()
            os.fsync(file.fileno())
        signature_file.replace(paths[1])
    _force_names(directory)
    return archive


@contextmanager
def _unfinished(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """Lend the names that files have while they are written; none is left there, be it of a run that was killed."""
    unfinished = tuple(path.with_name(path.name + ".unfinished") for path in paths)
    for path in unfinished:
        path.unlink(missing_ok=True)
    try:
        yield unfinished
    finally:
        for path in unfinished:
            path.unlink(missing_ok=True)


async def _write_records(
    path: Path, directory: Path, name: str, records: AsyncIterable[LinkedRecord], key: Ed25519PrivateKey
) -> Archive:
    sections: list[Section] = []
    count = 0
    missing = await asyncio.to_thread(_standing, directory, name, key)
    _require_room(directory)
    with path.open("wb") as file:
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
                _strike(missing, sections[-1])
                stream.write(linked.record.canonical() + b"\n")
                count += 1
                if count % RECORDS_BETWEEN_LOOKS == 0:
                    _require_room(directory)
        finally:
            if stream is not None:
                stream.close()
        file.flush()
        os.fsync(file.fileno())
    archive = Archive(name, sha256_of(path), tuple(sections))
    if missing:
        raise _refusal(directory, archive, next(iter(missing.values())))
    return archive


def _require_room(directory: Path) -> None:
    if shutil.disk_usage(directory).free < RESERVE_BYTES:
        raise OSError(errno.ENOSPC, f"less than {RESERVE_BYTES // 1024**2} MiB of the disk left", str(directory))


def _standing(directory: Path, name: str, key: Ed25519PrivateKey) -> dict[ChainId, Section]:
    """Return what an archive of this name holds already: it may be the only place that does."""
    if not signature_path(directory, name).exists():
        return {}
    return {section.chain: section for section in signed_archive(directory, name, key.public_key()).sections}


def _strike(missing: dict[ChainId, Section], section: Section) -> None:
    """Strike a chain when what is written has come to where it ended, with the same hash: all before is the same."""
    standing = missing.get(section.chain)
    if (
        standing
        and section.offset_first <= standing.offset_first
        and (section.offset_last, section.hash) == (standing.offset_last, standing.hash)
    ):
        del missing[section.chain]


def _refusal(directory: Path, archive: Archive, lacking: Section) -> ArchiveError:
    found = next((section for section in archive.sections if section.chain == lacking.chain), None)
    return ArchiveError(
        archive.name,
        f"{records_path(directory, archive.name)} has records that the database has not (was it restored?); "
        "keep its two files elsewhere, then archive again",
        expected=f"{lacking.topic}/{lacking.partition} to offset {lacking.offset_last} with {lacking.hash}",
        found=f"offset {found.offset_last} with {found.hash}" if found else "nothing of it",
    )


def _begun(linked: LinkedRecord, *, at_byte: int) -> Section:
    record = linked.record
    before = linked.previous_hash.hex()
    return Section(
        record.topic, record.partition, record.offset_first, record.offset_first - 1, before, before, 0, at_byte
    )


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


def _force_names(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
