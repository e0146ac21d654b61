"""The SQL of the risk manager, by table."""

from typing import Final

SNAPSHOT: Final = """
    SELECT account, wants_active, causes, halt_epoch, revision, since, trigger, reason, issuer, (
        SELECT coalesce(jsonb_agg(record ORDER BY latched_at, halt_id), '[]') FROM halts
        WHERE halts.account = $1 AND cleared_at IS NULL
    ) AS latched,
    EXISTS (SELECT 1 FROM risk_decisions WHERE account = $1 AND signal_id = $2) AS decided,
    (SELECT mark FROM equity_marks AS mark WHERE mark.account = $1) AS mark,
    (SELECT array_agg(held) FROM risk_positions AS held WHERE held.account = $1) AS positions, (
        SELECT array_agg(claim ORDER BY claim.approved_at) FROM risk_exposure AS claim
        WHERE claim.account = $1 AND claim.phase <> 'RELEASED'
    ) AS claims,
    recent.orders_last_minute, recent.symbols, recent.entered_at
    FROM trading_state CROSS JOIN LATERAL (
        SELECT coalesce(sum(orders), 0)::int AS orders_last_minute,
               array_agg(symbol) FILTER (WHERE entered_at IS NOT NULL) AS symbols,
               array_agg(entered_at) FILTER (WHERE entered_at IS NOT NULL) AS entered_at
        FROM (
            SELECT symbol, count(*) FILTER (WHERE approved_at > $3) AS orders,
                   max(approved_at) FILTER (WHERE role = 'ENTRY') AS entered_at
            FROM risk_exposure WHERE account = $1 AND approved_at > $4 GROUP BY symbol
        ) AS by_symbol
    ) AS recent
    WHERE account = $1
"""
"""Everything that a decision looks at, in one round trip."""

SAVE_DECISION: Final = """
    INSERT INTO risk_decisions (
        account, signal_id, approved, strategy, symbol, side, role, reason, limit_text, observed,
        intent_id, quantity, limit_price, reference_price, stop_loss, take_profit, notional, expires_at,
        state, halt_epoch, risk_epoch, configuration_version, configuration_hash, inputs, decided_at
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
              $19, $20, $21, $22, $23, $24, $25)
"""

CLAIM: Final = """
    SELECT account, intent_id, signal_id, strategy, symbol, side, role, phase, notional, quantity, filled_quantity,
           filled_amount, revision, round_trips, bought_before, approved_at, updated_at
    FROM risk_exposure WHERE intent_id = $1
"""
OPEN_CLAIMS: Final = """
    SELECT account, intent_id, signal_id, strategy, symbol, side, role, phase, notional, quantity, filled_quantity,
           filled_amount, revision, round_trips, bought_before, approved_at, updated_at
    FROM risk_exposure WHERE account = $1 AND phase <> 'RELEASED' ORDER BY approved_at
"""
SAVE_CLAIM: Final = """
    INSERT INTO risk_exposure (
        account, intent_id, signal_id, strategy, symbol, side, role, phase, notional, quantity, filled_quantity,
        filled_amount, revision, round_trips, bought_before, approved_at, updated_at
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
    ON CONFLICT (intent_id) DO UPDATE SET
        phase = excluded.phase, notional = excluded.notional, filled_quantity = excluded.filled_quantity,
        filled_amount = excluded.filled_amount, revision = excluded.revision, updated_at = excluded.updated_at
"""
BOUGHT_BY_RELEASED: Final = """
    SELECT coalesce(sum(filled_quantity), 0) FROM risk_exposure
    WHERE account = $1 AND symbol = $2 AND role = 'ENTRY' AND phase = 'RELEASED' AND bought_before >= $3
"""
POSITIONS: Final = """
    SELECT account, symbol, revision, quantity, cost, round_trips, strategy, is_open, bought
    FROM risk_positions WHERE account = $1
"""
SAVE_POSITION: Final = """
    INSERT INTO risk_positions AS stored (
        account, symbol, revision, quantity, cost, round_trips, strategy, is_open, bought, updated_at
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (account, symbol) DO UPDATE SET
        revision = excluded.revision, quantity = excluded.quantity, cost = excluded.cost,
        round_trips = excluded.round_trips, strategy = excluded.strategy, is_open = excluded.is_open,
        bought = excluded.bought, updated_at = excluded.updated_at
    WHERE stored.revision < excluded.revision
    RETURNING 1
"""

