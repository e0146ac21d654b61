"""The ledger: positions, balances, bookings, the equity of every minute and the days' baselines."""

from libs.common.storage.migrations import execute

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE position_manager.accounts (
    account text PRIMARY KEY,
    quote_asset text NOT NULL,
    opened_at timestamptz NOT NULL
);
COMMENT ON COLUMN position_manager.accounts.opened_at IS
    'The exchange''s time of the opening balances: fills up to then were in them already.';

CREATE TABLE position_manager.balances (
    account text NOT NULL REFERENCES position_manager.accounts,
    asset text NOT NULL,
    opening numeric NOT NULL,
    balance numeric NOT NULL,
    PRIMARY KEY (account, asset)
);
COMMENT ON TABLE position_manager.balances IS
    'opening: what was there before the system''s first fill; balance: what the fills since make of it.';

CREATE TABLE position_manager.positions (
    account text NOT NULL REFERENCES position_manager.accounts,
    symbol text NOT NULL,
    revision integer NOT NULL CHECK (revision > 0),
    strategy text NOT NULL,
    quantity numeric NOT NULL CHECK (quantity >= 0),
    cost numeric NOT NULL CHECK (cost >= 0),
    entry_price numeric,
    realised_pnl numeric NOT NULL,
    fees numeric NOT NULL CHECK (fees >= 0),
    stop_loss numeric,
    take_profit numeric,
    entry_intent_id uuid,
    opened_at timestamptz,
    opened_revision integer NOT NULL,
    round_trips integer NOT NULL,
    pnl_at_close numeric NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (account, symbol)
);
COMMENT ON COLUMN position_manager.positions.realised_pnl IS 'Without fees; net of them it is realised_pnl - fees.';
COMMENT ON COLUMN position_manager.positions.opened_at IS 'Null while the position is flat (nothing, or dust).';

CREATE TABLE position_manager.position_fills (
    account text NOT NULL,
    symbol text NOT NULL,
    trade_id bigint NOT NULL,
    exchange_order_id text NOT NULL,
    intent_id uuid NOT NULL,
    client_order_id text NOT NULL,
    side text NOT NULL,
    role text NOT NULL,
    quantity numeric NOT NULL CHECK (quantity > 0),
    price numeric NOT NULL CHECK (price > 0),
    commission numeric NOT NULL CHECK (commission >= 0),
    commission_asset text NOT NULL,
    base_change numeric NOT NULL,
    quote_change numeric NOT NULL,
    fee_outside numeric NOT NULL,
    realised_pnl numeric NOT NULL,
    fees numeric NOT NULL,
    occurred_at timestamptz NOT NULL,
    booked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account, symbol, trade_id, exchange_order_id)
);
CREATE INDEX position_fills_by_time ON position_manager.position_fills (account, occurred_at);
COMMENT ON COLUMN position_manager.position_fills.realised_pnl IS 'Of the position after this fill, net of fees.';

CREATE TABLE position_manager.round_trips (
    account text NOT NULL,
    symbol text NOT NULL,
    number integer NOT NULL,
    strategy text NOT NULL,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz NOT NULL,
    pnl numeric NOT NULL,
    PRIMARY KEY (account, symbol, number)
);
CREATE INDEX round_trips_by_time ON position_manager.round_trips (account, closed_at);

CREATE TABLE position_manager.order_locks (
    account text NOT NULL,
    client_order_id text NOT NULL,
    revision integer NOT NULL,
    locked numeric NOT NULL CHECK (locked >= 0),
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (account, client_order_id)
);

CREATE TABLE position_manager.equity_snapshots (
    account text NOT NULL REFERENCES position_manager.accounts,
    minute_at timestamptz NOT NULL,
    marked_at timestamptz NOT NULL,
    equity numeric NOT NULL,
    confirmed boolean NOT NULL,
    confirmed_at timestamptz,
    confirmed_equity numeric,
    equity_high numeric,
    equity_low numeric,
    day date NOT NULL,
    day_start_equity numeric NOT NULL,
    peak_24h numeric NOT NULL,
    realised_pnl numeric NOT NULL,
    unrealised_pnl numeric NOT NULL,
    fees numeric NOT NULL,
    quote_free numeric NOT NULL,
    positions_open integer NOT NULL,
    marks jsonb NOT NULL,
    PRIMARY KEY (account, minute_at)
) WITH (fillfactor = 70);
COMMENT ON TABLE position_manager.equity_snapshots IS
    'One row a minute; the newest is overwritten every second and so is the present mark.';

