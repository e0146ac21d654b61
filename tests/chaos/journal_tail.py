"""What the exchange writes into its journal, as soon as it does.

Invariant: only complete lines count.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_OURS: Final = re.compile(r"^ct([EPXLO])-")


@dataclass(slots=True)
class Seen:
    """An order of ours as the exchange has it.

    Attributes:
        role: The letter in its client order id.
        accepted_at_ms: The exchange's time of its acceptance.
        filled_at_once: Whether it was accepted and executed in one.
    """

    role: str
    accepted_at_ms: int
    filled_at_once: bool
    status: str


@dataclass(slots=True)
class JournalTail:
    """Reads on from where the last `poll` ended.

    Attributes:
        lines: How many were read.
        orders: Every order of ours, by client order id.
        entries_at_ms: When entries were accepted, in their order.
        taken: How many orders of each role were accepted, by its letter; `C` counts cancelled protections.
    """

    directory: Path
    lines: int = 0
    orders: dict[str, Seen] = field(default_factory=dict)
    entries_at_ms: list[int] = field(default_factory=list)
    taken: dict[str, int] = field(default_factory=dict)
    _path: Path | None = None
    _offset: int = 0

    def poll(self) -> None:
        """Read what is new."""
        if self._path is None:
            self._path = min(self.directory.glob("journal-*.jsonl"), default=None)
            if self._path is None:
                return
        while True:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._offset += len(line)
                    self._take(json.loads(line))
            later = [path for path in self.directory.glob("journal-*.jsonl") if path > self._path]
            if not later:
                return
            self._path, self._offset = min(later), 0

    def _take(self, line: Mapping[str, Any]) -> None:
        self.lines += 1
        for change in line["changes"]:
            match = _OURS.match(change.get("client_order_id", "")) if change["type"] == "order" else None
            if match is not None:
                self._take_order(match[1], change)

    def _take_order(self, role: str, change: Mapping[str, Any]) -> None:
        known = self.orders.get(change["client_order_id"])
        status = change["status"]
        if known is None:
            filled = float(change["executed_quantity"]) > 0
            accepted_at_ms = change["created_at_ms"]
            self.orders[change["client_order_id"]] = Seen(role, accepted_at_ms, filled, status)
            self._count(role)
            if role == "E":
                self.entries_at_ms.append(accepted_at_ms)
            return
        if role == "P" and status == "CANCELED" != known.status:
            self._count("C")
        known.status = status

    def _count(self, letter: str) -> None:
        self.taken[letter] = self.taken.get(letter, 0) + 1
