"""The executor's tables: intents, what became of them, executions, and the ledger of each account.

`order_intents` is what was decided and is never changed, but for the request of an exit, which is fixed when its turn
comes. `orders` is what became of it.
"""

from libs.common.storage.migrations import execute

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE trade_executor.order_intents (
    intent_id uuid PRIMARY KEY,
    chain_id uuid NOT NULL,
    account text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL CHECK (side IN ('BUY', 'SELL')),
    role text NOT NULL CHECK (role IN ('ENTRY', 'PROTECTION', 'EXIT', 'LIQUIDATION')),
    approved boolean NOT NULL,
    strategy text NOT NULL,
    signal_id text NOT NULL,
    client_order_id text NOT NULL UNIQUE CHECK (length(client_order_id) BETWEEN 1 AND 36),
    list_client_order_id text,
    order_type text NOT NULL,
    time_in_force text,
    quantity numeric NOT NULL CHECK (quantity > 0),
    price numeric CHECK (price > 0),
    stop_price numeric CHECK (stop_price > 0),
    stop_loss numeric,
    take_profit numeric,
    signed_at_ms bigint,
    recv_window_ms integer NOT NULL,
    fence_at_ms bigint,
    expires_at timestamptz,
    epoch bigint NOT NULL,
    halt_epoch bigint NOT NULL,
    risk_epoch bigint NOT NULL,
    configuration_version integer NOT NULL,
    configuration_hash text NOT NULL,
    cause_id uuid,
    correlation_id uuid,
    traceparent text,
    origin_at timestamptz,
    created_at timestamptz NOT NULL
);
CREATE INDEX order_intents_chain ON trade_executor.order_intents (chain_id);

CREATE TABLE trade_executor.orders (
    intent_id uuid PRIMARY KEY REFERENCES trade_executor.order_intents,
    account text NOT NULL,
    symbol text NOT NULL,
    status text NOT NULL,
    revision integer NOT NULL CHECK (revision > 0),
    filled_quantity numeric NOT NULL CHECK (filled_quantity >= 0),
    filled_amount numeric NOT NULL CHECK (filled_amount >= 0),
    execution_id bigint NOT NULL,
    exchange_order_id text,
    order_list_id text,
    reason text NOT NULL,
    final boolean NOT NULL,
    requested_at timestamptz,
    answered_at timestamptz,
    quarantined_at timestamptz,
    released_at timestamptz,
    updated_at timestamptz NOT NULL,
    UNIQUE (account, symbol, exchange_order_id)
);
CREATE INDEX orders_live ON trade_executor.orders (account, status)
    WHERE status IN ('PREPARED', 'SUBMITTED', 'UNKNOWN', 'QUARANTINED', 'ACCEPTED', 'PARTIALLY_FILLED');

CREATE TABLE trade_executor.chains (
    chain_id uuid PRIMARY KEY REFERENCES trade_executor.order_intents,
    account text NOT NULL,
    symbol text NOT NULL,
    is_open boolean NOT NULL,
    opened_at timestamptz NOT NULL,
    carried numeric NOT NULL DEFAULT 0,
    leftover numeric NOT NULL DEFAULT 0
);
COMMENT ON COLUMN trade_executor.chains.carried IS 'dust of closed chains that an exit of this one took over';
COMMENT ON COLUMN trade_executor.chains.leftover IS 'what it held when it closed, until another takes it over';
CREATE INDEX chains_open ON trade_executor.chains (account, symbol) WHERE is_open;
CREATE INDEX chains_dust ON trade_executor.chains (account, symbol) WHERE leftover <> 0;

CREATE TABLE trade_executor.fills (
    account text NOT NULL,
    symbol text NOT NULL,
    trade_id bigint NOT NULL,
    exchange_order_id text NOT NULL,
    intent_id uuid NOT NULL REFERENCES trade_executor.order_intents,
    chain_id uuid NOT NULL,
    side text NOT NULL CHECK (side IN ('BUY', 'SELL')),
    quantity numeric NOT NULL CHECK (quantity > 0),
    price numeric NOT NULL CHECK (price > 0),
    commission numeric NOT NULL CHECK (commission >= 0),
    commission_asset text NOT NULL,
    maker boolean NOT NULL,
    at_ms bigint NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account, symbol, trade_id, exchange_order_id)
);
CREATE INDEX fills_chain ON trade_executor.fills (chain_id);

