"""The executor's tables in Postgres, bound to one transaction of the owner.

Invariant: every write stands in a transaction that has checked the owner's epoch; all of them run one after another.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from libs.common.messaging.published import remember_published
from libs.common.messaging.records import RawRecord
from libs.common.storage.transaction import Transaction, Write
from libs.exchange.orders.port import TradeReport
from libs.trading.market import Side
from services.trade_executor.adapters.differences import BOOK, PostgresDifferences
from services.trade_executor.adapters.rows import (
    SELECT_ORDER,
    fill_of,
    insert_statement,
    intent_values,
    order_of,
    request_values,
    state_values,
    update_statement,
)
from services.trade_executor.domain.chains import Chain
from services.trade_executor.domain.orders import DOUBT, Doubt, ExecutorOrder, Occupancy

_IS_UNRESOLVED: Final = """(
    (state.status IN ('PREPARED', 'SUBMITTED', 'UNKNOWN') AND intent.signed_at_ms IS NOT NULL)
    OR (state.status = 'QUARANTINED' AND state.released_at IS NULL)
)"""
_UNRESOLVED: Final = f"WHERE state.account = $1 AND {_IS_UNRESOLVED} ORDER BY intent.created_at"
_OCCUPANCY: Final = f"""
    SELECT EXISTS (SELECT FROM order_intents WHERE intent_id = $3) AS is_recorded,
        EXISTS (
            SELECT FROM order_intents AS intent JOIN orders AS state USING (intent_id)
            WHERE state.account = $1 AND state.symbol = $2 AND {_IS_UNRESOLVED}
        ) AS has_unresolved,
        EXISTS (SELECT FROM chains WHERE account = $1 AND symbol = $2 AND is_open) AS has_open_chain
"""  # noqa: S608 - the condition is ours
_WORKING: Final = (
    "WHERE state.account = $1 AND state.status IN ('ACCEPTED', 'PARTIALLY_FILLED') ORDER BY intent.created_at"
)
_WATCHED: Final = "WHERE state.account = $1 AND state.status = 'QUARANTINED' AND state.released_at IS NOT NULL"
_CHAIN: Final = """
    WHERE intent.chain_id = $1
    ORDER BY intent.intent_id <> intent.chain_id, intent.created_at, intent.client_order_id
