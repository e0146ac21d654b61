"""The two proofs that a user can ask for at any time: the audit chain, and the ledger against the exchange."""

import asyncio
from pathlib import Path
from typing import Any, Final

from libs.common.audit.anchors import Anchors, load_public_key, public_key_path, read_anchors
from libs.common.audit.archives import Shelf
from libs.common.audit.verification import verify
from libs.common.contracts.topics import TOPICS
from libs.common.messaging.kafka import Kafka
from libs.common.storage.postgres import Database
from libs.embedded.directory import DataDirectory
from libs.invariants import JournalReader, check_invariants, load_books

AUDIT_KEY: Final = "audit-anchor-key"
ANCHORS: Final = Path("anchors") / "audit.jsonl"
JOURNAL: Final = Path("paper_exchange") / "journal"


async def check_audit(database: Database, directory: DataDirectory, archives: Path | None = None) -> dict[str, Any]:
    """Verify every link of the audit log, archived or not, and its signed anchors; return the documented object."""
    anchors = await asyncio.to_thread(_anchors, directory)
    async with database.connection() as connection:
        return (await verify(connection, shelf=shelf_of(directory, archives), anchors=anchors)).as_json()


async def check_stack(
    database: Database, directory: DataDirectory, *, symbols: tuple[str, ...], kafka: Kafka | None = None
) -> dict[str, Any]:
    """Compare the ledger with the exchange's own journal; return the documented object.

    Args:
        database: The reader's connections.
        directory: The stack's data directory, which holds the exchange's journal.
        symbols: The configured symbols.
        kafka: Where the recorded offsets are compared with the topics' ends; None: they are not.
    """
    report = await check_invariants(
        JournalReader(directory.root / JOURNAL),
        lambda: load_books(database),
        symbols=symbols,
        ends=(lambda: _recorded_ends(kafka)) if kafka is not None else None,
    )
    return report.as_json()


def shelf_of(directory: DataDirectory, archives: Path | None = None) -> Shelf:
    """Return where the archives of the audit log are: named, or in the data directory."""
    return Shelf(archives or directory.root / "archives", public_key_path(directory.secrets / AUDIT_KEY))


def _anchors(directory: DataDirectory) -> Anchors:
    path = directory.root / ANCHORS
    public_key = public_key_path(directory.secrets / AUDIT_KEY)
    return read_anchors(path, load_public_key(public_key)) if path.exists() else Anchors()


async def _recorded_ends(kafka: Kafka) -> dict[tuple[str, int], int]:
    """Return the ends of the topics that the audit log records message by message."""
    consumer = await kafka.consumer()
    try:
        consumer.assign(kafka.partitions([topic.name for topic in TOPICS if not topic.market_data]))
        ends = await kafka.end_offsets(consumer)
    finally:
        await kafka.stop(consumer)
    return {(kafka.topic_name(place.topic).value, place.partition): end for place, end in ends.items()}
