"""Every migration can be taken back and applied again, and leaves the program before it what that one uses."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from urllib.parse import urlsplit

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from libs.common.storage import migrations
from tests.support.migrated import PASSWORD

OBJECTS = """
    SELECT namespace.nspname || '.' || class.relname || ' ' || class.relkind::text AS name
    FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
    WHERE namespace.nspname !~ '^(pg_|information_schema)' AND class.relname !~ '^alembic_version'
    UNION ALL
    SELECT namespace.nspname || '.' || function.proname || ' function'
    FROM pg_proc AS function JOIN pg_namespace AS namespace ON namespace.oid = function.pronamespace
    WHERE namespace.nspname !~ '^(pg_|information_schema)'
    UNION ALL
    SELECT namespace.nspname || '.' || class.relname || '.' || attribute.attname || ' column'
    FROM pg_attribute AS attribute JOIN pg_class AS class ON class.oid = attribute.attrelid
    JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
    WHERE namespace.nspname !~ '^(pg_|information_schema)' AND class.relname !~ '^alembic_version'
        AND attribute.attnum > 0 AND NOT attribute.attisdropped
    UNION ALL
    SELECT namespace.nspname || '.' || class.relname || '.' || attribute.attname || ' required'
    FROM pg_attribute AS attribute JOIN pg_class AS class ON class.oid = attribute.attrelid
    JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
    WHERE namespace.nspname !~ '^(pg_|information_schema)' AND class.relname !~ '^alembic_version'
        AND class.relkind = 'r' AND attribute.attnum > 0 AND attribute.attnotnull AND NOT attribute.atthasdef
        AND attribute.attidentity = ''
    UNION ALL
    SELECT nspname || ' schema' FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)'
"""


async def objects(url: str) -> set[str]:
    """Return everything that stands in a database, by name and kind."""
    connection = await asyncpg.connect(url)
    try:
        return {str(row["name"]) for row in await connection.fetch(OBJECTS)}
    finally:
        await connection.close()


def configured() -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations.MIGRATIONS))
    return config


async def objects_after(url: str, step: Callable[[Config, str], None], revision: str) -> set[str]:
    """Take a step with the migrations and return what stands then."""

    def take(connection: Connection) -> None:
        config = configured()
        config.attributes["connection"] = connection
        step(config, revision)

    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.connect() as connection:
        await connection.run_sync(take)
        await connection.commit()
    await engine.dispose()
    return await objects(url)


async def test_each_migration_is_taken_back_and_applied_again(database: str):
    revisions = [*reversed([*ScriptDirectory.from_config(configured()).walk_revisions()])]
    empty = await objects(database)
    states = [empty, *[await objects_after(database, command.upgrade, "+1") for _ in revisions]]

    for before in reversed(states[:-1]):
        assert await objects_after(database, command.downgrade, "-1") == before
    again = await objects_after(database, command.upgrade, "head")

    assert again == states[-1]
    assert all(after - before for before, after in pairwise(states)), "each adds something"
    for script, (before, after) in zip(revisions, pairwise(states), strict=True):
        if script.revision > migrations.EXPANDING_SINCE and not hasattr(script.module, "oldest_program"):
            assert missed(before, after) == set(), f"{script.revision} needs an `oldest_program`"


def missed(before: set[str], after: set[str]) -> set[str]:
    """Return what a program lacks that knows the schema of before: what has gone, and columns that it must fill in."""
    gone = {name for name in before - after if not name.endswith(" required")}
    tables = {name.partition(" ")[0] for name in before if name.endswith(" r")}
    required = {name for name in after - before if name.endswith(" required")}
    return gone | {name for name in required if name.rpartition(".")[0] in tables}


def test_what_a_program_would_lack_is_seen():
    before = {"notifier.alerts r", "notifier.alerts.id column", "notifier.alerts.id required", "notifier.told r"}
    after = {"notifier.alerts r", "notifier.alerts.by column", "notifier.alerts.by required", "notifier.new r"}

    assert missed(before, before | {"notifier.alerts.by column", "notifier.new r", "notifier.new.id required"}) == set()
    assert missed(before, after) == {"notifier.alerts.id column", "notifier.told r", "notifier.alerts.by required"}


async def test_the_newest_version_is_reached_once_by_any_number_of_jobs(database: str):
    parts = urlsplit(database)

    def upgrade() -> str:
        return migrations.upgrade_database(
            address=f"{parts.hostname}:{parts.port}{parts.path}",
            owner=parts.username or "",
            password=parts.password or "",
            role_passwords=dict.fromkeys(migrations.ROLES, PASSWORD),
        )

    versions = await asyncio.gather(*(asyncio.to_thread(upgrade) for _ in range(3)))

    assert len(set(versions)) == 1


BOOKED_BEFORE = """
INSERT INTO position_manager.accounts VALUES ('main', 'USDT', '2026-11-22 11:00Z');
INSERT INTO position_manager.positions (account, symbol, revision, strategy, quantity, cost, realised_pnl, fees,
    opened_revision, round_trips, pnl_at_close, updated_at)
SELECT 'main', symbol, 1, '', 0, 0, 0, 0, 0, 0, 0, now() FROM unnest('{BTC/USDT,ETH/USDT}'::text[]) AS symbol;
INSERT INTO position_manager.position_fills (account, symbol, trade_id, exchange_order_id, intent_id, client_order_id,
    side, role, quantity, price, commission, commission_asset, base_change, quote_change, fee_outside, realised_pnl,
    fees, occurred_at)