"""
_ADD_FILL: Final = """
    INSERT INTO fills (account, symbol, trade_id, exchange_order_id, intent_id, chain_id, side, quantity, price,
                       commission, commission_asset, maker, at_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING
"""
_OPEN_CHAIN: Final = "INSERT INTO chains (chain_id, account, symbol, is_open, opened_at) VALUES ($1, $2, $3, $4, $5)"
_MOVE_STOP: Final = """
    UPDATE chains SET stop_loss = $2 WHERE chain_id = $1 AND (stop_loss IS NULL OR stop_loss < $2) RETURNING is_open
"""
_DUSTY_CHAIN: Final = """
    SELECT chain_id FROM chains WHERE account = $1 AND symbol = $2 AND leftover > 0 AND NOT is_open
    ORDER BY opened_at DESC LIMIT 1
"""
_TAKE_OVER_DUST: Final = """
    WITH dust AS (
        SELECT closed.chain_id, closed.leftover FROM chains AS closed JOIN chains AS taker USING (account, symbol)
        WHERE taker.chain_id = $1 AND closed.chain_id <> $1 AND closed.leftover <> 0 AND NOT closed.is_open
    ), given AS (
        UPDATE chains SET leftover = 0, carried = carried - dust.leftover FROM dust
        WHERE chains.chain_id = dust.chain_id
    )
    UPDATE chains SET carried = carried + (SELECT coalesce(sum(leftover), 0) FROM dust) WHERE chain_id = $1
"""


class PostgresRecords(PostgresDifferences):
    """`Records` on a transaction."""

    def __init__(self, transaction: Transaction, doubt: Doubt = DOUBT) -> None:
        super().__init__(transaction)
        self._doubt = doubt

    async def occupancy(self, account: str, symbol: str, *, intent_id: uuid.UUID) -> Occupancy:
        """Return what stands in the way of an approval."""
        row = await self._transaction.fetchrow(_OCCUPANCY, account, symbol, intent_id)
        return Occupancy(**dict(row or {}))

    async def order(self, intent_id: uuid.UUID) -> ExecutorOrder | None:
        """Return an order by its intent."""
        return await self._one("WHERE intent.intent_id = $1", intent_id)

    async def order_by_client_id(self, account: str, client_order_id: str) -> ExecutorOrder | None:
        """Return an order by its client id."""
        return await self._one("WHERE intent.account = $1 AND intent.client_order_id = $2", account, client_order_id)

    async def order_by_exchange_id(self, account: str, symbol: str, exchange_order_id: str) -> ExecutorOrder | None:
        """Return an order by the exchange's id."""
        condition = "WHERE state.account = $1 AND state.symbol = $2 AND state.exchange_order_id = $3"
        return await self._one(condition, account, symbol, exchange_order_id)

    async def chain(self, chain_id: uuid.UUID, *, base: str) -> Chain | None:
        """Return an entry with its children and their fills; `base` is the asset held."""
        orders = await self._many(_CHAIN, chain_id)
        if not orders:
            return None
        rows = await self._transaction.fetch("SELECT * FROM fills WHERE chain_id = $1 ORDER BY trade_id", chain_id)
        row = await self._transaction.fetchrow("SELECT carried, stop_loss FROM chains WHERE chain_id = $1", chain_id)
        carried, moved_stop = row or (Decimal(0), None)
        return Chain(orders, [fill_of(row) for row in rows], base=base, carried=carried, moved_stop=moved_stop)

    async def open_chains(self, account: str, symbol: str | None = None) -> Sequence[uuid.UUID]:
        """Return the chains that may still need something, oldest first."""
        rows = await self._transaction.fetch(
            "SELECT chain_id FROM chains WHERE account = $1 AND is_open AND ($2::text IS NULL OR symbol = $2)"
            " ORDER BY opened_at",
            account,
            symbol,
        )
        return [row["chain_id"] for row in rows]

    async def dusty_chain(self, account: str, symbol: str) -> uuid.UUID | None:
        """Return the youngest closed chain that left something, or None."""
        chain_id: uuid.UUID | None = await self._transaction.fetchval(_DUSTY_CHAIN, account, symbol)
        return chain_id

    async def take_over_dust(self, chain_id: uuid.UUID) -> None:
        """Let a chain carry what the closed chains of its account and symbol left, itself included."""
        await self._transaction.execute(_TAKE_OVER_DUST, chain_id)

    async def set_chain_open(self, chain_id: uuid.UUID, *, is_open: bool, leftover: Decimal = Decimal(0)) -> None:
        """Remember whether a chain may still need something, and what it holds when it does not."""
        await self._transaction.execute(
            "UPDATE chains SET is_open = $2, leftover = $3 WHERE chain_id = $1 AND (is_open, leftover) <> ($2, $3)",
            chain_id,
            is_open,
            leftover,
        )

    async def move_stop(self, chain_id: uuid.UUID, stop_loss: Decimal) -> bool:
        """Remember where a chain's stop belongs; False: it stood so high already, or the chain needs none."""
        moved = await self._transaction.returning(_MOVE_STOP, chain_id, stop_loss)
        return moved is not None and bool(moved["is_open"])

    async def unresolved(self, account: str) -> Sequence[ExecutorOrder]:
        """Return the orders that may be at the exchange without our knowing."""
        return await self._many(_UNRESOLVED, account)

    async def working(self, account: str) -> Sequence[ExecutorOrder]:
        """Return the orders that rest at the exchange as far as we know."""
        return await self._many(_WORKING, account)

    async def watched(self, account: str) -> Sequence[ExecutorOrder]:
        """Return the orders given up after their quarantine that could still show up."""
        return await self._many(_WATCHED, account)

    async def insert(self, order: ExecutorOrder) -> None:
        """Add an order; an entry opens its chain."""
        intent = intent_values(order, self._doubt)
        state = {"intent_id": order.intent_id, "account": order.account, "symbol": order.symbol, **state_values(order)}
        writes = [
            Write(insert_statement("order_intents", tuple(intent)), tuple(intent.values())),
            Write(insert_statement("orders", tuple(state)), tuple(state.values())),
        ]
        if order.chain_id == order.intent_id:
            chain = (order.chain_id, order.account, order.symbol, not order.is_over, order.created_at)
            writes.append(Write(_OPEN_CHAIN, chain))
        await self._transaction.defer(*writes)

    async def update(self, order: ExecutorOrder) -> None:
        """Replace an order's state, and the request that an unsent one is signed with."""
        state = state_values(order)
        await self._transaction.execute(update_statement("orders", tuple(state)), order.intent_id, *state.values())
        if order.revision > 1 and order.signed_at_ms is not None and order.is_unresolved:
            request = request_values(order, self._doubt)
            await self._transaction.execute(
                update_statement("order_intents", tuple(request)), order.intent_id, *request.values()
            )

    async def restore(self, order: ExecutorOrder) -> None:
        """Put an order as it is, whatever was recorded of it; an entry opens its chain."""
        if await self.order(order.intent_id) is None:
            await self.insert(order)
            return
        for table, values in (("orders", state_values(order)), ("order_intents", request_values(order, self._doubt))):
            await self._transaction.execute(update_statement(table, tuple(values)), order.intent_id, *values.values())

    async def remember_published(self, records: Sequence[RawRecord]) -> None:
        """Take published events back into the outbox."""
        await remember_published(self._transaction, records)

    async def set_answered(self, intent_ids: Sequence[uuid.UUID], *, requested_at: datetime) -> None:
        """Remember when a request left, of which the answer is being written down."""
        await self._transaction.execute(
            "UPDATE orders SET requested_at = $2, answered_at = clock_timestamp() WHERE intent_id = ANY ($1)",
            list(intent_ids),
            requested_at,
        )

    async def add_fill(self, order: ExecutorOrder, trade: TradeReport, *, base: str, quote: str) -> bool:
        """Record an execution and its effect on the ledger; False: it was recorded before."""
        status = await self._transaction.execute(
            _ADD_FILL,
            order.account,
            order.symbol,
            trade.trade_id,
            trade.exchange_order_id,
            order.intent_id,
            order.chain_id,
            trade.side.value,
            trade.quantity,
            trade.price,
            trade.commission,
            trade.commission_asset,
            trade.maker,
            trade.at_ms,
        )
        if status == "INSERT 0 0":
            return False
        sign = 1 if trade.side is Side.BUY else -1
        assets = [base, quote, trade.commission_asset or quote]
        deltas = [sign * trade.quantity, -sign * trade.quantity * trade.price, -trade.commission]
        await self._transaction.execute(BOOK, order.account, assets, deltas)
        return True

    async def trade_cursor(self, account: str, symbol: str) -> int | None:
        """Return the first trade id that may be missing; None before the first reconciliation."""
        row = await self._transaction.fetchrow(
            "SELECT trade_id FROM trade_cursors WHERE account = $1 AND symbol = $2", account, symbol
        )
        return row["trade_id"] if row is not None else None

    async def set_trade_cursor(self, account: str, symbol: str, trade_id: int) -> None:
        """Remember the first trade id that may be missing."""
        await self._transaction.execute(
            "INSERT INTO trade_cursors (account, symbol, trade_id) VALUES ($1, $2, $3)"
            " ON CONFLICT (account, symbol) DO UPDATE SET trade_id = excluded.trade_id",
            account,
            symbol,
            trade_id,
        )

    async def _one(self, condition: str, *parameters: object) -> ExecutorOrder | None:
        row = await self._transaction.fetchrow(SELECT_ORDER + condition, *parameters)
        return order_of(row) if row is not None else None

    async def _many(self, condition: str, *parameters: object) -> list[ExecutorOrder]:
        return [order_of(row) for row in await self._transaction.fetch(SELECT_ORDER + condition, *parameters)]