CREATE TABLE position_manager.day_baselines (
    account text NOT NULL REFERENCES position_manager.accounts,
    day date NOT NULL,
    equity numeric NOT NULL,
    source text NOT NULL CHECK (source IN ('mark', 'candle', 'opening')),
    marked_at timestamptz NOT NULL,
    PRIMARY KEY (account, day)
);
"""

VIEWS = """
CREATE VIEW reading.positions AS
SELECT position.account, position.symbol, position.quantity, position.entry_price,
       CASE WHEN position.quantity = 0 THEN 0 ELSE position.quantity * mark.bid - position.cost END AS unrealised_pnl,
       position.stop_loss, position.take_profit, position.opened_at IS NOT NULL AS is_open, position.opened_at,
       position.strategy, position.cost, position.realised_pnl - position.fees AS realised_pnl, position.fees,
       position.round_trips, mark.bid AS mark_price, latest.marked_at, position.entry_intent_id, position.revision,
       position.updated_at
FROM position_manager.positions AS position
LEFT JOIN LATERAL (
    SELECT marks, marked_at FROM position_manager.equity_snapshots AS snapshot
    WHERE snapshot.account = position.account ORDER BY minute_at DESC LIMIT 1
) AS latest ON true
LEFT JOIN LATERAL (SELECT (latest.marks ->> position.symbol)::numeric AS bid) AS mark ON true;

CREATE VIEW reading.equity AS
SELECT account, minute_at, marked_at, equity, confirmed, day, day_start_equity, equity - day_start_equity AS pnl_today,
       peak_24h, equity_high, equity_low, realised_pnl, unrealised_pnl, fees, quote_free, positions_open, marks
FROM position_manager.equity_snapshots;

CREATE VIEW reading.day_baselines AS
SELECT account, day, equity, source, marked_at FROM position_manager.day_baselines;

CREATE VIEW reading.balances AS
SELECT account, asset, opening, balance FROM position_manager.balances;

CREATE VIEW reading.round_trips AS
SELECT account, symbol, number, strategy, opened_at, closed_at, pnl FROM position_manager.round_trips;

CREATE VIEW reading.booked_fills AS
SELECT account, symbol, trade_id, exchange_order_id, intent_id, client_order_id, side, role, quantity, price,
       commission, commission_asset, base_change, quote_change, fee_outside, occurred_at, booked_at
FROM position_manager.position_fills;

CREATE VIEW reading.performance AS
SELECT baseline.account, baseline.day, baseline.equity AS equity_start, baseline.source AS equity_start_source,
       coalesce(newest.equity, baseline.equity) AS equity_end,
       coalesce(newest.equity, baseline.equity) - baseline.equity AS pnl,
       extremes.equity_high, extremes.equity_low,
       trades.fills, trades.turnover, trips.round_trips, trips.wins, trips.pnl_best, trips.pnl_worst
FROM position_manager.day_baselines AS baseline
LEFT JOIN LATERAL (
    SELECT equity FROM position_manager.equity_snapshots AS snapshot
    WHERE snapshot.account = baseline.account
      AND minute_at >= baseline.day::timestamp AT TIME ZONE 'UTC'
      AND minute_at < (baseline.day + 1)::timestamp AT TIME ZONE 'UTC'
    ORDER BY minute_at DESC LIMIT 1
) AS newest ON true
LEFT JOIN LATERAL (
    SELECT max(equity_high) AS equity_high, min(equity_low) AS equity_low
    FROM position_manager.equity_snapshots AS snapshot
    WHERE snapshot.account = baseline.account
      AND minute_at >= baseline.day::timestamp AT TIME ZONE 'UTC'
      AND minute_at < (baseline.day + 1)::timestamp AT TIME ZONE 'UTC'
) AS extremes ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS fills, coalesce(sum(quantity * price), 0) AS turnover
    FROM position_manager.position_fills AS fill
    WHERE fill.account = baseline.account
      AND occurred_at >= baseline.day::timestamp AT TIME ZONE 'UTC'
      AND occurred_at < (baseline.day + 1)::timestamp AT TIME ZONE 'UTC'
) AS trades ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS round_trips, count(*) FILTER (WHERE pnl > 0) AS wins, max(pnl) AS pnl_best, min(pnl) AS pnl_worst
    FROM position_manager.round_trips AS trip
    WHERE trip.account = baseline.account
      AND closed_at >= baseline.day::timestamp AT TIME ZONE 'UTC'
      AND closed_at < (baseline.day + 1)::timestamp AT TIME ZONE 'UTC'
) AS trips ON true;
"""

VIEW_NAMES = ("positions", "equity", "day_baselines", "balances", "round_trips", "booked_fills", "performance")
TABLE_NAMES = (
    "day_baselines",
    "equity_snapshots",
    "order_locks",
    "round_trips",
    "position_fills",
    "positions",
    "balances",
    "accounts",
)


def upgrade() -> None:
    """Create the ledger and its views."""
    execute(TABLES)
    execute(VIEWS)


def downgrade() -> None:
    """Drop the views and the ledger; the loop's tables are those of revision 0001."""
    for view in VIEW_NAMES:
        execute(f"DROP VIEW reading.{view}")
    for table in TABLE_NAMES:
        execute(f"DROP TABLE position_manager.{table}")
