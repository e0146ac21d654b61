"""The ledger and its differences in memory, beside the executor's other tables."""

# ruff: noqa: ARG002 - a fake has all parameters of its port, and few of its cares

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from libs.common.control.commands import CommandHistory
from libs.exchange.orders.port import Balance
from services.trade_executor.domain.differences import Difference, StoredDifference
from services.trade_executor.domain.findings import StrayTrade
from services.trade_executor.service.difference_ports import Acceptance, Movement, SettledBy


@dataclass
class DifferenceTables:
    """Flat tables, of which a transaction works on copies."""

    amounts: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    movements: dict[tuple[str, str, str], Movement] = field(default_factory=dict)
    strays: dict[tuple[str, str, int, str], StrayTrade] = field(default_factory=dict)
    settled_strays: dict[tuple[str, str, int, str], uuid.UUID] = field(default_factory=dict)
    difference_rows: dict[int, StoredDifference] = field(default_factory=dict)
    acceptances: dict[uuid.UUID, Acceptance] = field(default_factory=dict)
    outcomes: dict[uuid.UUID, str] = field(default_factory=dict)

    @property
    def differences(self) -> dict[tuple[str, str], StoredDifference]:
        """What is open."""
        return {(row.kind, row.subject): row for row in self.difference_rows.values() if row.settled_by is None}


class FakeDifferences:
    """`DifferenceRecords` over tables in memory; tests/contract holds it to what Postgres does."""

    def __init__(self, tables: DifferenceTables) -> None:
        self._books = tables

    async def ledger(self, account: str) -> Mapping[str, Decimal]:
        return {asset: amount for (owner, asset), amount in self._books.amounts.items() if owner == account}

    async def open_ledger(self, account: str, balances: Mapping[str, Balance]) -> None:
        for asset, balance in balances.items():
            self._book(account, asset, balance.total)

    async def book(self, movement: Movement) -> bool:
        key = (movement.account, movement.kind, movement.reference)
        if key in self._books.movements:
            return False
        self._books.movements[key] = movement
        for asset, delta in movement.changes.items():
            self._book(movement.account, asset, delta)
        return True

    async def add_stray_trades(self, account: str, strays: Sequence[StrayTrade]) -> None:
        for stray in strays:
            trade = replace(stray.trade, client_order_id=None, maker=False)
            key = (account, trade.symbol, trade.trade_id, trade.exchange_order_id)
            self._books.strays.setdefault(key, StrayTrade(trade, stray.client_order_id))

    async def stray_trades(self, account: str) -> Sequence[StrayTrade]:
        settled = self._books.settled_strays
        return [stray for key, stray in sorted(self._books.strays.items()) if key[0] == account and key not in settled]

    async def settle_stray_trades(self, account: str, exchange_order_id: str, command_id: uuid.UUID) -> None:
        for key in self._books.strays:
            if key[0] == account and key[3] == exchange_order_id:
                self._books.settled_strays.setdefault(key, command_id)

    async def open_differences(self, account: str) -> Sequence[StoredDifference]:
        rows = self._books.difference_rows.values()
        return [row for row in rows if row.account == account and row.settled_by is None]

    async def difference(self, account: str, difference_id: int) -> StoredDifference | None:
        row = self._books.difference_rows.get(difference_id)
        return row if row is not None and row.account == account else None

    async def add_difference(self, difference: Difference, now: datetime) -> int | None:
        if any(row.key == difference.key for row in await self.open_differences(difference.account)):
            return None
        row = StoredDifference(
            id=len(self._books.difference_rows) + 1,
            account=difference.account,
            kind=difference.kind,
            subject=difference.subject,
            symbol=difference.symbol,
            expected=difference.expected,
            found=difference.found,
            figure=difference.figure,
            since=now,
        )
        self._books.difference_rows[row.id] = row
        return row.id

    async def see_again(self, difference_id: int, difference: Difference, now: datetime) -> None:
        row = self._books.difference_rows[difference_id]
        self._books.difference_rows[row.id] = replace(row, expected=difference.expected, found=difference.found)

    async def settle_differences(
        self, ids: Sequence[int], settled_by: SettledBy, now: datetime, *, issuer: str = "", reason: str = ""
    ) -> None:
        for difference_id in ids:
            row = self._books.difference_rows[difference_id]
            if row.settled_by is None:
                self._books.difference_rows[difference_id] = replace(row, settled_by=settled_by)

    async def command_history(self, command_id: uuid.UUID, key_id: str) -> CommandHistory:
        of_key = [known.sequence for known in self._books.acceptances.values() if known.key_id == key_id]
        return CommandHistory(seen=command_id in self._books.acceptances, sequence_last=max(of_key, default=-1))

    async def add_acceptance(self, acceptance: Acceptance, outcome: str | None = None) -> None:
        self._books.acceptances[acceptance.command_id] = acceptance
        if outcome is not None:
            self._books.outcomes[acceptance.command_id] = outcome

    async def waiting_acceptances(self, account: str) -> Sequence[Acceptance]:
        waiting = [known for known in self._books.acceptances.values() if known.command_id not in self._books.outcomes]
        return sorted((one for one in waiting if one.account == account), key=lambda one: one.sequence)

    async def decide_acceptance(self, command_id: uuid.UUID, outcome: str, now: datetime) -> None:
        self._books.outcomes[command_id] = outcome

    def _book(self, account: str, asset: str, delta: Decimal) -> None:
        self._books.amounts[account, asset] = self._books.amounts.get((account, asset), Decimal(0)) + delta
