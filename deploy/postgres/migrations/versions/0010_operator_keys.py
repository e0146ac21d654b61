"""Which keys of operators the risk manager has seen, so that every change of their file is told once."""

from libs.common.storage.migrations import execute

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

KEYS = """
CREATE TABLE risk_manager.operator_keys (
    key_id text PRIMARY KEY,
    name text NOT NULL,
    role text NOT NULL,
    accounts text[] NOT NULL,
    accepted boolean NOT NULL,
    reason text NOT NULL,
    changed_at timestamptz NOT NULL
);
COMMENT ON TABLE risk_manager.operator_keys IS
    'What the operators file said when it was last read; the file, and not this table, says whose commands count.';
CREATE VIEW reading.operator_keys AS SELECT * FROM risk_manager.operator_keys;
GRANT SELECT ON reading.operator_keys TO reader;
"""


def upgrade() -> None:
    """Create the table and its view."""
    execute(KEYS)


def downgrade() -> None:
    """Drop them."""
    execute("DROP VIEW reading.operator_keys")
    execute("DROP TABLE risk_manager.operator_keys")
