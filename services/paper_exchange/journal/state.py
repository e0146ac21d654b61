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
    queue: dict[int, int] = field(default_factory=dict)

    def apply(self, line: Record) -> None:
        """Take one transaction in."""
        self.sequence = line["sequence"]
        self.place_ms = line["place_ms"]
        self.counters = dict(line["counters"])
        for change in line["changes"]:
            self._apply_change(change)

    def _apply_change(self, change: Record) -> None:
        match change["type"]:
            case "market":
                self.identity = change["identity"]
            case "segment":
                self.segments.append(change)
            case "balance":
                self.balances[change["account"], change["asset"]] = change
            case "order":
                self.orders[change["order_id"]] = change
            case "order_list":
                self.lists[change["order_list_id"]] = change
            case "fill":
                self.fills[change["symbol"], change["trade_id"], change["order_id"]] = change
            case "queue":
                self.queue[change["order_id"]] = change["ahead"]
            case "transfer":
                pass  # the balance that it changed stands beside it
            case unknown:
                raise InvalidMessageError("unknown change in the journal", expected="a known type", found=str(unknown))


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
