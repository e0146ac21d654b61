"""Which months of the audit log are in files, and which order's story needs which of them."""

from libs.common.storage.migrations import execute

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

ARCHIVES = """
CREATE TABLE months.archives (
    name text PRIMARY KEY,
    ends_at timestamptz NOT NULL UNIQUE,
    records bigint NOT NULL,
    sha256 text NOT NULL,
    sections jsonb NOT NULL,
    archived_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE months.archives IS
    'Written in the transaction that drops the month. A section: topic, partition, first and last offset, the hash '
    'before the first record, the hash of the last one, records, and where it begins in the file.';

CREATE TABLE months.archived_stories (
    correlation_id uuid NOT NULL,
    archive text NOT NULL REFERENCES months.archives,
    PRIMARY KEY (correlation_id, archive)
);
COMMENT ON TABLE months.archived_stories IS 'In which archives the events of an order''s story are.';

CREATE TABLE months.archived_approvals (
    intent_id uuid PRIMARY KEY,
    account text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    archive text NOT NULL REFERENCES months.archives
);
COMMENT ON TABLE months.archived_approvals IS
    'Approvals that are in an archive and, since a restore, not among the decisions.';

CREATE VIEW reading.archives AS SELECT * FROM months.archives;
CREATE VIEW reading.archived_stories AS SELECT * FROM months.archived_stories;
CREATE VIEW reading.archived_approvals AS SELECT * FROM months.archived_approvals;
CREATE VIEW reading.unarchived AS
    SELECT part, ends_at FROM months.parts WHERE table_name = 'audit_recorder.audit_log';
GRANT SELECT ON reading.archives, reading.archived_stories, reading.archived_approvals, reading.unarchived TO reader;
"""


def upgrade() -> None:
    """Create the tables and their views."""
    execute(ARCHIVES)


def downgrade() -> None:
    """Drop them; the files stay."""
    execute("DROP VIEW reading.unarchived, reading.archived_approvals, reading.archived_stories, reading.archives")
    execute("DROP TABLE months.archived_approvals, months.archived_stories, months.archives")
