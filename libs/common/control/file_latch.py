"""The halt latch that needs nothing but a directory: works with Kafka, Redis and Postgres down.

Every file whose name begins with `HALT` is a halt. Each halt has a file of its own, `HALT.<id>`, so that writers and
the risk manager, which removes settled ones, can never overwrite each other's. `touch HALT` works too.
"""

import asyncio
import os
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from libs.common.contracts.fields import TIME_MAX
from libs.common.control.halts import HaltRecord, halt_from

_NAME: Final = "HALT"
_FILE_BYTES_MAX: Final = 65_536


class FileHaltLatch:
    """Halts as files of a directory that the CLI, the risk manager, the executor and the watchdog share."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def add(self, record: HaltRecord) -> None:
        """Write the halt's file so that it survives a crash of the machine.

        Raises:
            OSError: Not even an empty file could be made.
        """
        await asyncio.to_thread(self.add_now, record)

    def add_now(self, record: HaltRecord) -> None:
        """Write the halt's file without an event loop; see `add`."""
        path = self._directory / f"{_NAME}.{record.halt_id}"
        if path.exists():
            return
        draft = self._directory / f".{record.halt_id}.{os.getpid()}.draft"
        try:
            with draft.open("wb") as file:
                file.write(record.to_bytes())
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError:
            path.touch()  # a full disk still has room for a name, and a name is a halt
        _sync_directory(self._directory)

    async def read(self) -> Sequence[HaltRecord]:
        """Return the halts of the directory.

        Raises:
            OSError: The directory cannot be read, which its reader must take for a halt.
        """
        return await asyncio.to_thread(self._read)

    async def remove(self, halt_ids: Collection[str]) -> None:
        """Delete the files of settled halts.

        Raises:
            OSError: A file cannot be deleted.
        """
        await asyncio.to_thread(self._remove, frozenset(halt_ids))

    def _read(self) -> list[HaltRecord]:
        with os.scandir(self._directory) as entries:
            paths = sorted(Path(entry.path) for entry in entries if entry.name.startswith(_NAME))
        found = (_record_of(path) for path in paths)
        return [record for record in found if record is not None]

    def _remove(self, halt_ids: frozenset[str]) -> None:
        for record_path in self._directory.glob(f"{_NAME}*"):
            record = _record_of(record_path)
            if record is not None and record.halt_id in halt_ids:
                record_path.unlink(missing_ok=True)
        _sync_directory(self._directory)


def _record_of(path: Path) -> HaltRecord | None:
    """Return the file's halt; None if it has gone since it was listed."""
    try:
        status = path.stat()
        with path.open("rb") as file:
            content = file.read(_FILE_BYTES_MAX)
    except FileNotFoundError:
        return None
    # A file that a person made has no id of its own; its identity on disk tells a later one from a settled one.
    made_by_hand = HaltRecord(
        halt_id=f"file-{status.st_ino}-{status.st_mtime_ns}",
        reason=content[:500].decode(errors="replace").strip() or f"a file named {path.name}",
        issuer="file",
        halted_at=datetime.fromtimestamp(max(0.0, min(status.st_mtime, TIME_MAX.timestamp() - 1.0)), UTC),
    )
    record = halt_from(content, fallback=made_by_hand)
    return record if path.name == f"{_NAME}.{record.halt_id}" else made_by_hand


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
