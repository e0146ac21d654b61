"""The SQL of the ledger; the search path is the service's own schema."""

from typing import Final

BOOKS: Final = """
    SELECT accounts.account, accounts.quote_asset, accounts.opened_at, balances.opening, balances.balance
    FROM accounts JOIN balances ON balances.account = accounts.account AND balances.asset = accounts.quote_asset
    ORDER BY accounts.account
"""
LOCKS: Final = "SELECT account, client_order_id, locked FROM order_locks WHERE locked > 0"

OPEN_ACCOUNT: Final = "INSERT INTO accounts (account, quote_asset, opened_at) VALUES ($1, $2, $3)"
OPEN_BALANCES: Final = """
    INSERT INTO balances (account, asset, opening, balance)
    SELECT $1, asset, quantity, quantity FROM unnest($2::text[], $3::numeric[]) AS held (asset, quantity)
"""

_HOLDING_COLUMNS: Final = """
    account, symbol, revision, strategy, quantity, cost, realised_pnl, fees, stop_loss, take_profit, trailing_distance,
    trailing_stop, entry_intent_id, opened_at, opened_revision, round_trips, pnl_at_close, bought
"""
HOLDINGS: Final = f"SELECT {_HOLDING_COLUMNS} FROM positions ORDER BY account, symbol"  # noqa: S608 - a constant
HOLDING: Final = f"SELECT {_HOLDING_COLUMNS} FROM positions WHERE account = $1 AND symbol = $2"  # noqa: S608 - a constant
SAVE_HOLDING: Final = f"""
    INSERT INTO positions ({_HOLDING_COLUMNS}, entry_price, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, clock_timestamp())
    ON CONFLICT (account, symbol) DO UPDATE SET
        revision = excluded.revision, strategy = excluded.strategy, quantity = excluded.quantity, cost = excluded.cost,
        realised_pnl = excluded.realised_pnl, fees = excluded.fees, stop_loss = excluded.stop_loss,
        take_profit = excluded.take_profit, trailing_distance = excluded.trailing_distance,
        trailing_stop = excluded.trailing_stop, entry_intent_id = excluded.entry_intent_id,
        opened_at = excluded.opened_at, opened_revision = excluded.opened_revision,
        round_trips = excluded.round_trips, pnl_at_close = excluded.pnl_at_close, bought = excluded.bought,
        entry_price = excluded.entry_price, updated_at = excluded.updated_at
"""  # noqa: S608 - a constant

OPEN_SYMBOLS: Final = "SELECT DISTINCT symbol FROM positions WHERE opened_at IS NOT NULL ORDER BY symbol"
TRAILING_TIMES: Final = """
    SELECT (SELECT min(opened_at) FROM positions WHERE trailing_stop IS NOT NULL) AS trails_since, (
        SELECT min(last_mark.marked_at) FROM accounts CROSS JOIN LATERAL (
            SELECT marked_at FROM equity_snapshots WHERE account = accounts.account ORDER BY minute_at DESC LIMIT 1
        ) AS last_mark
    ) AS marked_at
"""

HAS_FILL: Final = """
    SELECT EXISTS (
        SELECT 1 FROM position_fills WHERE account = $1 AND symbol = $2 AND trade_id = $3 AND exchange_order_id = $4
    )
"""
SAVE_FILL: Final = """
    INSERT INTO position_fills (
        account, symbol, trade_id, exchange_order_id, intent_id, client_order_id, side, role, quantity, price,
        commission, commission_asset, base_change, quote_change, fee_outside, realised_pnl, fees, occurred_at
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
"""
SAVE_ROUND_TRIP: Final = """
    INSERT INTO round_trips (account, symbol, number, strategy, opened_at, closed_at, pnl)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
CHANGE_BALANCES: Final = """
    INSERT INTO balances AS kept (account, asset, opening, balance)
    SELECT $1, asset, 0, change FROM unnest($2::text[], $3::numeric[]) AS booked (asset, change)
    ON CONFLICT (account, asset) DO UPDATE SET balance = kept.balance + excluded.balance
