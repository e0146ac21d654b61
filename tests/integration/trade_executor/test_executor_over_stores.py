"""The whole executor over real Kafka, Postgres and Redis, trading on the paper exchange."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from libs.common.contracts.vocabulary import Role, Side
from tests.integration.trade_executor.executor_stack import Stack


async def test_an_approval_is_bought_protected_survives_a_kill_and_is_sold(stack: Stack):
    async with stack.running(killed=True):
        entry = await stack.order(await stack.approve(), "FILLED", "ABANDONED")
        assert entry["status"] == "FILLED", entry["reason"]
        legs = await stack.protection(entry["intent_id"])

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
