"""Tables that grow are divided by month, so that what is past its time is dropped whole and never row by row.

Each table keeps its name and stays empty itself; its rows are in tables of the schema `months`, which nobody has a
right to: they are reached through the table that they are parts of. A month has a table of its own, made like the one
for rows that belong to no month (`…_default`), so that no row is ever refused because a month was not made in time.
What was there before this migration is the first part, as it stands: nothing is copied. It ends with this month, or
with that of its newest row, which a clock may have dated later.

A key that holds the time is a key of the divided table. One that does not is a key of each part: a row that is written
twice is written at the same time of its own, or (`audit_log`, `outbox`) under a number that a row lock gives out.
"""

from dataclasses import dataclass
from pathlib import Path

from libs.common.storage.migrations import execute

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


@dataclass(frozen=True)
class Divided:
    """A table to divide.

    Attributes:
        dated_by: The column whose month a row belongs to.
        kept: How long after its end a month is kept; empty: until it is archived.
        reason: Why that long.
        keys: Keys that hold the time.
        part_keys: Keys of each part.
        indexes: Further indexes.
        once: Indexes that a divided table has no use for: what they served drops whole months now.
        options: Storage parameters.
        numbered: Its `id` is counted.
    """

    name: str
    dated_by: str
    kept: str
    reason: str
    keys: tuple[str, ...] = ()
    part_keys: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    once: tuple[str, ...] = ()
    options: str = ""
    numbered: bool = False

    @property
    def schema(self) -> str:
        """The service's schema."""
        return self.name.partition(".")[0]

    @property
    def table(self) -> str:
        """Its name within the schema."""
        return self.name.partition(".")[2]

    @property
    def stem(self) -> str:
        """What the names of its parts begin with."""
        return self.name.replace(".", "_")


def _outbox(service: str, *indexes: str, reason: str = "published: whoever reads it has it from Kafka") -> Divided:
    return Divided(
        f"{service}.outbox",
        dated_by="recorded_at",
        kept="1 month",
        reason=reason,
        part_keys=("CONSTRAINT outbox_pkey PRIMARY KEY (account, sequence)",),
        indexes=("outbox_unpublished ON {table} (account, sequence) WHERE published_at IS NULL", *indexes),
        once=("outbox_prunable ON {table} (topic, published_at) WHERE published_at IS NOT NULL",),
    )


UNTOLD_TOPICS = ("heartbeats", "logs", "market.status", "account.equity")

DIVIDED = (
    _outbox("risk_manager"),
    _outbox(
        "trade_executor",
        "outbox_by_topic ON {table} (account, topic, sequence)",
        reason="published; the newest 100 of each account and topic move on, for by them a restored database is known",
    ),
    _outbox("position_manager"),
    _outbox("notifier"),
    _outbox("audit_recorder"),
    Divided(
        "audit_recorder.audit_log",
        dated_by="stored_at",
        kept="",
        reason="every decision stays explainable: `trader audit archive` writes a month to a file before it is dropped",
        part_keys=("CONSTRAINT audit_log_pkey PRIMARY KEY (topic, partition, offset_last)",),
        indexes=(f"audit_log_stories ON {{table}} (correlation_id) WHERE topic NOT IN {UNTOLD_TOPICS}",),
    ),
    Divided(
        "audit_recorder.auto_trading_logs",
        dated_by='"timestamp"',
        kept="90 days",
        reason="for looking into what went wrong lately; every line is in the audit log too",
        part_keys=(
            "CONSTRAINT auto_trading_logs_pkey PRIMARY KEY (id)",
            "CONSTRAINT auto_trading_logs_event_id_key UNIQUE (event_id)",
        ),
        indexes=('auto_trading_logs_in_time ON {table} ("timestamp")',),
        numbered=True,
    ),
    Divided(
        "audit_recorder.ai_signals_log",
        dated_by="created_at",
        kept="400 days",
        reason="as long as the candles that they were decided on; signals and orders are in the audit log too",
        part_keys=(
            "CONSTRAINT ai_signals_log_pkey PRIMARY KEY (id)",
            "CONSTRAINT ai_signals_log_signal_id_key UNIQUE (signal_id)",
        ),
        indexes=("ai_signals_log_in_time ON {table} (created_at)",),
        numbered=True,
    ),
    Divided(
        "audit_recorder.system_status_history",
        dated_by="minute_at",
        kept="90 days",
        reason="for looking into what went wrong lately",
        keys=("CONSTRAINT system_status_history_pkey PRIMARY KEY (component, instance, minute_at)",),
        indexes=("system_status_history_in_time ON {table} (minute_at)",),
        options="fillfactor = 70",
    ),
    Divided(
        "audit_recorder.candles",
        dated_by="open_at",
        kept="400 days",
        reason="a year of charts; Kafka keeps 90 days",
        keys=("CONSTRAINT candles_pkey PRIMARY KEY (symbol, interval_s, open_at)",),
        indexes=("candles_in_time ON {table} (open_at)",),
    ),
    Divided(
        "audit_recorder.performance_data",
        dated_by="minute_at",
        kept="3650 days",
        reason="what taxes and reports may ask for",
        keys=("CONSTRAINT performance_data_pkey PRIMARY KEY (account, minute_at)",),
        indexes=("performance_data_in_time ON {table} (minute_at)",),
        options="fillfactor = 70",
    ),
    Divided(
        "position_manager.equity_snapshots",
        dated_by="minute_at",
        kept="400 days",
        reason="highs and lows within a day of the last year; what each day began with stays in day_baselines",
        keys=("CONSTRAINT equity_snapshots_pkey PRIMARY KEY (account, minute_at)",),
        options="fillfactor = 70",
    ),
)

