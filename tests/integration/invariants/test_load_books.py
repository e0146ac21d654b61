"""The checker reads everything it compares through the views, with the reader's rights alone."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import asyncpg
import pytest

from libs.common.storage.postgres import Database
from libs.invariants import load_books
from libs.invariants.records import ApprovalRow
from tests.support.migrated import MigratedDatabase

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

FILLED_BY_SERVICES = """
INSERT INTO position_manager.accounts VALUES ('main', 'USDT', '2026-11-22 11:00Z');
INSERT INTO position_manager.balances VALUES ('main', 'USDT', 10000, 5000.00000001);
INSERT INTO position_manager.positions (account, symbol, revision, strategy, quantity, cost, realised_pnl, fees,
    opened_at, opened_revision, round_trips, pnl_at_close, updated_at)
    VALUES ('main', 'BTC/USDT', 1, 'ema_cross', 0.1, 5000, 0, 0, '2026-11-22 12:00Z', 1, 0, 0, '2026-11-22 12:00Z');
INSERT INTO position_manager.position_fills (account, symbol, trade_id, exchange_order_id, intent_id, client_order_id,
    side, role, quantity, price, commission, commission_asset, base_change, quote_change, fee_outside, realised_pnl,
    fees, occurred_at)
    VALUES ('main', 'BTC/USDT', 7, '1', '00000000-0000-0000-0000-000000000001', 'ctE', 'BUY', 'ENTRY', 0.1, 50000, 0,
    'USDT', 0.1, -5000, 0, 0, 0, '2026-11-22 12:00Z');
INSERT INTO trade_executor.order_intents (intent_id, chain_id, account, symbol, side, role, approved, strategy,
    signal_id, client_order_id, order_type, quantity, recv_window_ms, epoch, halt_epoch, risk_epoch,
    configuration_version, configuration_hash, created_at)
    VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000001', 'main', 'BTC/USDT', 'BUY',
    'ENTRY', true, 'ema_cross', 's', 'ctE', 'LIMIT', 0.1, 1000, 1, 0, 1, 1, 'h', '2026-11-22 12:00Z');
INSERT INTO trade_executor.orders (intent_id, account, symbol, status, revision, filled_quantity, filled_amount,
    execution_id, exchange_order_id, reason, final, updated_at)
    VALUES ('00000000-0000-0000-0000-000000000001', 'main', 'BTC/USDT', 'FILLED', 2, 0.1, 5000, 1, '1', '', true,
    '2026-11-22 12:00Z');
INSERT INTO trade_executor.fills (account, symbol, trade_id, exchange_order_id, intent_id, chain_id, side, quantity,
    price, commission, commission_asset, maker, at_ms)
    VALUES ('main', 'BTC/USDT', 7, '1', '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000001',
    'BUY', 0.1, 50000, 0, 'USDT', false, 1795348800000);
INSERT INTO trade_executor.ledger VALUES ('main', 'USDT', 10000, 5000);
"""


@pytest.fixture
async def reader(migrated: MigratedDatabase) -> AsyncIterator[Database]:
    connection = await asyncpg.connect(migrated.url)
    await connection.execute(FILLED_BY_SERVICES)
    await connection.close()
    database = await migrated.connect("reader")
    yield database
    await database.close()


FORGOTTEN_BY_A_RESTORED_DATABASE = """
INSERT INTO audit_recorder.audit_log (topic, partition, offset_first, offset_last, kind, event_type, key, recorded_at,
    headers, payload, previous_hash, hash)
SELECT 'orders.approved', 0, place, place, 'EVENT', type, 'main', now(), '{}',
    '{"intent_id": "00000000-0000-0000-0000-000000000002", "account": "main", "symbol": "BTC/USDT", "side": "SELL"}',
    decode(repeat('00', 32), 'hex'), decode(repeat('11', 32), 'hex')
FROM (VALUES (0, 'OrderApproved'), (1, 'OrderRefused')) AS told (place, type)
"""


async def test_an_approval_that_a_restored_database_forgot_is_read_from_the_audit_log(reader, migrated):
    connection = await asyncpg.connect(migrated.url)
    await connection.execute(FORGOTTEN_BY_A_RESTORED_DATABASE)
    await connection.close()

    (approval,) = (await load_books(reader)).approvals

    assert approval == ApprovalRow(
        intent_id="00000000-0000-0000-0000-000000000002", account="main", symbol="BTC/USDT", side="SELL"
    )


async def test_every_view_is_read(reader):
    books = await load_books(reader)

    [order], [fill], [booked], [position] = books.orders, books.fills, books.booked_fills, books.positions
    assert (order.status, order.approved, order.intent_id) == ("FILLED", True, order.chain_id)
    assert (fill.occurred_at, fill.key) == (NOON, ("main", "BTCUSDT", 7, "1"))
    assert (booked.base_change, booked.key) == (Decimal("0.1"), fill.key)
    assert (position.is_open, position.mark_price) == (True, None)
    assert [row.balance for row in books.balances] == [Decimal("5000.00000001")]
    assert [row.balance for row in books.executor_balances] == [Decimal(5_000)]
    assert (list(books.approvals), list(books.halts), dict(books.recorded_offsets)) == ([], [], {})
    assert books.accounts == {"main"}
