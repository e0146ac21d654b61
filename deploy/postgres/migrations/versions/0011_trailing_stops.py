"""Trailing stops: how far they trail, and where they belong."""

from libs.common.storage.migrations import execute

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

POSITIONS = """
ALTER TABLE position_manager.positions ADD COLUMN trailing_distance numeric, ADD COLUMN trailing_stop numeric;
COMMENT ON COLUMN position_manager.positions.trailing_distance IS
    'How far below the highest price the stop follows it; null: it stays where it is.';
COMMENT ON COLUMN position_manager.positions.trailing_stop IS
    'Where a stop that trails belongs; stop_loss says where it rests.';
"""

CHAINS = """
ALTER TABLE trade_executor.order_intents ADD COLUMN trailing_distance numeric;
COMMENT ON COLUMN trade_executor.order_intents.trailing_distance IS
    'Of an entry: how far below the highest price its stop follows it; null: it stays where it is.';
ALTER TABLE trade_executor.chains ADD COLUMN stop_loss numeric;
COMMENT ON COLUMN trade_executor.chains.stop_loss IS
    'Where the position manager moved the stop; null: it belongs where the entry put it.';
"""


def upgrade() -> None:
    """Add the columns."""
    execute(POSITIONS)
    execute(CHAINS)


def downgrade() -> None:
    """Drop them."""
    execute("ALTER TABLE trade_executor.chains DROP COLUMN stop_loss")
    execute("ALTER TABLE trade_executor.order_intents DROP COLUMN trailing_distance")
    execute("ALTER TABLE position_manager.positions DROP COLUMN trailing_stop, DROP COLUMN trailing_distance")
