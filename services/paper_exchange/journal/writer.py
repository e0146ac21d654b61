"""Appending to the journal.

Invariant: `append` returns only after the line is in the kernel's hands.
"""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from services.paper_exchange.journal.state import State, read_journal

JOURNAL_BYTES_MAX = 32 * 1024 * 1024
JOURNAL_FILES_MAX = 16
_PLACE_WIDTH = 20

Change = dict[str, Any]
Snapshot = Callable[[], Sequence[Change]]


class Journal:
    """The exchange's append-only record.

    Args:
        directory: Where its files lie; created if missing.
        bytes_max: The size after which a new file is begun.
    """

    def __init__(self, directory: Path, *, bytes_max: int = JOURNAL_BYTES_MAX) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._bytes_max = bytes_max
        self._state: State | None = None
        self._sequence = 0
        self._file: int | None = None
        self._size = 0
        found = read_journal(directory)
        if found is not None:
            self._state, path = found
            self._sequence = self._state.sequence
            self._size = path.read_bytes().rfind(b"\n") + 1
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND)
            os.ftruncate(self._file, self._size)  # a line that was cut off was never answered
        self._place_file = os.open(directory / "place", os.O_WRONLY | os.O_CREAT, 0o600)

    @property
    def state(self) -> State | None:
        """What was on disk when the journal was opened; `None` at the very first start."""
        return self._state

    def begin(self, changes: Sequence[Change], *, at_ms: int, place_ms: int, counters: dict[str, Any]) -> None:
        """Begin a new file with the complete state, and drop the oldest ones."""
        self._close_file()
        path = self._directory / f"journal-{self._sequence + 1:012d}.jsonl"
        # What may lie there is a snapshot that was cut off: nothing was ever answered on its ground.
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._size = 0
        self._write(changes, at_ms=at_ms, place_ms=place_ms, counters=counters, snapshot=True)
        os.fsync(self._file)
        for old in sorted(self._directory.glob("journal-*.jsonl"))[:-JOURNAL_FILES_MAX]:
            old.unlink()

    def append(
        self, changes: Sequence[Change], snapshot: Snapshot, *, at_ms: int, place_ms: int, counters: dict[str, Any]
    ) -> None:
        """Write one transaction; where the file is full, also begin the next with what `snapshot` returns."""
        self._write(changes, at_ms=at_ms, place_ms=place_ms, counters=counters, snapshot=False)
        if self._size > self._bytes_max:
            self.begin(snapshot(), at_ms=at_ms, place_ms=place_ms, counters=counters)

    def mark(self, place_ms: int) -> None:
        """Note how far the market has moved where nothing else has changed."""
        os.pwrite(self._place_file, f"{place_ms:>{_PLACE_WIDTH}d}".encode(), 0)

    def close(self) -> None:
        """Flush everything to the disk and release the files."""
        os.fsync(self._place_file)
        os.close(self._place_file)
        self._close_file()

    def _write(
        self, changes: Sequence[Change], *, at_ms: int, place_ms: int, counters: dict[str, Any], snapshot: bool
    ) -> None:
        if self._file is None:
            raise ValueError("a journal begins with a snapshot")
        line: dict[str, Any] = {
            "sequence": self._sequence + 1,
            "at_ms": at_ms,
            "place_ms": place_ms,
            "counters": counters,
            "changes": changes,
        }
        if snapshot:
            line["snapshot"] = True
        encoded = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        written = os.write(self._file, encoded)
        while written < len(encoded):  # a regular file takes everything, or the disk is full and this raises
            written += os.write(self._file, encoded[written:])
        self._sequence += 1
        self._size += len(encoded)

    def _close_file(self) -> None:
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None