# Views name the table that they were made on, whatever it is called later: they are made again on the one of its name.
PUT_VIEWS_ASIDE = """
CREATE TEMPORARY TABLE views_aside ON COMMIT DROP AS
SELECT DISTINCT view.oid::regclass::text AS name, pg_get_viewdef(view.oid) AS definition
FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = objid JOIN pg_class AS view ON view.oid = ev_class
WHERE classid = 'pg_rewrite'::regclass AND refobjid = ANY ('{%s}'::regclass[]) AND view.relkind = 'v';
DO $$ DECLARE view text; BEGIN
    FOR view IN SELECT name FROM views_aside LOOP EXECUTE 'DROP VIEW ' || view; END LOOP;
END $$;
"""
MAKE_VIEWS_AGAIN = """
DO $$ DECLARE view record; BEGIN
    FOR view IN SELECT * FROM views_aside LOOP
        EXECUTE 'CREATE VIEW ' || view.name || ' AS ' || view.definition;
        EXECUTE 'GRANT SELECT ON ' || view.name || ' TO reader';
    END LOOP;
END $$;
"""

STORED_AT = """
ALTER TABLE audit_recorder.audit_log ADD COLUMN stored_at timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN audit_recorder.audit_log.stored_at IS
    'Which month it is kept in; by the clock of the database, so that a month that is over gets no more. Not hashed.';
"""
ONLY_GROWS = """
COMMENT ON TABLE audit_recorder.audit_log IS
    'Append-only; hash = SHA-256(previous_hash, canonical form of the other columns), a chain per topic and partition';
REVOKE ALL ON audit_recorder.audit_log FROM audit_recorder;
GRANT INSERT ON audit_recorder.audit_log TO audit_recorder;
CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_recorder.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_recorder.refuse_change();
"""
OF_AN_ACCOUNT = """
ALTER TABLE position_manager.equity_snapshots ADD FOREIGN KEY (account) REFERENCES position_manager.accounts;
COMMENT ON TABLE position_manager.equity_snapshots IS
    'One row a minute; the newest is overwritten every second and so is the present mark.';
"""
# A chain never goes back: what the key of the whole log proved before, and the key of a month proves of a month.
NEVER_BACK = """
CREATE FUNCTION audit_recorder.refuse_step_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'chain %/%: expected a head after offset %, found %',
        OLD.topic, OLD.partition, OLD.offset_last, NEW.offset_last USING ERRCODE = 'unique_violation';
END $$;
CREATE TRIGGER chain_heads_never_go_back BEFORE UPDATE ON audit_recorder.chain_heads FOR EACH ROW
    WHEN (NEW.offset_last < OLD.offset_last OR NEW.offset_last = OLD.offset_last AND NEW.hash <> OLD.hash)
    EXECUTE FUNCTION audit_recorder.refuse_step_back();
"""


