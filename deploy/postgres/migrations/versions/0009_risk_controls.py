"""What the risk manager counts of an account's round trips and losses, and the price that an order was decided at."""

from libs.common.storage.migrations import execute

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

COUNTS = """
CREATE TABLE risk_manager.setbacks (
    account text PRIMARY KEY,
    peak numeric NOT NULL CHECK (peak >= 0),
    losing_trips integer NOT NULL CHECK (losing_trips >= 0),
    reached boolean NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE risk_manager.setbacks IS 'What an account lost since it was started last: drawdown and losing row.';
COMMENT ON COLUMN risk_manager.setbacks.reached IS 'A limit was reached: the next start counts anew.';

CREATE TABLE risk_manager.trips (
    account text NOT NULL,
    symbol text NOT NULL,
    revision integer NOT NULL,
    strategy text NOT NULL,
    round_trips integer NOT NULL,
    pnl_at_close numeric NOT NULL,
    opened_at timestamptz,
    repetitions integer NOT NULL CHECK (repetitions >= 0),
    PRIMARY KEY (account, symbol)
);
COMMENT ON COLUMN risk_manager.trips.repetitions IS
    'Round trips of the strategy in a row that closed before it could decide anything.';
"""

REFERENCES_OF_ORDERS = """
ALTER TABLE trade_executor.order_intents ADD COLUMN reference_price numeric;
COMMENT ON COLUMN trade_executor.order_intents.reference_price IS
    'The price that the approval was decided at; none: a child, which was not decided.';
"""


def upgrade() -> None:
    """Create the tables, and let an intent keep its reference price."""
    execute(COUNTS)
    execute(REFERENCES_OF_ORDERS)


def downgrade() -> None:
    """Drop what `upgrade` created."""
    execute("ALTER TABLE trade_executor.order_intents DROP COLUMN reference_price")
    execute("DROP TABLE risk_manager.trips, risk_manager.setbacks")