CREATE TABLE trade_executor.ledger (
    account text NOT NULL,
    asset text NOT NULL,
    opening numeric NOT NULL,
    amount numeric NOT NULL,
    PRIMARY KEY (account, asset)
);
CREATE TABLE trade_executor.transfers (
    account text NOT NULL,
    asset text NOT NULL,
    at timestamptz NOT NULL,
    delta numeric NOT NULL,
    PRIMARY KEY (account, asset, at, delta)
);
CREATE TABLE trade_executor.trade_cursors (
    account text NOT NULL,
    symbol text NOT NULL,
    trade_id bigint NOT NULL,
    PRIMARY KEY (account, symbol)
);
CREATE TABLE trade_executor.differences (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account text NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    expected text NOT NULL,
    found text NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    resolved_at timestamptz
);
CREATE UNIQUE INDEX differences_open ON trade_executor.differences (account, kind, subject) WHERE resolved_at IS NULL;
"""

VIEWS = """
CREATE VIEW reading.intents AS
    SELECT intent_id, chain_id, account, symbol, side, role, approved, strategy, signal_id, client_order_id,
           list_client_order_id, order_type AS type, time_in_force, quantity, price, stop_price, stop_loss, take_profit,
           signed_at_ms, recv_window_ms, fence_at_ms, expires_at, epoch, halt_epoch, risk_epoch, configuration_version,
           configuration_hash, correlation_id, origin_at, created_at
    FROM trade_executor.order_intents;

CREATE VIEW reading.orders AS
    SELECT intent.client_order_id, state.exchange_order_id, intent.account, intent.symbol, intent.side,
           intent.order_type AS type, intent.quantity, intent.price, intent.stop_price,
           CASE state.status WHEN 'NOT_ACCEPTED' THEN 'REJECTED' ELSE state.status END AS status,
           state.filled_quantity, state.filled_amount, intent.created_at, intent.intent_id, intent.chain_id,
           intent.role,
           intent.strategy, intent.signal_id, intent.list_client_order_id, state.order_list_id, state.reason,
           state.final,
           state.revision, intent.correlation_id, intent.origin_at, state.requested_at, state.answered_at,
           state.updated_at
    FROM trade_executor.order_intents AS intent JOIN trade_executor.orders AS state USING (intent_id);

CREATE VIEW reading.fills AS
    SELECT fill.trade_id, intent.client_order_id, fill.account, fill.symbol, fill.side, fill.quantity, fill.price,
           fill.commission, fill.commission_asset, timestamptz 'epoch' + fill.at_ms * interval '1 millisecond' AS at,
           fill.exchange_order_id, fill.intent_id, fill.chain_id, intent.role, intent.strategy, fill.maker,
           fill.recorded_at
    FROM trade_executor.fills AS fill JOIN trade_executor.order_intents AS intent USING (intent_id);

CREATE VIEW reading.chains AS
    SELECT chain_id, account, symbol, is_open, opened_at, carried, leftover FROM trade_executor.chains;

CREATE VIEW reading.differences AS
    SELECT id, account, kind, subject, expected, found, first_seen_at, last_seen_at, resolved_at
    FROM trade_executor.differences;

CREATE VIEW reading.executor_ledger AS
    SELECT account, asset, opening, amount FROM trade_executor.ledger;
"""


def upgrade() -> None:
    """Create tables and views."""
    execute(TABLES)
    execute(VIEWS)
    execute(
        "GRANT SELECT ON reading.intents, reading.orders, reading.fills, reading.chains, reading.differences,"
        " reading.executor_ledger"
        " TO reader"
    )


def downgrade() -> None:
    """Drop what upgrade created."""
    execute(
        "DROP VIEW reading.intents, reading.orders, reading.fills, reading.chains, reading.differences,"
        " reading.executor_ledger"
    )
    execute(
        "DROP TABLE trade_executor.fills, trade_executor.chains, trade_executor.orders, trade_executor.order_intents,"
        " trade_executor.ledger, trade_executor.transfers, trade_executor.trade_cursors, trade_executor.differences"
    )