def _divide(table: Divided) -> None:
    before = f"{table.stem}_before"
    for index in table.once:
        execute(f"DROP INDEX {table.schema}.{index.partition(' ')[0]}")
    if table.numbered:
        counter = f"{table.name}_id_seq"
        execute(
            f"ALTER TABLE {table.name} ALTER COLUMN id DROP IDENTITY; CREATE SEQUENCE {counter};"
            f" SELECT setval('{counter}', coalesce((SELECT max(id) FROM {table.name}), 0) + 1, false);"
            f" ALTER TABLE {table.name} ALTER COLUMN id SET DEFAULT nextval('{counter}')"
        )
    execute(
        f"""
        DO $$ DECLARE index text; number integer := 0; BEGIN
            FOR index IN SELECT indexrelid::regclass FROM pg_index WHERE indrelid = '{table.name}'::regclass LOOP
                number := number + 1;
                EXECUTE format('ALTER INDEX %s RENAME TO %I', index, '{before}_' || number);
            END LOOP;
        END $$;
        ALTER TABLE {table.name} RENAME TO {before};
        ALTER TABLE {table.schema}.{before} SET SCHEMA months;
        REVOKE ALL ON months.{before} FROM {table.schema};
        CREATE TABLE {table.name} (LIKE months.{before} INCLUDING ALL EXCLUDING INDEXES)
            PARTITION BY RANGE ({table.dated_by});
        """
    )
    for key in table.keys:
        execute(f"ALTER TABLE {table.name} ADD {key}")
    for index in table.indexes:
        execute(f"CREATE INDEX {index.format(table=table.name)}")
    execute(
        f"""
        SELECT months.make_part('{table.stem}_default', '{before}');
        DO $$ DECLARE newest timestamptz; BEGIN
            SET LOCAL timezone = 'UTC';
            SELECT greatest(now(), max({table.dated_by})) INTO newest FROM months.{before};
            EXECUTE format('ALTER TABLE {table.name} ATTACH PARTITION months.{before}
                            FOR VALUES FROM (MINVALUE) TO (%L)', date_trunc('month', newest) + interval '1 month');
        END $$;
        ALTER TABLE {table.name} ATTACH PARTITION months.{table.stem}_default DEFAULT;
        INSERT INTO months.divided VALUES ('{table.name}', '{table.dated_by}', nullif('{table.kept}', '')::interval,
            '{table.reason}');
        """
    )
    if table.numbered:
        execute(f"ALTER SEQUENCE {counter} OWNED BY {table.name}.id")


def _unite(table: Divided) -> None:
    execute(
        f"""
        CREATE TABLE months.united (LIKE {table.name} INCLUDING ALL EXCLUDING INDEXES);
        INSERT INTO months.united SELECT * FROM {table.name};
        """
    )
    if table.numbered:
        execute(
            f"ALTER TABLE months.united ALTER COLUMN id DROP DEFAULT;"
            f" ALTER TABLE {table.name} ALTER COLUMN id DROP DEFAULT"
        )
    execute(
        f"""
        DROP TABLE {table.name};
        ALTER TABLE months.united SET SCHEMA {table.schema};
        ALTER TABLE {table.schema}.united RENAME TO {table.table};
        GRANT SELECT, INSERT, UPDATE, DELETE ON {table.name} TO {table.schema};
        """
    )
    for key in (*table.keys, *table.part_keys):
        execute(f"ALTER TABLE {table.name} ADD {key}")
    for index in (*table.indexes, *table.once):
        execute(f"CREATE INDEX {index.format(table=table.name)}")
    if table.options:
        execute(f"ALTER TABLE {table.name} SET ({table.options})")
    if table.numbered:
        execute(
            f"ALTER TABLE {table.name} ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;"
            f" SELECT setval('{table.name}_id_seq', coalesce((SELECT max(id) FROM {table.name}), 0) + 1, false)"
        )


def upgrade() -> None:
    """Divide the tables; what they hold stays where it is and is looked through once."""
    execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
    execute(PUT_VIEWS_ASIDE % ",".join(table.name for table in DIVIDED))
    execute(STORED_AT)
    for table in DIVIDED:
        _divide(table)
    execute(ONLY_GROWS)
    execute(OF_AN_ACCOUNT)
    execute(NEVER_BACK)
    execute(MAKE_VIEWS_AGAIN)


def downgrade() -> None:
    """Copy every part back into one table; what was dropped or archived stays where it is."""
    execute("DROP TRIGGER chain_heads_never_go_back ON audit_recorder.chain_heads")
    execute("DROP FUNCTION audit_recorder.refuse_step_back()")
    execute(PUT_VIEWS_ASIDE % ",".join(table.name for table in DIVIDED))
    for table in DIVIDED:
        _unite(table)
    execute("ALTER TABLE audit_recorder.audit_log DROP COLUMN stored_at")
    execute(ONLY_GROWS)
    execute(OF_AN_ACCOUNT)
    execute(MAKE_VIEWS_AGAIN)
    execute("DROP SCHEMA months CASCADE")
