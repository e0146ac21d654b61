"""Archives of an audit log that a test makes."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.audit.anchors import public_pem
from libs.common.audit.archives import Shelf
from libs.common.audit.records import AuditRecord, ChainId, LinkedRecord, RecordKind, link
from tests.support.raw_records import AT

KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(32))
NOTHING_ARCHIVED: Final = Shelf(Path("/nowhere"), Path("/nowhere/key.pub"))


def a_shelf(directory: Path) -> Shelf:
    """Return a directory for archives that `KEY` signs, with its public half beside it."""
    key_file = directory.with_suffix(".pub")
    key_file.write_bytes(public_pem(KEY))
    return Shelf(directory, key_file)


def records_after(chain: ChainId, *, offset: int, before: bytes, count: int) -> list[LinkedRecord]:
    """Return the next records of a chain."""
    linked = []
    for number in range(offset, offset + count):
        record = AuditRecord(
            topic=chain.topic,
            partition=chain.partition,
            offset_first=number,
            offset_last=number,
            kind=RecordKind.EVENT,
            event_type="OrderFilled",
            recorded_at=AT,
            occurred_at=AT,
            headers=(("event_id", "e\u00e9\n"),),
            payload=f'{{"number":{number}}}',
        )
        linked.append(link(record, before))
        before = linked[-1].hash
    return linked


async def streamed(records: Iterable[LinkedRecord]) -> AsyncIterator[LinkedRecord]:
    """Yield records as a cursor does."""
    for record in records:
        yield record