SELECT 'main', 'BTC/USDT', trade_id, '', gen_random_uuid(), '', side, 'ENTRY', quantity, 1, 0, 'BNB', 0, 0, 0, 0, 0,
    now()
FROM (VALUES (1, 'BUY', 0.100000000000000001), (2, 'SELL', 0.05), (3, 'BUY', 0.2)) AS fill (trade_id, side, quantity);
"""


async def test_what_was_bought_before_it_was_kept_comes_from_the_bookings(database: str):
    await objects_after(database, command.upgrade, "0011")
    connection = await asyncpg.connect(database)
    try:
        await connection.execute(BOOKED_BEFORE)
        await objects_after(database, command.upgrade, "0012")
        rows = await connection.fetch("SELECT symbol, bought FROM position_manager.positions")
    finally:
        await connection.close()

    assert {row["symbol"]: row["bought"] for row in rows} == {
        "BTC/USDT": Decimal("0.300000000000000001"),
        "ETH/USDT": 0,
    }


THREE_MONTHS = """
INSERT INTO position_manager.accounts VALUES ('main', 'USDT', '2026-08-01Z');
INSERT INTO trade_executor.outbox
SELECT 'main', number, 'fills', 'main', number::text, '{}', at, at
FROM generate_series('2026-08-15Z'::timestamptz, '2026-10-15Z', '1 day') WITH ORDINALITY AS day (at, number);
INSERT INTO audit_recorder.audit_log (topic, partition, offset_first, offset_last, kind, event_type, key, recorded_at,
    headers, payload, previous_hash, hash)
SELECT topic, 0, sequence, sequence, 'EVENT', 'OrderFilled', key, recorded_at, '{}', value,
    decode(repeat('00', 32), 'hex'), decode(repeat('11', 32), 'hex') FROM trade_executor.outbox;
INSERT INTO audit_recorder.auto_trading_logs ("timestamp", log_level, component, message, instance, event_id)
SELECT recorded_at, 'INFO', 'a', value, 'a:1', gen_random_uuid() FROM trade_executor.outbox;
INSERT INTO audit_recorder.ai_signals_log (symbol, signal_type, entry_price, created_at, signal_id, strategy, reasons,
    correlation_id)
SELECT 'BTC/USDT', 'HOLD', sequence, recorded_at, value, 'trend', '{}', gen_random_uuid() FROM trade_executor.outbox;
INSERT INTO audit_recorder.candles
SELECT 'BTC/USDT', 60, recorded_at, recorded_at, 1, 1, 1, 1, sequence, 1, false, false FROM trade_executor.outbox;
INSERT INTO position_manager.equity_snapshots
SELECT 'main', recorded_at, recorded_at, sequence, true, null, null, null, null, recorded_at, 0, 0, 0, 0, 0, 0, 0, '{}'
FROM trade_executor.outbox;
INSERT INTO audit_recorder.system_status_history (component, instance, minute_at, ready, sequence, handled, lag,
    lag_records, loop_lag_ms, configuration_hash, started_at)
VALUES ('a', 'a:1', now() + interval '70 days', true, 1, 1, '{}', 0, 0, '', now());
"""  # the last one by a clock that was wrong
FULL = (
    "trade_executor.outbox",
    "position_manager.equity_snapshots",
    *(f"audit_recorder.{table}" for table in ("audit_log", "auto_trading_logs", "ai_signals_log", "candles")),
)


async def test_tables_that_are_divided_by_month_keep_their_rows_there_and_back(database: str):
    async def contents() -> dict[str, list[tuple[object, ...]]]:
        rows = {table: await connection.fetch(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4") for table in FULL}
        rows |= {view: await connection.fetch(f"SELECT * FROM {view} ORDER BY 1, 2") for view in views}
        return {name: [tuple({**row, "stored_at": None}.values()) for row in found] for name, found in rows.items()}

    await objects_after(database, command.upgrade, "0014")
    connection = await asyncpg.connect(database, statement_cache_size=0)
    try:
        views = [f"reading.{view}" for view in ("positions", "equity", "performance", "logs", "signals", "candles")]
        views.append("reading.system_status_history")
        await connection.execute(THREE_MONTHS)
        before = await contents()

        await objects_after(database, command.upgrade, "0015")
        divided = await contents()
        ids = await connection.fetchval(
            'INSERT INTO audit_recorder.auto_trading_logs ("timestamp", log_level, component, message, instance, '
            "event_id) VALUES (now(), 'INFO', 'a', '', 'a:1', gen_random_uuid()) RETURNING id"
        )
        await connection.execute("DELETE FROM audit_recorder.auto_trading_logs WHERE id = $1", ids)
        kept = await connection.fetch("SELECT months.keep(table_name) FROM months.divided")
        await objects_after(database, command.downgrade, "0014")
        united = await contents()
    finally:
        await connection.close()

    assert {name: len(rows) for name, rows in before.items() if name in FULL} == dict.fromkeys(FULL, 62)
    assert divided == before
    assert united == before
    assert ids == 63
    assert {row["keep"] for row in kept} == {True}
