"""Differences that stay until they are settled, and what moves balances without an order.

A difference names one exact figure by its id: when the figure changes, the row is superseded and another one opened.
`movements` are transfers and accepted differences, in the executor's schema and in the position manager's alike.
"""

from libs.common.storage.migrations import execute

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

DIFFERENCES = """
DROP VIEW reading.differences;
ALTER TABLE trade_executor.differences RENAME COLUMN first_seen_at TO since;
ALTER TABLE trade_executor.differences RENAME COLUMN resolved_at TO settled_at;
ALTER TABLE trade_executor.differences
    ADD COLUMN symbol text,
    ADD COLUMN figure text NOT NULL DEFAULT '',
    ADD COLUMN settled_by text CHECK (settled_by IN ('ACCEPTED', 'EXPLAINED', 'SUPERSEDED')),
    ADD COLUMN issuer text,
    ADD COLUMN reason text;
UPDATE trade_executor.differences
    SET settled_at = coalesce(settled_at, clock_timestamp()), settled_by = 'EXPLAINED';
ALTER TABLE trade_executor.differences
    ALTER COLUMN figure DROP DEFAULT,
    ADD CONSTRAINT differences_settled CHECK ((settled_at IS NULL) = (settled_by IS NULL));
COMMENT ON COLUMN trade_executor.differences.symbol IS 'The market that is halted for it; null: the whole account.';
COMMENT ON COLUMN trade_executor.differences.figure IS 'What an acceptance of this id accepts, and nothing else.';

CREATE TABLE trade_executor.acceptances (
    command_id uuid PRIMARY KEY,
    account text NOT NULL,
    difference_id bigint NOT NULL,
    key_id text NOT NULL,
    sequence bigint NOT NULL,
    issuer text NOT NULL,
    reason text NOT NULL,
    expires_at timestamptz NOT NULL,
    outcome text,
    decided_at timestamptz
);
COMMENT ON COLUMN trade_executor.acceptances.outcome IS 'Null until it is decided; empty: booked; else why not.';
CREATE INDEX acceptances_by_key ON trade_executor.acceptances (key_id, sequence);
CREATE INDEX acceptances_waiting ON trade_executor.acceptances (account) WHERE outcome IS NULL;

CREATE TABLE trade_executor.stray_trades (
    account text NOT NULL,
    symbol text NOT NULL,
    trade_id bigint NOT NULL,
    exchange_order_id text NOT NULL,
    client_order_id text NOT NULL,
    side text NOT NULL CHECK (side IN ('BUY', 'SELL')),
    quantity numeric NOT NULL CHECK (quantity > 0),
    price numeric NOT NULL CHECK (price > 0),
    commission numeric NOT NULL,
    commission_asset text NOT NULL,
    at_ms bigint NOT NULL,
    settled_by uuid,
    PRIMARY KEY (account, symbol, trade_id, exchange_order_id)
);
COMMENT ON TABLE trade_executor.stray_trades IS 'Executions on the account of orders that are not in our books.';
COMMENT ON COLUMN trade_executor.stray_trades.settled_by IS 'The command that accepted it into the ledger.';
CREATE INDEX stray_trades_open ON trade_executor.stray_trades (account) WHERE settled_by IS NULL;

CREATE VIEW reading.differences AS
    SELECT id, account, symbol, kind, subject, expected, found, since, settled_at AS accepted_at, settled_by, issuer,
           reason, last_seen_at
    FROM trade_executor.differences;
COMMENT ON COLUMN reading.differences.accepted_at IS
    'When it was settled: accepted by a person, explained by what came later, or superseded; null: open.';
GRANT SELECT ON reading.differences TO reader, risk_manager;
"""

MOVEMENTS = """
CREATE TABLE {schema}.movements (
    account text NOT NULL,
    reference text NOT NULL,
    asset text NOT NULL,
    delta numeric NOT NULL,
    kind text NOT NULL CHECK (kind IN ('TRANSFER', 'DIFFERENCE')),
    at timestamptz NOT NULL,
    reason text NOT NULL,
    issuer text NOT NULL,
    PRIMARY KEY (account, kind, reference, asset)
);
COMMENT ON TABLE {schema}.movements IS 'What moved balances without an order of ours.';
"""

FROM_TRANSFERS = """
INSERT INTO trade_executor.movements (account, reference, asset, delta, kind, at, reason, issuer)
    SELECT account, asset || ' ' || delta || ' ' || (extract(epoch FROM at) * 1000)::bigint, asset, delta, 'TRANSFER',
           at, '', 'exchange'
    FROM trade_executor.transfers;
DROP TABLE trade_executor.transfers;
"""

VIEWS = """
ALTER TABLE position_manager.movements ADD COLUMN in_opening boolean NOT NULL;
COMMENT ON COLUMN position_manager.movements.in_opening IS 'The balances that the ledger began with contained it.';
CREATE VIEW reading.executor_movements AS
    SELECT account, kind, reference, asset, delta, at, reason, issuer FROM trade_executor.movements;
CREATE VIEW reading.movements AS
    SELECT account, kind, reference, asset, delta, at, reason, issuer, in_opening FROM position_manager.movements;
GRANT SELECT ON reading.executor_movements, reading.movements TO reader;
"""

BEFORE = """
DROP VIEW reading.executor_movements, reading.movements, reading.differences;
CREATE TABLE trade_executor.transfers (
    account text NOT NULL,
    asset text NOT NULL,
    at timestamptz NOT NULL,
    delta numeric NOT NULL,
    PRIMARY KEY (account, asset, at, delta)
);
INSERT INTO trade_executor.transfers (account, asset, at, delta)
    SELECT DISTINCT account, asset, at, delta FROM trade_executor.movements WHERE kind = 'TRANSFER';
DROP TABLE trade_executor.movements, position_manager.movements, trade_executor.stray_trades,
    trade_executor.acceptances;
ALTER TABLE trade_executor.differences
    DROP COLUMN symbol, DROP COLUMN figure, DROP COLUMN settled_by, DROP COLUMN issuer, DROP COLUMN reason;
ALTER TABLE trade_executor.differences RENAME COLUMN since TO first_seen_at;
ALTER TABLE trade_executor.differences RENAME COLUMN settled_at TO resolved_at;
CREATE VIEW reading.differences AS
    SELECT id, account, kind, subject, expected, found, first_seen_at, last_seen_at, resolved_at
    FROM trade_executor.differences;
GRANT SELECT ON reading.differences TO reader;
"""


# Whether what was published is still known is asked for each topic, however long ago that was.
PUBLISHED = "CREATE INDEX outbox_by_topic ON trade_executor.outbox (account, topic, sequence)"


def upgrade() -> None:
    """Make differences exact and durable, and give both ledgers what moves balances without an order."""
    execute(DIFFERENCES)
    execute(MOVEMENTS.format(schema="trade_executor"))
    execute(MOVEMENTS.format(schema="position_manager"))
    execute(FROM_TRANSFERS)
    execute(VIEWS)
    execute(PUBLISHED)


def downgrade() -> None:
    """Return to differences that only tell, and to transfers as they were."""
    execute("DROP INDEX trade_executor.outbox_by_topic")
    execute(BEFORE)