MARK: Final = """
    SELECT account, equity, confirmed, marked_at, day, day_start_equity, peak_24h, quote_free, bids
    FROM equity_marks WHERE account = $1
"""
SAVE_MARK: Final = """
    INSERT INTO equity_marks AS stored (
        account, equity, confirmed, marked_at, day, day_start_equity, peak_24h, quote_free, bids
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (account) DO UPDATE SET
        equity = excluded.equity, confirmed = excluded.confirmed, marked_at = excluded.marked_at, day = excluded.day,
        day_start_equity = excluded.day_start_equity, peak_24h = excluded.peak_24h, quote_free = excluded.quote_free,
        bids = excluded.bids
    WHERE stored.marked_at < excluded.marked_at
    RETURNING 1
"""
WARN_ONCE: Final = """
    UPDATE equity_marks SET warned_on = $2 WHERE account = $1 AND warned_on IS DISTINCT FROM $2 RETURNING 1
"""

SETBACKS: Final = "SELECT peak, losing_trips, reached FROM setbacks WHERE account = $1"
SAVE_SETBACKS: Final = """
    INSERT INTO setbacks (account, peak, losing_trips, reached) VALUES ($1, $2, $3, $4)
    ON CONFLICT (account) DO UPDATE SET
        peak = excluded.peak, losing_trips = excluded.losing_trips, reached = excluded.reached
"""
TRIPS: Final = """
    SELECT account, symbol, revision, strategy, round_trips, pnl_at_close, opened_at, repetitions
    FROM trips WHERE account = $1 AND symbol = $2
"""
SAVE_TRIPS: Final = """
    INSERT INTO trips (account, symbol, revision, strategy, round_trips, pnl_at_close, opened_at, repetitions)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (account, symbol) DO UPDATE SET
        revision = excluded.revision, strategy = excluded.strategy, round_trips = excluded.round_trips,
        pnl_at_close = excluded.pnl_at_close, opened_at = excluded.opened_at, repetitions = excluded.repetitions
"""

STATE: Final = """
    SELECT account, wants_active, causes, halt_epoch, revision, since, trigger, reason, issuer, (
        SELECT coalesce(jsonb_agg(record ORDER BY latched_at, halt_id), '[]') FROM halts
        WHERE halts.account = trading_state.account AND cleared_at IS NULL
    ) AS latched
    FROM trading_state WHERE account = $1
"""
SAVE_STATE: Final = """
    INSERT INTO trading_state (
        account, state, wants_active, causes, halt_epoch, revision, since, trigger, reason, issuer
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (account) DO UPDATE SET
        state = excluded.state, wants_active = excluded.wants_active, causes = excluded.causes,
        halt_epoch = excluded.halt_epoch, revision = excluded.revision, since = excluded.since,
        trigger = excluded.trigger, reason = excluded.reason, issuer = excluded.issuer
"""
LATCH: Final = """
    INSERT INTO halts (account, halt_id, scope_symbol, scope_strategy, trigger, reason, issuer, halted_at, record,
                       latched_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (account, halt_id) DO NOTHING
"""
CLEAR: Final = """
    UPDATE halts SET cleared_at = $3, cleared_by = $4, cleared_reason = $5
    WHERE account = $1 AND cleared_at IS NULL AND halt_id <> ALL ($2)
"""
IS_SETTLED: Final = "SELECT 1 FROM halts WHERE account = $1 AND halt_id = $2 AND cleared_at IS NOT NULL"

COMMAND_HISTORY: Final = """
    SELECT EXISTS (SELECT 1 FROM commands WHERE command_id = $1) AS seen,
           coalesce((
               SELECT max(sequence) FROM commands WHERE key_id = $2 AND refusal IS NULL AND command <> 'HALT'
           ), -1) AS sequence_last
"""
SAVE_COMMAND: Final = """
    INSERT INTO commands (command_id, account, command, issuer, key_id, sequence, reason, refusal, path, issued_at,
                          handled_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (command_id) DO NOTHING
"""

OPERATOR_KEYS: Final = """
    SELECT key_id, name, role, accounts, accepted, reason, changed_at AS occurred_at FROM operator_keys
"""
SAVE_OPERATOR_KEY: Final = """
    INSERT INTO operator_keys (key_id, name, role, accounts, accepted, reason, changed_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (key_id) DO UPDATE SET
        name = excluded.name, role = excluded.role, accounts = excluded.accounts, accepted = excluded.accepted,
        reason = excluded.reason, changed_at = excluded.changed_at
"""

CONFIGURATION: Final = """
    SELECT version, configuration, origins, changes, loosened, issuer, reason, command_id, created_at
    FROM configuration_versions ORDER BY version DESC LIMIT 1
"""
SAVE_CONFIGURATION: Final = """
    INSERT INTO configuration_versions (
        version, configuration, hash, origins, changes, loosened, issuer, reason, command_id, created_at
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
