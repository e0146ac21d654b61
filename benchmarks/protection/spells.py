"""Reading the exchange's journal: from an entry's first fill to the acceptance of its protection.

Invariant: times are the exchange's own; what it wrote in one line happened at one moment.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ENTRY: Final = "ctE-"
PROTECTION: Final = "ctP-"
SALE: Final = "ctX-"


@dataclass(frozen=True, slots=True)
class Spell:
    """A position without protection.

    Attributes:
        began_ms: When its entry filled.
        ended_ms: When the exchange had orders that protect it.
    """

    symbol: str
    began_ms: int
    ended_ms: int

    @property
    def length_ms(self) -> int:
        """How long it lasted."""
        return self.ended_ms - self.began_ms


@dataclass(slots=True)
class Spells:
    """What the journal tells, line by line.

    Attributes:
        bare: When each symbol's position became bare, of those that are.
        ended: The spells that a protection ended, oldest first; one that a sale ended is none of them.
    """

    bare: dict[str, int] = field(default_factory=dict)
    ended: list[Spell] = field(default_factory=list)
    _entered: set[str] = field(default_factory=set)

    def take(self, line: Mapping[str, Any]) -> None:
        """Take a line; the snapshot at the head of a later file says nothing new."""
        if line.get("snapshot"):
            return
        at_ms = line["at_ms"]
        orders = [change for change in line["changes"] if change["type"] == "order"]
        for order in orders:
            name, symbol = order["client_order_id"], order["symbol"]
            if name.startswith(ENTRY) and float(order["executed_quantity"]) > 0 and name not in self._entered:
                self._entered.add(name)
                self.bare.setdefault(symbol, at_ms)
        for order in orders:
            name, symbol = order["client_order_id"], order["symbol"]
            if name.startswith(PROTECTION) and order["status"] == "NEW" and symbol in self.bare:
                self.ended.append(Spell(symbol, self.bare.pop(symbol), at_ms))
            elif name.startswith(SALE):
                self.bare.pop(symbol, None)


class JournalReader:
    """Reads a journal on from where it last stopped."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path: Path | None = None
        self._offset = 0

    def lines(self) -> Iterator[Mapping[str, Any]]:
        """Yield what is new and complete."""
        for path in self._following():
            if path != self._path:
                self._path, self._offset = path, 0
            with path.open("rb") as file:
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._offset += len(line)
                    yield json.loads(line)

    def _following(self) -> Sequence[Path]:
        return sorted(
            path for path in self._directory.glob("journal-*.jsonl") if self._path is None or path >= self._path
        )
