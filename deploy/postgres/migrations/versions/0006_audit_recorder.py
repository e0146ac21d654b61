"""The audit log, which can only grow, and the read models made of the same messages."""

from libs.common.storage.migrations import execute

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

AUDIT_LOG = """
CREATE TABLE audit_recorder.audit_log (
    topic text NOT NULL,
    partition integer NOT NULL,
    offset_first bigint NOT NULL,
    offset_last bigint NOT NULL CHECK (offset_last >= offset_first),
    kind text NOT NULL CHECK (kind IN ('EVENT', 'POISON', 'DIGEST', 'GAP')),
    event_id uuid,
    event_type text NOT NULL,
    key text NOT NULL,
    recorded_at timestamptz NOT NULL,
    occurred_at timestamptz,
    correlation_id uuid,
    causation_id uuid,
    headers jsonb NOT NULL,
    payload text NOT NULL,
    previous_hash bytea NOT NULL CHECK (length(previous_hash) = 32),
    hash bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (topic, partition, offset_last)
);
COMMENT ON TABLE audit_recorder.audit_log IS
    'Append-only; hash = SHA-256(previous_hash, canonical form of the other columns), a chain per topic and partition';

-- One order's story is read by its correlation; what comes every second belongs to no story.
CREATE INDEX audit_log_stories ON audit_recorder.audit_log (correlation_id)
    WHERE topic NOT IN ('heartbeats', 'logs', 'market.status', 'account.equity');

CREATE FUNCTION audit_recorder.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_log is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_recorder.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_recorder.refuse_change();

REVOKE ALL ON audit_recorder.audit_log FROM audit_recorder;
GRANT INSERT ON audit_recorder.audit_log TO audit_recorder;

-- Where each chain ends, and the digest of market data that will be its next record.
CREATE TABLE audit_recorder.chain_heads (
    topic text NOT NULL,
    partition integer NOT NULL,
    offset_last bigint NOT NULL,
    hash bytea NOT NULL,
    digest_minute_at timestamptz,
    digest_offset_first bigint,
    digest_offset_last bigint,
    digest_hash bytea,
    PRIMARY KEY (topic, partition),
    CHECK (num_nulls(digest_minute_at, digest_offset_first, digest_offset_last, digest_hash) IN (0, 4))
) WITH (fillfactor = 50);

CREATE TABLE audit_recorder.audit_references (
    reference text NOT NULL,
    root_intent_id uuid NOT NULL,
    correlation_id uuid NOT NULL,
    PRIMARY KEY (reference, root_intent_id, correlation_id)
);
CREATE INDEX audit_references_of_root ON audit_recorder.audit_references (root_intent_id);
"""

READ_MODELS = """
CREATE TABLE audit_recorder.auto_trading_config (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id integer NOT NULL DEFAULT 1,
    is_enabled boolean NOT NULL DEFAULT FALSE,
    trading_mode text NOT NULL DEFAULT 'CONSERVATIVE',
    max_daily_loss_pct numeric NOT NULL DEFAULT 3.0,
    max_positions integer NOT NULL DEFAULT 5,
    trading_interval integer NOT NULL DEFAULT 300,
    symbols text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    account text NOT NULL,
    configuration_hash text NOT NULL,
    configuration jsonb NOT NULL
);
CREATE INDEX auto_trading_config_of_account ON audit_recorder.auto_trading_config (account, id);

CREATE TABLE audit_recorder.auto_trading_logs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id integer NOT NULL DEFAULT 1,
    "timestamp" timestamptz NOT NULL,
    log_level text NOT NULL CHECK (log_level IN ('INFO', 'WARNING', 'ERROR')),
    component text NOT NULL,
    message text NOT NULL,
    data text NOT NULL DEFAULT '{}',
    instance text NOT NULL,
    event_id uuid NOT NULL UNIQUE
);
CREATE INDEX auto_trading_logs_in_time ON audit_recorder.auto_trading_logs ("timestamp");

CREATE TABLE audit_recorder.ai_signals_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id integer NOT NULL DEFAULT 1,
    symbol text NOT NULL,
    signal_type text NOT NULL CHECK (signal_type IN ('BUY', 'SELL', 'HOLD')),
    confidence_score integer CHECK (confidence_score BETWEEN 0 AND 100),
    entry_price numeric NOT NULL,
    stop_loss numeric,
    take_profit numeric,
    executed boolean NOT NULL DEFAULT FALSE,
    execution_price numeric,
    created_at timestamptz NOT NULL,
    executed_at timestamptz,
    signal_id text NOT NULL UNIQUE,
    role text,
    strategy text NOT NULL,
    account text,
    quality_score integer,
    reasons jsonb NOT NULL,
    correlation_id uuid NOT NULL
);
CREATE INDEX ai_signals_log_in_time ON audit_recorder.ai_signals_log (created_at);

-- What became of each signal's orders, by absolute values; ai_signals_log takes its execution from here.
CREATE TABLE audit_recorder.signal_executions (
    intent_id uuid PRIMARY KEY,
    signal_id text NOT NULL,
    account text NOT NULL,
    revision integer NOT NULL,
    filled_quantity numeric NOT NULL,
    filled_amount numeric NOT NULL,
    executed_at timestamptz
);
CREATE INDEX signal_executions_of_signal ON audit_recorder.signal_executions (signal_id);

CREATE TABLE audit_recorder.system_status (
    component text NOT NULL,
    instance text NOT NULL,
    heartbeat_at timestamptz NOT NULL,
    ready boolean NOT NULL,
    sequence bigint NOT NULL,
    handled bigint NOT NULL,
    lag jsonb NOT NULL,
    lag_records bigint NOT NULL,
    loop_lag_ms numeric NOT NULL,
    configuration_hash text NOT NULL,
    started_at timestamptz NOT NULL,
    PRIMARY KEY (component, instance)
) WITH (fillfactor = 50);

CREATE TABLE audit_recorder.system_status_history (
    component text NOT NULL,
    instance text NOT NULL,
    minute_at timestamptz NOT NULL,
    ready boolean NOT NULL,
    sequence bigint NOT NULL,
    handled bigint NOT NULL,
    lag jsonb NOT NULL,
    lag_records bigint NOT NULL,
    loop_lag_ms numeric NOT NULL,
    configuration_hash text NOT NULL,
    started_at timestamptz NOT NULL,
    PRIMARY KEY (component, instance, minute_at)
) WITH (fillfactor = 70);
CREATE INDEX system_status_history_in_time ON audit_recorder.system_status_history (minute_at);

CREATE TABLE audit_recorder.candles (
    symbol text NOT NULL,
    interval_s integer NOT NULL,
    open_at timestamptz NOT NULL,
    close_at timestamptz NOT NULL,
    open numeric NOT NULL,
    high numeric NOT NULL,
    low numeric NOT NULL,
    close numeric NOT NULL,
    volume numeric NOT NULL,
    trades bigint NOT NULL,
    partial boolean NOT NULL,
    backfilled boolean NOT NULL,
    PRIMARY KEY (symbol, interval_s, open_at)
);
CREATE INDEX candles_in_time ON audit_recorder.candles (open_at);

CREATE TABLE audit_recorder.performance_data (
    account text NOT NULL,
    minute_at timestamptz NOT NULL,
    marked_at timestamptz NOT NULL,
    equity numeric NOT NULL,
    confirmed boolean NOT NULL,
    day date NOT NULL,
    day_start_equity numeric NOT NULL,
    peak_24h numeric NOT NULL,
    pnl_today numeric NOT NULL,
    realised_pnl numeric NOT NULL,
    unrealised_pnl numeric NOT NULL,
    quote_free numeric NOT NULL,
    positions_open integer NOT NULL,
    PRIMARY KEY (account, minute_at)
) WITH (fillfactor = 70);
CREATE INDEX performance_data_in_time ON audit_recorder.performance_data (minute_at);
"""

