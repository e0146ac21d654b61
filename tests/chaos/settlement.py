"""Whether opening balances, transfers and executions make up the exchange's balances, to the last digit.

Invariant: nothing but the exchange's own journal is asked, from its first line on.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

Holding = tuple[str, str]
"""Account and asset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imbalance:
    """An asset of an account that does not add up."""

    account: str
    asset: str
    expected: Decimal
    found: Decimal


def settle(changes: Iterable[Mapping[str, Any]], symbols: Sequence[str]) -> list[Imbalance]:
    """Return what does not add up.

    Args:
        changes: The journal's, oldest first.
        symbols: The traded ones, as `BTC/USDT`.
    """
    assets = {symbol.replace("/", ""): symbol.split("/") for symbol in symbols}
    expected: defaultdict[Holding, Decimal] = defaultdict(Decimal)
    found: defaultdict[Holding, Decimal] = defaultdict(Decimal)
    booked: set[tuple[object, ...]] = set()
    for change in changes:
        account = change.get("account", "")
        match change["type"]:
            case "balance":
                found[account, change["asset"]] = Decimal(change["free"]) + Decimal(change["locked"])
            case "transfer":
                expected[account, change["asset"]] += Decimal(change["amount"])
            case "fill":
                execution = (account, change["symbol"], change["trade_id"], change["order_id"])
                if execution in booked:  # a snapshot tells it again
                    continue
                booked.add(execution)
                base, quote = assets[change["symbol"]]
                sign = 1 if change["side"] == "BUY" else -1
                quantity = Decimal(change["quantity"])
                expected[account, base] += sign * quantity
                expected[account, quote] -= sign * quantity * Decimal(change["price"])
                expected[account, change["commission_asset"]] -= Decimal(change["commission"])
            case _:
                pass
    return [
        Imbalance(account=account, asset=asset, expected=expected[account, asset], found=found[account, asset])
        for account, asset in sorted(expected.keys() | found.keys())
        if expected[account, asset] != found[account, asset]
    ]


def journal_changes(directory: Path) -> Iterable[Mapping[str, Any]]:
    """Yield the changes of a journal; the snapshots that begin later files repeat what is known."""
    for number, path in enumerate(sorted(directory.glob("journal-*.jsonl"))):
        with path.open("rb") as file:
            for line in file:
                record = json.loads(line)
                if not (number and record.get("snapshot")):
                    yield from record["changes"]