"""
CHANGE_OPENINGS: Final = """
    INSERT INTO balances AS kept (account, asset, opening, balance)
    SELECT $1, asset, -change, 0 FROM unnest($2::text[], $3::numeric[]) AS booked (asset, change)
    ON CONFLICT (account, asset) DO UPDATE SET opening = kept.opening + excluded.opening
"""
SAVE_MOVEMENT: Final = """
    INSERT INTO movements (account, kind, reference, asset, delta, at, reason, issuer, in_opening)
    SELECT $1, $2, $3, asset, delta, $6, $7, $8, $9 FROM unnest($4::text[], $5::numeric[]) AS moved (asset, delta)
    ON CONFLICT DO NOTHING
"""

SAVE_LOCK: Final = """
    INSERT INTO order_locks AS kept (account, client_order_id, revision, locked, updated_at)
    VALUES ($1, $2, $3, $4, clock_timestamp())
    ON CONFLICT (account, client_order_id) DO UPDATE SET
        revision = excluded.revision, locked = excluded.locked, updated_at = excluded.updated_at
    WHERE kept.revision < excluded.revision
    RETURNING revision
"""

FORGET_LOCKS: Final = """
    DELETE FROM order_locks WHERE locked = 0 AND updated_at < clock_timestamp() - interval '1 day'
"""

BASELINE: Final = """
    SELECT day, equity, source, marked_at FROM day_baselines WHERE account = $1 ORDER BY day DESC LIMIT 1
"""
SAVE_BASELINE: Final = """
    INSERT INTO day_baselines (account, day, equity, source, marked_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (account, day) DO NOTHING
"""
LAST_CONFIRMED: Final = """
    SELECT confirmed_at, confirmed_equity FROM equity_snapshots
    WHERE account = $1 AND confirmed_at IS NOT NULL ORDER BY minute_at DESC LIMIT 1
"""
HIGHS: Final = """
    SELECT minute_at, equity_high FROM equity_snapshots
    WHERE account = $1 AND minute_at >= $2 AND equity_high IS NOT NULL ORDER BY minute_at
"""
SAVE_MARK: Final = """
    INSERT INTO equity_snapshots AS kept (
        account, minute_at, marked_at, equity, confirmed, confirmed_at, confirmed_equity, equity_high, equity_low,
        day, day_start_equity, peak_24h, realised_pnl, unrealised_pnl, fees, quote_free, positions_open, marks
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
    ON CONFLICT (account, minute_at) DO UPDATE SET
        marked_at = excluded.marked_at, equity = excluded.equity, confirmed = excluded.confirmed,
        confirmed_at = coalesce(excluded.confirmed_at, kept.confirmed_at),
        confirmed_equity = coalesce(excluded.confirmed_equity, kept.confirmed_equity),
        equity_high = greatest(kept.equity_high, excluded.equity_high),
        equity_low = least(kept.equity_low, excluded.equity_low),
        day = excluded.day, day_start_equity = excluded.day_start_equity, peak_24h = excluded.peak_24h,
        realised_pnl = excluded.realised_pnl, unrealised_pnl = excluded.unrealised_pnl, fees = excluded.fees,
        quote_free = excluded.quote_free, positions_open = excluded.positions_open, marks = excluded.marks
"""

CASH_AT: Final = """
    SELECT balances.opening + coalesce((
        SELECT sum(quote_change - fee_outside) FROM position_fills
        WHERE position_fills.account = $1 AND occurred_at <= $2
    ), 0)
    FROM accounts JOIN balances ON balances.account = accounts.account AND balances.asset = accounts.quote_asset
    WHERE accounts.account = $1
"""
HELD_AT: Final = """
    SELECT symbol, sum(base_change) AS quantity FROM position_fills
    WHERE account = $1 AND occurred_at <= $2 GROUP BY symbol HAVING sum(base_change) <> 0
"""
