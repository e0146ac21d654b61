"""The versions of the configuration, and the read models under the specification's own names."""

from libs.common.storage.migrations import execute

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

VERSIONS = """
CREATE TABLE risk_manager.configuration_versions (
    version integer PRIMARY KEY CHECK (version >= 1),
    configuration jsonb NOT NULL,
    hash text NOT NULL,
    origins jsonb NOT NULL,
    changes text[] NOT NULL,
    loosened text[] NOT NULL,
    issuer text NOT NULL,
    reason text NOT NULL,
    command_id uuid UNIQUE,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE risk_manager.configuration_versions IS
    'Every configuration that ever held, whole; the highest version holds. Rows are only ever added.';
COMMENT ON COLUMN risk_manager.configuration_versions.origins IS 'Where each value comes from, by dotted key.';
COMMENT ON COLUMN risk_manager.configuration_versions.command_id IS 'The signed command behind it; none: a start.';

CREATE VIEW reading.configuration_versions AS SELECT * FROM risk_manager.configuration_versions;
GRANT SELECT ON reading.configuration_versions TO reader;
"""

READ_MODELS = """
ALTER TABLE audit_recorder.auto_trading_config ADD COLUMN configuration_version integer NOT NULL DEFAULT 1;
DROP VIEW reading.auto_trading_config;
CREATE VIEW reading.auto_trading_config AS SELECT * FROM audit_recorder.auto_trading_config;
CREATE VIEW reading.auto_trading_logs AS SELECT * FROM audit_recorder.auto_trading_logs;
CREATE VIEW reading.ai_signals_log AS SELECT * FROM audit_recorder.ai_signals_log;
GRANT SELECT ON reading.auto_trading_config, reading.auto_trading_logs, reading.ai_signals_log TO reader;
"""


def upgrade() -> None:
    """Create the table of versions, and name the read models as the specification does."""
    execute(VERSIONS)
    execute(READ_MODELS)


def downgrade() -> None:
    """Drop what `upgrade` created."""
    execute("DROP VIEW reading.ai_signals_log, reading.auto_trading_logs, reading.auto_trading_config")
    execute("ALTER TABLE audit_recorder.auto_trading_config DROP COLUMN configuration_version")
    execute("CREATE VIEW reading.auto_trading_config AS SELECT * FROM audit_recorder.auto_trading_config")
    execute("GRANT SELECT ON reading.auto_trading_config TO reader")
    execute("DROP VIEW reading.configuration_versions")
    execute("DROP TABLE risk_manager.configuration_versions")
