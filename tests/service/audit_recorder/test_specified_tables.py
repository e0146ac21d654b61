"""The specification's tables on a real database: its names and columns, exact types, filled, read by the reader."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from libs.common.configuration import parse_configuration
from libs.common.contracts.events import (
    ConfigurationChanged,
    EquityMarked,
    HeartbeatSent,
    LogRecorded,
    OrderUpdated,
    SignalGenerated,
    SignalHeld,
    TradingStateChanged,
)
from libs.common.contracts.vocabulary import Role, TradingState
from libs.common.storage.postgres import Database
from services.audit_recorder.adapters import PostgresRepositories
from services.audit_recorder.service import AuditRecorder
from tests.support.events import every_event
from tests.support.migrated import MigratedDatabase
from tests.support.raw_records import AT, records_of

EXAMPLES: Mapping[type, Any] = {type(event): event for event in every_event()}
CONFIGURATION = parse_configuration({"engine": {"trading_mode": "MODERATE", "trading_interval": 60}}, where="test")
EVENTS = (
    ConfigurationChanged(
        occurred_at=AT,
        version=1,
        configuration=CONFIGURATION.canonical,
        hash=CONFIGURATION.hash,
        issuer="operator",
    ),
    EXAMPLES[TradingStateChanged].model_copy(update={"account": "main", "state": TradingState.ACTIVE}),
    EXAMPLES[LogRecorded].model_copy(update={"level": "WARNING", "component": "market_monitor"}),
    EXAMPLES[SignalGenerated],
    EXAMPLES[SignalHeld],
    EXAMPLES[OrderUpdated].model_copy(update={"role": Role.ENTRY, "signal_id": EXAMPLES[SignalGenerated].signal_id}),
    EXAMPLES[EquityMarked],
    EXAMPLES[HeartbeatSent],
)
TYPES = """
    SELECT column_name, data_type FROM information_schema.columns
    WHERE table_schema = 'audit_recorder' AND table_name = $1
"""
EXACT = {"integer", "bigint", "boolean", "text", "numeric", "date", "uuid", "jsonb", "timestamp with time zone"}
TABLES = {
    "auto_trading_config": """
        SELECT id, user_id, is_enabled, trading_mode, max_daily_loss_pct, max_positions, trading_interval, symbols,
               created_at, updated_at
        FROM auto_trading_config WHERE user_id = 1 AND is_enabled = TRUE ORDER BY updated_at DESC LIMIT 1
    """,
    "auto_trading_logs": """
        SELECT id, user_id, timestamp, log_level, component, message, data
        FROM auto_trading_logs WHERE log_level IN ('WARNING', 'ERROR') ORDER BY timestamp DESC LIMIT 100
    """,
    "ai_signals_log": """
        SELECT id, user_id, symbol, signal_type, confidence_score, entry_price, stop_loss, take_profit, executed,
               execution_price, created_at, executed_at
        FROM ai_signals_log WHERE symbol = 'BTC/USDT' ORDER BY created_at, id
    """,
    "performance_data": "SELECT * FROM performance_data WHERE account = 'main' ORDER BY minute_at DESC",
    "system_status": "SELECT * FROM system_status WHERE ready ORDER BY component",
}


@pytest.fixture
async def reader(migrated: MigratedDatabase) -> AsyncIterator[Database]:
    writer = await migrated.connect("audit_recorder")
    async with writer.transaction() as connection:
        await AuditRecorder(follow=lambda _: None).on_records(records_of(EVENTS), PostgresRepositories(connection))
    await writer.close()
    database = await migrated.connect("reader")
    yield database
    await database.close()


async def answer(reader: Database, table: str) -> Sequence[Mapping[str, Any]]:
    """Return what the specification's query of a table finds."""
    async with reader.connection() as connection:
        return [dict(row) for row in await connection.fetch(TABLES[table])]


async def test_auto_trading_config_has_the_configuration_in_force(reader: Database):
    (row,) = await answer(reader, "auto_trading_config")

    assert isinstance(row["id"], int)
    assert (row["user_id"], row["is_enabled"], row["trading_mode"]) == (1, True, "MODERATE")
    assert (row["max_daily_loss_pct"], row["max_positions"], row["trading_interval"]) == (Decimal("4.0"), 8, 60)
    assert json.loads(row["symbols"]) == ["BTC/USDT", "ETH/USDT"]
    assert row["created_at"] == AT
    assert row["updated_at"].tzinfo is not None


async def test_auto_trading_config_has_the_specifications_defaults(migrated: MigratedDatabase):
    connection = await asyncpg.connect(migrated.url)
    (row,) = await connection.fetch(
        """INSERT INTO audit_recorder.auto_trading_config (symbols, account, configuration_hash, configuration)
           VALUES ('[]', 'main', '', '{}') RETURNING *"""
    )
    await connection.close()

    assert (row["is_enabled"], row["trading_mode"], row["max_daily_loss_pct"]) == (False, "CONSERVATIVE", Decimal(3))
    assert (row["max_positions"], row["trading_interval"]) == (5, 300)
    assert datetime.now(UTC) - row["created_at"] < timedelta(minutes=5)


async def test_auto_trading_logs_has_what_processes_say(reader: Database):
    (row,) = await answer(reader, "auto_trading_logs")

    example = EXAMPLES[LogRecorded]
    assert (row["user_id"], row["log_level"], row["component"]) == (1, "WARNING", "market_monitor")
    assert (row["timestamp"], row["message"]) == (example.occurred_at, example.message)
    assert json.loads(row["data"]) == example.fields


async def test_ai_signals_log_has_signals_holds_and_what_came_of_them(reader: Database):
    by_type = {row["signal_type"]: row for row in await answer(reader, "ai_signals_log")}

    bought, held = by_type["BUY"], by_type["HOLD"]
    assert (bought["entry_price"], bought["stop_loss"], bought["take_profit"]) == (
        Decimal("61234.56"),
        Decimal("61150.00"),
        Decimal("61400.00"),
    )
    assert bought["executed"]
    assert bought["execution_price"] == Decimal("99.8123328") / Decimal("0.00163")  # what was paid for what was bought
    assert bought["executed_at"] == EXAMPLES[OrderUpdated].occurred_at
    assert bought["confidence_score"] is None, "a rule's quality is no probability"
    assert (held["executed"], held["execution_price"], held["stop_loss"]) == (False, None, None)


async def test_performance_data_has_the_equity_of_each_minute(reader: Database):
    (row,) = await answer(reader, "performance_data")

    example = EXAMPLES[EquityMarked]
    assert (row["equity"], row["pnl_today"]) == (example.equity, example.pnl_today)
    assert row["minute_at"] == AT.replace(second=0, microsecond=0)


async def test_system_status_has_every_process_that_beats(reader: Database):
    (row,) = await answer(reader, "system_status")

    assert (row["component"], row["heartbeat_at"]) == (
        EXAMPLES[HeartbeatSent].component,
        EXAMPLES[HeartbeatSent].occurred_at,
    )


@pytest.mark.parametrize("table", TABLES)
async def test_no_column_is_inexact_and_the_reader_can_only_read(table: str, migrated: MigratedDatabase):
    database = await migrated.connect("reader")
    superuser = await asyncpg.connect(migrated.url)
    types = {row["column_name"]: row["data_type"] for row in await superuser.fetch(TYPES, table)}
    await superuser.close()

    assert set(types.values()) <= EXACT, types
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.connection() as connection:
            await connection.execute(f"DELETE FROM {table}")
    await database.close()
