"""Read the paper exchange's journal by its file format (`services/paper_exchange/journal` documents it).

Invariant: only complete lines count, and `sequence` leaves no gap: a journal that was tampered with is an error.
"""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from libs.common.errors import InvalidMessageError
from libs.invariants.records import Truth, TruthBalance, TruthFill, TruthOrder

Record = Mapping[str, Any]


class JournalReader:
    """Reads on from where the last `read` ended, over file boundaries."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._truth = Truth()
        self._path: Path | None = None
        self._offset = 0

    def read(self) -> Truth:
        """Return the exchange's state as of the journal's last complete line.

        Raises:
            InvalidMessageError: There is no journal, a line is unreadable, or one is missing.
        """
        paths = sorted(self._directory.glob("journal-*.jsonl"))
        if not paths:
            raise InvalidMessageError("no journal", expected=f"{self._directory}/journal-*.jsonl", found="none")
        if self._path is not None and self._path not in paths:
            raise InvalidMessageError("gap in the journal", expected=self._path.name, found=f"{paths[0].name} first")
        for path in paths:
            if self._path is None or path >= self._path:
                self._read_file(path)
        return self._truth.copy()

    def _read_file(self, path: Path) -> None:
        if path != self._path:
            self._path, self._offset = path, 0
        with path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._apply(line, path)
                self._offset += len(line)

    def _apply(self, line: bytes, path: Path) -> None:
        truth = self._truth
        try:
            record = json.loads(line)
            sequence = int(record["sequence"])
            if truth.sequence and sequence != truth.sequence + 1:
                raise InvalidMessageError(
                    "gap in the journal", expected=f"line {truth.sequence + 1} in {path.name}", found=f"line {sequence}"
                )
            if not truth.sequence and sequence > 1:
                truth.history_from_ms = int(record["at_ms"])
            truth.sequence = sequence
            for change in record["changes"]:
                _apply_change(truth, change)
        except (ValueError, KeyError, TypeError, InvalidOperation) as error:
            raise InvalidMessageError(
                "damaged journal", expected=f"a readable line after {truth.sequence} in {path.name}", found=repr(error)
            ) from error


def _apply_change(truth: Truth, change: Record) -> None:
    match change["type"]:
        case "order":
            order = _order(change)
            truth.orders[order.order_id] = order
        case "fill":
            fill = _fill(change)
            truth.fills[fill.key] = fill
        case "balance":
            balance = TruthBalance(Decimal(change["free"]), Decimal(change["locked"]))
            truth.balances[change["account"], change["asset"]] = balance
        case _:
            pass  # the market and the queue are none of the ledger's business


def _order(change: Record) -> TruthOrder:
    return TruthOrder(
        order_id=change["order_id"],
        account=change["account"],
        symbol=change["symbol"],
        client_order_id=change["client_order_id"],
        side=change["side"],
        quantity=Decimal(change["quantity"]),
        executed_quantity=Decimal(change["executed_quantity"]),
        status=change["status"],
        locked=Decimal(change["locked"]),
        order_list_id=change["order_list_id"],
        accepted_at_ms=change["created_at_ms"],
    )


def _fill(change: Record) -> TruthFill:
    return TruthFill(
        account=change["account"],
        symbol=change["symbol"],
        trade_id=change["trade_id"],
        order_id=change["order_id"],
        side=change["side"],
        quantity=Decimal(change["quantity"]),
        price=Decimal(change["price"]),
        commission=Decimal(change["commission"]),
        commission_asset=change["commission_asset"],
    )
