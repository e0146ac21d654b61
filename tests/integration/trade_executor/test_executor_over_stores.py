"""The whole executor over real Kafka, Postgres and Redis, trading on the paper exchange."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.common.contracts.vocabulary import Role, Side
from tests.integration.trade_executor.executor_stack import Stack


async def an_entry(stack: Stack) -> dict[str, Any]:
    """Approve entries until one has filled: on a busy machine some are withheld because they would be late."""
    for _ in range(20):
        entry = await stack.order(await stack.approve(), "FILLED", "ABANDONED")
        if entry["status"] == "FILLED":
            return entry
        assert entry["reason"] == "LATE"
    raise AssertionError("expected an entry that is not late, found none")


@pytest.mark.parametrize("contingency", ["OCO", "OTO"], ids=["exits after their entry", "one list"])
async def test_an_approval_is_bought_protected_survives_a_kill_and_is_sold(stack: Stack, contingency: str):
    stack.environment["TRADER_CONFIG__EXCHANGE__ENTRY_LISTS"] = str(contingency == "OTO").lower()
    async with stack.running(killed=True):
        entry = await an_entry(stack)
        legs = await stack.protection(entry["intent_id"])
        (order_list,) = await stack.ask_exchange("GET", "/api/v3/openOrderList")
        assert order_list["contingencyType"] == contingency

    async with stack.running():
        leaving = await stack.approve(
            side=Side.SELL, role=Role.EXIT, limit_price=None, expires_at=datetime.now(UTC) + timedelta(seconds=60)
        )
        sold = await stack.order(leaving, "FILLED")
        cancelled = [await stack.order(leg["intent_id"], "CANCELED") for leg in legs]

    fills = await stack.rows("SELECT * FROM reading.fills WHERE chain_id = $1", entry["intent_id"])
    bought = sum(fill["quantity"] - fill["commission"] for fill in fills if fill["side"] == "BUY")
    assert entry["filled_quantity"] == Decimal("0.002")
    assert {leg["type"] for leg in legs} == {"LIMIT_MAKER", "STOP_LOSS"}
    assert {leg["quantity"] for leg in legs} == {Decimal("0.00199")} == {sold["filled_quantity"]}
    assert bought == Decimal("0.001998")  # 0.002 - 0.1 %
    assert len(cancelled) == 2
    assert await stack.rows("SELECT * FROM reading.differences WHERE accepted_at IS NULL") == []
