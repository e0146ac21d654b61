"""The ledger, differences and acceptances in Postgres, bound to one transaction of the owner."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from asyncpg import Record

from libs.common.control.commands import CommandHistory
from libs.common.storage.transaction import Transaction
from libs.exchange.orders.port import Balance, TradeReport
from libs.trading.market import Side
from services.trade_executor.domain.differences import Difference, Kind, StoredDifference
from services.trade_executor.domain.findings import StrayTrade
from services.trade_executor.service.difference_ports import Acceptance, Movement, SettledBy

BOOK: Final = """
    INSERT INTO ledger AS book (account, asset, opening, amount)
    SELECT $1, change.asset, 0, sum(change.delta) FROM unnest($2::text[], $3::numeric[]) AS change (asset, delta)
    GROUP BY change.asset
    ON CONFLICT (account, asset) DO UPDATE SET amount = book.amount + excluded.amount
"""
"""What changes the ledger: executions and movements alike."""

_MOVE: Final = """
    INSERT INTO movements (account, kind, reference, asset, delta, at, reason, issuer)
    SELECT $1, $2, $3, asset, delta, $6, $7, $8 FROM unnest($4::text[], $5::numeric[]) AS change (asset, delta)
    ON CONFLICT DO NOTHING
"""
_STRAY: Final = """
    INSERT INTO stray_trades (account, symbol, trade_id, exchange_order_id, client_order_id, side, quantity, price,
                              commission, commission_asset, at_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING
"""
_STRAYS: Final = "SELECT * FROM stray_trades WHERE account = $1 AND settled_by IS NULL ORDER BY symbol, trade_id"
_COLUMNS: Final = "id, account, kind, subject, symbol, expected, found, figure, since, settled_by"
_OPEN: Final = f"SELECT {_COLUMNS} FROM differences WHERE account = $1 AND settled_at IS NULL ORDER BY id"  # noqa: S608 - a constant
_ONE: Final = f"SELECT {_COLUMNS} FROM differences WHERE account = $1 AND id = $2"  # noqa: S608 - a constant
_ADD: Final = """
    INSERT INTO differences (account, kind, subject, symbol, expected, found, figure, since, last_seen_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
    ON CONFLICT (account, kind, subject) WHERE settled_at IS NULL DO NOTHING
    RETURNING id
"""
_SETTLE: Final = """
    UPDATE differences SET settled_at = $3, settled_by = $2, issuer = $4, reason = $5
    WHERE id = ANY ($1) AND settled_at IS NULL
"""
_HISTORY: Final = """
    SELECT EXISTS (SELECT FROM acceptances WHERE command_id = $1) AS seen,
        coalesce((SELECT max(sequence) FROM acceptances WHERE key_id = $2), -1) AS sequence_last
"""
_ADD_ACCEPTANCE: Final = """
    INSERT INTO acceptances (command_id, account, difference_id, key_id, sequence, issuer, reason, expires_at, outcome)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_WAITING: Final = """
    SELECT command_id, account, difference_id, key_id, sequence, issuer, reason, expires_at FROM acceptances
    WHERE account = $1 AND outcome IS NULL ORDER BY sequence
"""


class PostgresDifferences:
    """`DifferenceRecords` on a transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def ledger(self, account: str) -> Mapping[str, Decimal]:
        """Return what the account must hold by our books; empty before they are opened."""
        rows = await self._transaction.fetch("SELECT asset, amount FROM ledger WHERE account = $1", account)
        return {row["asset"]: row["amount"] for row in rows}

    async def open_ledger(self, account: str, balances: Mapping[str, Balance]) -> None:
        """Open the books with what the account holds."""
        await self._transaction.executemany(
            "INSERT INTO ledger (account, asset, opening, amount) VALUES ($1, $2, $3, $3)",
            [(account, asset, balance.total) for asset, balance in balances.items()],
        )

    async def book(self, movement: Movement) -> bool:
        """Book what moved balances without an order; False: it was booked before."""
        assets, deltas = list(movement.changes), list(movement.changes.values())
        known = (movement.account, movement.kind, movement.reference)
        status = await self._transaction.execute(
            _MOVE, *known, assets, deltas, movement.at, movement.reason, movement.issuer
        )
        if status == "INSERT 0 0":
            return False
        await self._transaction.execute(BOOK, movement.account, assets, deltas)
        return True

    async def add_stray_trades(self, account: str, strays: Sequence[StrayTrade]) -> None:
        """Remember executions of orders that are not in our books; those that are known stay as they are."""
        await self._transaction.executemany(
            _STRAY,
            [
                (
                    account,
                    stray.trade.symbol,
                    stray.trade.trade_id,
                    stray.trade.exchange_order_id,
                    stray.client_order_id,
                    stray.trade.side.value,
                    stray.trade.quantity,
                    stray.trade.price,
                    stray.trade.commission,
                    stray.trade.commission_asset,
                    stray.trade.at_ms,
                )
                for stray in strays
            ],
        )

    async def stray_trades(self, account: str) -> Sequence[StrayTrade]:
        """Return those that nobody has accepted yet."""
        return [_stray_of(row) for row in await self._transaction.fetch(_STRAYS, account)]

    async def settle_stray_trades(self, account: str, exchange_order_id: str, command_id: uuid.UUID) -> None:
        """Remember that the executions of an order are in the ledger now."""
        await self._transaction.execute(
            "UPDATE stray_trades SET settled_by = $3"
            " WHERE account = $1 AND exchange_order_id = $2 AND settled_by IS NULL",
            account,
            exchange_order_id,
            command_id,
        )

    async def open_differences(self, account: str) -> Sequence[StoredDifference]:
        """Return the open differences, oldest first."""
        return [_difference_of(row) for row in await self._transaction.fetch(_OPEN, account)]

    async def difference(self, account: str, difference_id: int) -> StoredDifference | None:
        """Return a difference of the account, open or settled."""
        row = await self._transaction.fetchrow(_ONE, account, difference_id)
        return None if row is None else _difference_of(row)

    async def add_difference(self, difference: Difference, now: datetime) -> int | None:
        """Open a difference and return its id; None: it is open already."""
        row = await self._transaction.returning(
            _ADD,
            difference.account,
            difference.kind.value,
            difference.subject,
            difference.symbol,
            difference.expected,
            difference.found,
            difference.figure,
            now,
        )
        return None if row is None else row["id"]

    async def see_again(self, difference_id: int, difference: Difference, now: datetime) -> None:
        """Remember how an open difference looks now."""
        await self._transaction.execute(
            "UPDATE differences SET expected = $2, found = $3, last_seen_at = $4 WHERE id = $1",
            difference_id,
            difference.expected,
            difference.found,
            now,
        )

    async def settle_differences(
        self, ids: Sequence[int], settled_by: SettledBy, now: datetime, *, issuer: str = "", reason: str = ""
    ) -> None:
        """Close differences."""
        await self._transaction.execute(_SETTLE, list(ids), settled_by, now, issuer, reason)

    async def command_history(self, command_id: uuid.UUID, key_id: str) -> CommandHistory:
        """Return what is remembered of a command that accepts, and of its key."""
        row = await self._transaction.fetchrow(_HISTORY, command_id, key_id)
        return CommandHistory(**dict(row or {}))

    async def add_acceptance(self, acceptance: Acceptance, outcome: str | None = None) -> None:
        """Remember a command; None: it waits to be decided."""
        await self._transaction.execute(
            _ADD_ACCEPTANCE,
            acceptance.command_id,
            acceptance.account,
            acceptance.difference_id,
            acceptance.key_id,
            acceptance.sequence,
            acceptance.issuer,
            acceptance.reason,
            acceptance.expires_at,
            outcome,
        )

    async def waiting_acceptances(self, account: str) -> Sequence[Acceptance]:
        """Return the commands that are not decided, in the order of their issue."""
        return [Acceptance(**dict(row)) for row in await self._transaction.fetch(_WAITING, account)]

    async def decide_acceptance(self, command_id: uuid.UUID, outcome: str, now: datetime) -> None:
        """Remember what became of a command: "" when the difference was booked."""
        await self._transaction.execute(
            "UPDATE acceptances SET outcome = $2, decided_at = $3 WHERE command_id = $1", command_id, outcome, now
        )


def _difference_of(row: Record) -> StoredDifference:
    return StoredDifference(**{**dict(row), "kind": Kind(row["kind"])})


def _stray_of(row: Record) -> StrayTrade:
    trade = TradeReport(
        symbol=row["symbol"],
        trade_id=row["trade_id"],
        exchange_order_id=row["exchange_order_id"],
        client_order_id=None,
        side=Side(row["side"]),
        quantity=row["quantity"],
        price=row["price"],
        commission=row["commission"],
        commission_asset=row["commission_asset"],
        maker=False,
        at_ms=row["at_ms"],
    )
    return StrayTrade(trade, row["client_order_id"])
