"""The risk state: decisions, exposure, positions and equity as they were told, the trading state, halts, commands."""

from libs.common.storage.migrations import execute

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE risk_manager.risk_decisions (
    account text NOT NULL,
    signal_id text NOT NULL,
    approved boolean NOT NULL,
    strategy text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    role text NOT NULL,
    reason text NOT NULL,
    limit_text text NOT NULL,
    observed text NOT NULL,
    intent_id uuid UNIQUE,
    quantity numeric,
    limit_price numeric,
    reference_price numeric,
    stop_loss numeric,
    take_profit numeric,
    notional numeric,
    expires_at timestamptz,
    state text NOT NULL,
    halt_epoch bigint NOT NULL,
    risk_epoch bigint NOT NULL,
    configuration_version integer NOT NULL,
    configuration_hash text NOT NULL,
    inputs jsonb NOT NULL,
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (account, signal_id),
    CHECK (approved = (intent_id IS NOT NULL)),
    CHECK (approved = (reason = ''))
);
CREATE INDEX risk_decisions_by_time ON risk_manager.risk_decisions (decided_at);
COMMENT ON TABLE risk_manager.risk_decisions IS 'The one answer to each signal and account, with what it was made on.';

CREATE TABLE risk_manager.risk_exposure (
    account text NOT NULL,
    intent_id uuid PRIMARY KEY,
    signal_id text NOT NULL,
    strategy text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    role text NOT NULL,
    phase text NOT NULL CHECK (phase IN ('RESERVED', 'WORKING', 'UNKNOWN', 'FILLED', 'RELEASED')),
    notional numeric NOT NULL CHECK (notional >= 0),
    quantity numeric NOT NULL CHECK (quantity > 0),
    filled_quantity numeric NOT NULL CHECK (filled_quantity >= 0),
    filled_amount numeric NOT NULL CHECK (filled_amount >= 0),
    revision integer NOT NULL,
    round_trips integer NOT NULL,
    approved_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX risk_exposure_open ON risk_manager.risk_exposure (account) WHERE phase <> 'RELEASED';
CREATE INDEX risk_exposure_by_time ON risk_manager.risk_exposure (account, approved_at);
COMMENT ON COLUMN risk_manager.risk_exposure.notional IS 'What the order claims of the limits now: an absolute value.';
COMMENT ON COLUMN risk_manager.risk_exposure.phase IS
    'FILLED: finished, but the position that came of it has not been reported yet; it still claims what it bought.';

CREATE TABLE risk_manager.risk_positions (
    account text NOT NULL,
    symbol text NOT NULL,
    revision integer NOT NULL,
    quantity numeric NOT NULL,
    cost numeric NOT NULL,
    round_trips integer NOT NULL,
    strategy text NOT NULL,
    is_open boolean NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (account, symbol)
);

CREATE TABLE risk_manager.equity_marks (
    account text PRIMARY KEY,
    equity numeric NOT NULL,
    confirmed boolean NOT NULL,
    marked_at timestamptz NOT NULL,
    day date NOT NULL,
    day_start_equity numeric NOT NULL,
    peak_24h numeric NOT NULL,
    quote_free numeric NOT NULL,
    bids jsonb NOT NULL,
    warned_on date
) WITH (fillfactor = 50);
COMMENT ON COLUMN risk_manager.equity_marks.warned_on IS 'The last day whose loss was warned of.';

CREATE TABLE risk_manager.trading_state (
    account text PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('ACTIVE', 'REDUCING', 'HALTED')),
    wants_active boolean NOT NULL,
    causes text[] NOT NULL,
    halt_epoch bigint NOT NULL,
    revision integer NOT NULL,
    since timestamptz NOT NULL,
    trigger text,
    reason text NOT NULL,
    issuer text NOT NULL
);
COMMENT ON COLUMN risk_manager.trading_state.causes IS 'What reduces the account for the moment and lifts by itself.';