VIEWS = """
CREATE VIEW reading.audit AS SELECT * FROM audit_recorder.audit_log;
CREATE VIEW reading.audit_heads AS
    SELECT topic, partition, offset_last, hash, coalesce(digest_offset_last, offset_last) AS offset_recorded
    FROM audit_recorder.chain_heads;
CREATE VIEW reading.audit_references AS SELECT * FROM audit_recorder.audit_references;
CREATE VIEW reading.auto_trading_config AS SELECT * FROM audit_recorder.auto_trading_config;
CREATE VIEW reading.logs AS SELECT * FROM audit_recorder.auto_trading_logs;
CREATE VIEW reading.signals AS SELECT * FROM audit_recorder.ai_signals_log;
CREATE VIEW reading.signal_executions AS SELECT * FROM audit_recorder.signal_executions;
CREATE VIEW reading.system_status AS SELECT * FROM audit_recorder.system_status;
CREATE VIEW reading.system_status_history AS SELECT * FROM audit_recorder.system_status_history;
CREATE VIEW reading.candles AS SELECT * FROM audit_recorder.candles;
CREATE VIEW reading.performance_data AS SELECT * FROM audit_recorder.performance_data;
CREATE VIEW reading.performance_days AS
    SELECT DISTINCT ON (account, day) account, day, marked_at, day_start_equity, equity AS day_end_equity, pnl_today,
           realised_pnl, unrealised_pnl
    FROM audit_recorder.performance_data WHERE confirmed ORDER BY account, day, minute_at DESC;
"""

VIEW_NAMES = (
    "audit",
    "audit_heads",
    "audit_references",
    "auto_trading_config",
    "logs",
    "signals",
    "signal_executions",
    "system_status",
    "system_status_history",
    "candles",
    "performance_data",
    "performance_days",
)


def upgrade() -> None:
    """Create the audit log, the read models and their views."""
    execute(AUDIT_LOG)
    execute(READ_MODELS)
    execute(VIEWS)
    execute(f"GRANT SELECT ON {', '.join('reading.' + name for name in VIEW_NAMES)} TO reader")


def downgrade() -> None:
    """Drop what `upgrade` created."""
    execute(f"DROP VIEW {', '.join('reading.' + name for name in reversed(VIEW_NAMES))}")
    execute(
        "DROP TABLE audit_recorder.performance_data, audit_recorder.candles, audit_recorder.system_status_history,"
        " audit_recorder.system_status, audit_recorder.signal_executions, audit_recorder.ai_signals_log,"
        " audit_recorder.auto_trading_logs, audit_recorder.auto_trading_config, audit_recorder.audit_references,"
        " audit_recorder.chain_heads, audit_recorder.audit_log"
    )
    execute("DROP FUNCTION audit_recorder.refuse_change()")
