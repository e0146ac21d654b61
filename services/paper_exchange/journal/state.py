"""What a journal says: the state that its lines add up to.

Invariant: applying a line twice changes nothing, because changes carry absolute state.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libs.common.errors import InvalidMessageError

Record = Mapping[str, Any]

_KEYED = {
    "balance": ("balances", ("account", "asset")),
    "order": ("orders", ("order_id",)),
    "order_list": ("lists", ("order_list_id",)),
    "fill": ("fills", ("symbol", "trade_id", "order_id")),
    "prevented_match": ("prevented", ("prevented_match_id",)),
    "queue": ("queue", ("order_id",)),
    "taken": ("taken", ("symbol",)),
    "symbol": ("symbols", ("symbol",)),
}
"""Where a change goes, and what it is found by: the last one of a key is the truth."""


_TOLD_BESIDES = frozenset({"transfer", "fault"})
"""What changes nothing by itself: the balance that a transfer changed stands beside it."""


@dataclass(slots=True)
class State:
    """The exchange's state as the journal has it; the values are the journal's own records."""

    sequence: int = 0
    place_ms: int = 0
    identity: str = ""
    counters: dict[str, Any] = field(default_factory=dict)
    segments: list[Record] = field(default_factory=list)
    balances: dict[tuple[str, str], Record] = field(default_factory=dict)
    orders: dict[int, Record] = field(default_factory=dict)
    lists: dict[int, Record] = field(default_factory=dict)
    fills: dict[tuple[str, int, int], Record] = field(default_factory=dict)
    prevented: dict[int, Record] = field(default_factory=dict)
    queue: dict[int, Record] = field(default_factory=dict)
    taken: dict[str, Record] = field(default_factory=dict)
    symbols: dict[str, Record] = field(default_factory=dict)

    def apply(self, line: Record) -> None:
        """Take one transaction in."""
        self.sequence = line["sequence"]
        self.place_ms = line["place_ms"]
        self.counters = dict(line["counters"])
        for change in line["changes"]:
            self._apply_change(change)

    def _apply_change(self, change: Record) -> None:
        kind = change["type"]
        if kind in _KEYED:
            name, keys = _KEYED[kind]
            key = tuple(change[part] for part in keys)
            getattr(self, name)[key if len(key) > 1 else key[0]] = change
        elif kind == "market":
            self.identity = change["identity"]
        elif kind == "segment":
            self.segments.append(change)
        elif kind not in _TOLD_BESIDES:
            raise InvalidMessageError("unknown change in the journal", expected="a known type", found=str(kind))


def read_journal(directory: Path) -> tuple[State, Path] | None:
    """Return the state that the newest journal file adds up to and that file, or `None` where there is no journal.

    Raises:
        InvalidMessageError: A complete line is unreadable, or a line is missing.
    """
    for path in sorted(directory.glob("journal-*.jsonl"), reverse=True):
        state = _read_file(path)
        if state is not None:
            _advance_place(state, directory / "place")
            return state, path
    return None


def _read_file(path: Path) -> State | None:
    """Return what one file says, or `None` when its snapshot was never completed."""
    state = State()
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            record = json.loads(line)
        except ValueError as error:
            where = f"{path} line {number}"
            raise InvalidMessageError("damaged journal", expected=f"JSON in {where}", found=str(error)) from error
        if state.sequence and record["sequence"] != state.sequence + 1:
            expected = f"sequence {state.sequence + 1} in {path} line {number}"
            raise InvalidMessageError("gap in the journal", expected=expected, found=str(record["sequence"]))
        state.apply(record)
    return state if state.sequence else None


def _advance_place(state: State, path: Path) -> None:
    if path.exists():
        text = path.read_text().strip()
        state.place_ms = max(state.place_ms, int(text or state.place_ms))