CREATE TABLE risk_manager.halts (
    account text NOT NULL,
    halt_id text NOT NULL,
    scope_symbol text,
    scope_strategy text,
    trigger text NOT NULL,
    reason text NOT NULL,
    issuer text NOT NULL,
    halted_at timestamptz NOT NULL,
    record jsonb NOT NULL,
    latched_at timestamptz NOT NULL,
    cleared_at timestamptz,
    cleared_by text,
    cleared_reason text,
    PRIMARY KEY (account, halt_id)
);
CREATE INDEX halts_latched ON risk_manager.halts (account) WHERE cleared_at IS NULL;

CREATE TABLE risk_manager.commands (
    command_id uuid PRIMARY KEY,
    account text NOT NULL,
    command text NOT NULL,
    issuer text NOT NULL,
    key_id text NOT NULL,
    sequence bigint NOT NULL,
    reason text NOT NULL,
    refusal text,
    path text NOT NULL,
    issued_at timestamptz NOT NULL,
    handled_at timestamptz NOT NULL
);
CREATE INDEX commands_by_key ON risk_manager.commands (key_id, sequence);
"""

VIEWS = """
CREATE VIEW reading.risk_decisions AS
SELECT account, signal_id, approved, strategy, symbol, side, role, reason, limit_text AS "limit", observed, intent_id,
       quantity, limit_price, reference_price, stop_loss, take_profit, notional, expires_at, state, halt_epoch,
       risk_epoch, configuration_version, configuration_hash, inputs, decided_at
FROM risk_manager.risk_decisions;

CREATE VIEW reading.refusals AS
SELECT account, signal_id, strategy, symbol, side, role, reason, limit_text AS "limit", observed, decided_at
FROM risk_manager.risk_decisions WHERE NOT approved;

CREATE VIEW reading.exposure AS
SELECT account, intent_id, signal_id, strategy, symbol, side, role, phase, notional, quantity, filled_quantity,
       filled_amount, approved_at, updated_at
FROM risk_manager.risk_exposure WHERE phase <> 'RELEASED';

CREATE VIEW reading.trading_state AS
SELECT state.account, state.state, state.since, state.reason, state.issuer, state.trigger, state.causes,
       state.halt_epoch, state.revision, state.wants_active, latched.halts, latched.symbols_halted,
       latched.strategies_halted, mark.equity, mark.confirmed AS equity_confirmed, mark.marked_at AS equity_at,
       mark.day, mark.day_start_equity, mark.peak_24h, mark.equity - mark.day_start_equity AS pnl_today
FROM risk_manager.trading_state AS state
LEFT JOIN risk_manager.equity_marks AS mark USING (account)
LEFT JOIN LATERAL (
    SELECT coalesce(array_agg(halt_id ORDER BY latched_at, halt_id), '{}') AS halts,
           coalesce(array_agg(scope_symbol) FILTER (WHERE scope_symbol IS NOT NULL), '{}') AS symbols_halted,
           coalesce(array_agg(scope_strategy) FILTER (WHERE scope_strategy IS NOT NULL), '{}') AS strategies_halted
    FROM risk_manager.halts WHERE halts.account = state.account AND cleared_at IS NULL
) AS latched ON true;

CREATE VIEW reading.halts AS
SELECT account, halt_id, scope_symbol, scope_strategy, trigger, reason, issuer, halted_at, latched_at, cleared_at,
       cleared_by, cleared_reason
FROM risk_manager.halts;

CREATE VIEW reading.commands AS
SELECT command_id, account, command, issuer, key_id, reason, refusal, path, issued_at, handled_at
FROM risk_manager.commands;
"""


def upgrade() -> None:
    """Create the tables and the views that others read."""
    execute(TABLES)
    execute(VIEWS)


def downgrade() -> None:
    """Drop the views and the tables; the loop's own tables stay."""
    for view in ("commands", "halts", "trading_state", "exposure", "refusals", "risk_decisions"):
        execute(f"DROP VIEW reading.{view}")
    for table in (
        "commands",
        "halts",
        "trading_state",
        "equity_marks",
        "risk_positions",
        "risk_exposure",
        "risk_decisions",
    ):
        execute(f"DROP TABLE risk_manager.{table}")
