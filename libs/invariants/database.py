"""Read what our tables say: the views made for reading, all in one snapshot of the database."""

from collections.abc import Mapping
from typing import Any, Final

from libs.common.storage.postgres import Database
from libs.invariants.records import ApprovalRow, BalanceRow, Books, FillRow, HaltRow, MovementRow, OrderRow, PositionRow

_ORDERS: Final = """
    SELECT o.intent_id::text, o.chain_id::text, o.account, o.symbol, o.client_order_id, o.side, o.role, o.strategy,
           o.status, o.quantity, o.filled_quantity, intent.approved, coalesce(chain.carried, 0) AS carried
    FROM reading.orders AS o JOIN reading.intents AS intent USING (intent_id)
    LEFT JOIN reading.chains AS chain ON chain.chain_id = o.chain_id
"""
_FILLS: Final = """
    SELECT account, symbol, trade_id, exchange_order_id, side, quantity, price, commission, commission_asset,
           at AS occurred_at
    FROM reading.fills
"""
_BOOKED_FILLS: Final = """
    SELECT account, symbol, trade_id, exchange_order_id, side, quantity, price, commission, commission_asset,
           occurred_at, base_change
    FROM reading.booked_fills
"""
_POSITIONS: Final = """
    SELECT account, symbol, quantity, is_open, mark_price, updated_at FROM reading.positions
"""
_BALANCES: Final = "SELECT account, asset, opening, balance FROM reading.balances"
_EXECUTOR_BALANCES: Final = "SELECT account, asset, opening, amount AS balance FROM reading.executor_ledger"
_MOVEMENTS: Final = "SELECT account, asset, delta FROM reading.movements"
_EXECUTOR_MOVEMENTS: Final = "SELECT account, asset, delta FROM reading.executor_movements"
_APPROVALS: Final = """
    WITH told AS MATERIALIZED (
        SELECT payload::jsonb AS approval FROM reading.audit
        WHERE topic = 'orders.approved' AND kind = 'EVENT' AND event_type = 'OrderApproved'
    )
    SELECT intent_id::text, account, symbol, side FROM reading.risk_decisions WHERE approved
    UNION ALL
    SELECT approval ->> 'intent_id', approval ->> 'account', approval ->> 'symbol', approval ->> 'side' FROM told
    WHERE approval ->> 'intent_id' NOT IN (SELECT intent_id::text FROM reading.risk_decisions WHERE approved)
    UNION ALL
    SELECT intent_id::text, account, symbol, side FROM reading.archived_approvals
    WHERE intent_id NOT IN (SELECT intent_id FROM reading.risk_decisions WHERE approved)
"""
"""A restored database has forgotten decisions that were carried out; the audit log has them again, from their topic,
and those of them that were archived are written down."""

_HALTS: Final = """
    SELECT halt_id, account, scope_symbol AS symbol, scope_strategy AS strategy, halted_at, cleared_at
    FROM reading.halts
"""
_HEADS: Final = "SELECT topic, partition, offset_recorded FROM reading.audit_heads"


async def load_books(database: Database) -> Books:
    """Return our tables as they stand at one moment; the role needs no more than to read the views.

    Raises:
        RetryableError: The database is away or too slow.
    """
    async with (
        database.connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):

        async def rows(statement: str) -> list[Mapping[str, Any]]:
            return [dict(record) for record in await connection.fetch(statement)]

        return Books(
            taken_at=await connection.fetchval("SELECT transaction_timestamp()"),
            orders=[OrderRow(**row) for row in await rows(_ORDERS)],
            fills=[FillRow(**row) for row in await rows(_FILLS)],
            booked_fills=[FillRow(**row) for row in await rows(_BOOKED_FILLS)],
            positions=[PositionRow(**row) for row in await rows(_POSITIONS)],
            balances=[BalanceRow(**row) for row in await rows(_BALANCES)],
            executor_balances=[BalanceRow(**row) for row in await rows(_EXECUTOR_BALANCES)],
            movements=[MovementRow(**row) for row in await rows(_MOVEMENTS)],
            executor_movements=[MovementRow(**row) for row in await rows(_EXECUTOR_MOVEMENTS)],
            approvals=[ApprovalRow(**row) for row in await rows(_APPROVALS)],
            halts=[HaltRow(**row) for row in await rows(_HALTS)],
            recorded_offsets={(row["topic"], row["partition"]): row["offset_recorded"] for row in await rows(_HEADS)},
        )
