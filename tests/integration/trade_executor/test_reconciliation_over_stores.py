"""Differences over real stores: a trade by hand is settled by a person, and a database restored too early by itself."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg

from libs.common.contracts.vocabulary import Role, Side
from libs.common.control.commands import issue_command
from libs.common.control.operators import OperatorKey, Operators
from tests.integration.trade_executor.executor_stack import Stack
from tests.support.eventually import eventually

OPEN = "SELECT * FROM reading.differences WHERE accepted_at IS NULL ORDER BY id"
NOTICED_S_MAX = 60.0


async def differences(stack: Stack, *kinds: str) -> list[dict[str, Any]]:
    """Wait until exactly these kinds of differences are open."""

    found: list[dict[str, Any]] = []

    async def probe() -> bool:
        found[:] = await stack.rows(OPEN)
        return [row["kind"] for row in found] == list(kinds)

    await eventually(probe, seconds=NOTICED_S_MAX, what=f"open differences: {kinds}")
    return found


async def accept(stack: Stack, key: OperatorKey, difference: int) -> None:
    await stack.publish(
        issue_command(
            "RECONCILE_ACCEPT",
            account="main",
            reason="a person did it",
            issuer="operator",
            key=key,
            command_id=uuid.uuid4(),
            now=datetime.now(UTC),
            difference=difference,
        )
    )


def an_operator(stack: Stack) -> OperatorKey:
    key = OperatorKey.generate()
    Operators({}).with_key(key, issuer="operator").save(Path(stack.environment["TRADER_OPERATORS_FILE"]))
    return key


async def entered(stack: Stack, **changes: Any) -> dict[str, Any]:
    """Approve entries until one has filled: a busy machine withholds what is late."""
    for _ in range(20):
        entry = await stack.order(await stack.approve(**changes), "FILLED", "ABANDONED")
        if entry["status"] == "FILLED":
            return entry
        assert entry["reason"] == "LATE", entry["reason"]
    raise AssertionError("expected an entry that is not late, found none")


async def leave(stack: Stack) -> None:
    """Sell the position, so that the account is as it was for others."""
    leaving = await stack.approve(
        side=Side.SELL, role=Role.EXIT, limit_price=None, expires_at=datetime.now(UTC) + timedelta(seconds=60)
    )
    await stack.order(leaving, "FILLED")


async def leave_by_hand(stack: Stack) -> None:
    """The same, past an executor that has been stopped or halted."""
    await stack.ask_exchange("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
    await stack.ask_exchange("POST", "/api/v3/order", symbol="BTCUSDT", side="SELL", type="MARKET", quantity="0.00199")


async def test_a_trade_by_hand_halts_its_symbol_and_is_booked_when_it_is_accepted(stack: Stack):
    key = an_operator(stack)
    async with stack.running():
        entry = await entered(stack)
        await stack.protection(entry["intent_id"])

        await stack.ask_exchange("POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.001")
        (found,) = await differences(stack, "TRADE")
        await eventually(lambda: _equal(_halts(stack), 1), what="a latched halt")
        refused = await stack.order(await stack.approve(), "ABANDONED")
        await accept(stack, key, found["id"])
        await differences(stack)
        await stack.order(entry["intent_id"], "FILLED")
        ledger, balances = await stack.ledger(), await stack.balances()

    assert found["symbol"] == "BTC/USDT"
    assert refused["reason"] == "HALTED_IN_PART"
    assert {asset: held for asset, held in ledger.items() if held} == {a: held for a, held in balances.items() if held}
    moved = await stack.rows("SELECT kind, asset, delta, issuer FROM reading.executor_movements ORDER BY asset")
    assert [(row["kind"], row["asset"], row["issuer"]) for row in moved] == [
        ("DIFFERENCE", "BTC", "operator"),
        ("DIFFERENCE", "USDT", "operator"),
    ]
    assert moved[0]["delta"] == Decimal("0.000999")  # 0.001 less 0.1 %
    await leave_by_hand(stack)


async def test_a_database_restored_to_an_earlier_moment_halts_and_is_brought_up_to_the_exchange(stack: Stack):
    async with stack.running():
        first = await entered(stack)
        await stack.protection(first["intent_id"])
        backup = await Backup.of(stack)
        await leave(stack)
        second = await entered(stack, quantity=Decimal("0.003"))  # the same again at once would be a duplicate
        legs = await stack.protection(second["intent_id"])
    fills, ledger = await everything(stack), await stack.ledger()
    at_exchange = await orders_at_the_exchange(stack)

    await backup.restore()
    assert await everything(stack) != fills
    in_between = await stack.approve(expires_at=datetime.now(UTC) + timedelta(seconds=120))
    async with stack.running():
        refused = await stack.order(in_between, "ABANDONED")
        await eventually(lambda: _equal(everything(stack), fills), what="the fills as they were")
        await eventually(lambda: _equal(stack.ledger(), ledger), what="the ledger as it was")
        (found,) = await differences(stack, "RESTORED")
        again = await stack.protection(second["intent_id"])

    assert refused["reason"] == "HALTED"
    assert found["symbol"] is None
    assert len(stack.halts) == 1
    assert await orders_at_the_exchange(stack) == at_exchange
    assert {leg["client_order_id"] for leg in again} == {leg["client_order_id"] for leg in legs}
    assert {asset: held for asset, held in ledger.items() if held} == {
        asset: held for asset, held in (await stack.balances()).items() if held
    }
    await leave_by_hand(stack)


class Backup:
    """A copy of the executor's tables at one moment, as a dump would have it."""

    def __init__(self, url: str, tables: Sequence[str]) -> None:
        self._url = url
        self._tables = tables

    @classmethod
    async def of(cls, stack: Stack) -> "Backup":
        connection = await asyncpg.connect(stack.database.url)
        try:
            rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'trade_executor'")
            tables = [row["tablename"] for row in rows]
            async with connection.transaction(isolation="repeatable_read"):
                await connection.execute("CREATE SCHEMA earlier")
                for table in tables:
                    await connection.execute(f"CREATE TABLE earlier.{table} AS TABLE trade_executor.{table}")
        finally:
            await connection.close()
        return cls(stack.database.url, tables)

    async def restore(self) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            async with connection.transaction():
                await connection.execute("SET session_replication_role = replica")  # as a restore does
                names = ", ".join(f"trade_executor.{table}" for table in self._tables)
                await connection.execute(f"TRUNCATE {names}")
                for table in self._tables:
                    await connection.execute(
                        f"INSERT INTO trade_executor.{table} OVERRIDING SYSTEM VALUE SELECT * FROM earlier.{table}"
                    )
                await connection.execute("SET session_replication_role = DEFAULT")
        finally:
            await connection.close()


async def everything(stack: Stack) -> list[dict[str, Any]]:
    """Return the executions as they are recorded, but for the moment of their recording."""
    statement = """
        SELECT account, symbol, trade_id, exchange_order_id, client_order_id, side, quantity, price, commission,
               commission_asset, role, chain_id, at
        FROM reading.fills ORDER BY symbol, trade_id, exchange_order_id
    """
    return await stack.rows(statement)


async def orders_at_the_exchange(stack: Stack) -> dict[str, str]:
    orders = await stack.ask_exchange("GET", "/api/v3/allOrders", symbol="BTCUSDT", limit=1000)
    return {f"{order['orderId']} {order['clientOrderId']}": order["status"] for order in orders}


async def _equal(found: Any, expected: object) -> bool:
    return bool(await found == expected)


async def _halts(stack: Stack) -> int:
    return len(stack.halts)
