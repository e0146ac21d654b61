"""Roles, schemas, and in every owner's schema the tables of the consume loop.

Each service writes a schema of its own under a role of its own and reads another's only through the views in
`reading`. The loop's tables are explained in `libs/common/messaging`.
"""

from libs.common.storage.migrations import execute

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SERVICES = ("risk_manager", "trade_executor", "position_manager", "notifier", "audit_recorder")
READER = "reader"

PLUMBING = """
CREATE TABLE {schema}.ownership (
    role text PRIMARY KEY,
    epoch bigint NOT NULL CHECK (epoch > 0),
    holder text NOT NULL
);
CREATE TABLE {schema}.leases (
    role text PRIMARY KEY,
    epoch bigint NOT NULL,
    renewed_at timestamptz NOT NULL
);
CREATE TABLE {schema}.consumer_offsets (
    role text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL CHECK (next_offset >= 0),
    last_event_id text NOT NULL,
    PRIMARY KEY (role, topic, partition)
);
CREATE TABLE {schema}.outbox_heads (
    account text PRIMARY KEY,
    sequence bigint NOT NULL
);
CREATE TABLE {schema}.outbox (
    account text NOT NULL,
    sequence bigint NOT NULL,
    topic text NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    headers jsonb NOT NULL,
    recorded_at timestamptz NOT NULL,
    published_at timestamptz,
    PRIMARY KEY (account, sequence)
);
CREATE FUNCTION {schema}.prove_seal(owns boolean, moves boolean) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    IF NOT owns THEN RAISE EXCEPTION 'NOT THE OWNER'; END IF;
    IF NOT moves THEN RAISE EXCEPTION 'COMMITTED BEFORE'; END IF;
END $$;
CREATE INDEX outbox_unpublished ON {schema}.outbox (account, sequence) WHERE published_at IS NULL;
CREATE INDEX outbox_prunable ON {schema}.outbox (topic, published_at) WHERE published_at IS NOT NULL;
"""

ROLE = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
        CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
    END IF;
END $$;
"""


def upgrade() -> None:
    """Create roles, schemas and the loop's tables."""
    execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    execute(ROLE.format(role=READER))
    execute(f"CREATE SCHEMA reading; GRANT USAGE ON SCHEMA reading TO {READER}")
    execute(f"ALTER ROLE {READER} SET search_path = reading")
    execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA reading GRANT SELECT ON TABLES TO {READER}")
    for service in SERVICES:
        execute(ROLE.format(role=service))
        execute(f"CREATE SCHEMA {service}; GRANT USAGE ON SCHEMA {service}, reading TO {service}")
        execute(f"ALTER ROLE {service} SET search_path = {service}")
        execute(
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA {service} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {service}"
        )
        execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {service} GRANT USAGE ON SEQUENCES TO {service}")
        execute(PLUMBING.format(schema=service))


def downgrade() -> None:
    """Drop everything but the roles, which other databases of the cluster may use."""
    for service in SERVICES:
        execute(f"DROP SCHEMA {service} CASCADE")
    execute("DROP SCHEMA reading CASCADE")
