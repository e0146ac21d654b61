"""What was bought of each symbol since the beginning, and from where on a claim counts it."""

from libs.common.storage.migrations import execute

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

POSITIONS = """
ALTER TABLE position_manager.positions ADD COLUMN bought numeric NOT NULL DEFAULT 0 CHECK (bought >= 0);
COMMENT ON COLUMN position_manager.positions.bought IS
    'All that was ever bought, gross of commissions: the sum of the quantities of the BUY fills.';
UPDATE position_manager.positions AS position SET bought = fills.bought
FROM (
    SELECT account, symbol, sum(quantity) AS bought FROM position_manager.position_fills
    WHERE side = 'BUY' GROUP BY account, symbol
) AS fills
WHERE position.account = fills.account AND position.symbol = fills.symbol;
"""

CLAIMS = """
ALTER TABLE risk_manager.risk_positions ADD COLUMN bought numeric;
COMMENT ON COLUMN risk_manager.risk_positions.bought IS
    'As the position manager last told it; null: told by a version that did not.';
ALTER TABLE risk_manager.risk_exposure ADD COLUMN bought_before numeric;
COMMENT ON COLUMN risk_manager.risk_exposure.bought_before IS
    'What was bought before it and before those open beside it; null: nobody knew, and round trips settle it.';
CREATE INDEX risk_exposure_bought ON risk_manager.risk_exposure (account, symbol, bought_before)
    WHERE role = 'ENTRY' AND phase = 'RELEASED';
"""


def upgrade() -> None:
    """Add the columns; the ledger's own is filled from its bookings."""
    execute(POSITIONS)
    execute(CLAIMS)


def downgrade() -> None:
    """Drop them."""
    execute("DROP INDEX risk_manager.risk_exposure_bought")
    execute("ALTER TABLE risk_manager.risk_exposure DROP COLUMN bought_before")
    execute("ALTER TABLE risk_manager.risk_positions DROP COLUMN bought")
    execute("ALTER TABLE position_manager.positions DROP COLUMN bought")
