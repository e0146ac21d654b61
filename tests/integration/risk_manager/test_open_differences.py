"""The risk manager reads what the executor found to differ, under its own role."""

from services.risk_manager.adapters.reconciliation import PostgresReconciliation
from services.risk_manager.domain.resuming import OpenDifference
from tests.support.migrated import MigratedDatabase

DIFFERENCE = """
    INSERT INTO differences (account, kind, subject, symbol, figure, expected, found, since, last_seen_at, settled_at,
                             settled_by)
    VALUES ($1, 'BALANCE', 'BTC', $2, '', '0.05', '0.04', now(), now(), $3, $4)
"""


async def test_only_open_differences_of_the_account_stand_against_a_resume(migrated: MigratedDatabase) -> None:
    executor, risk = await migrated.connect("trade_executor"), await migrated.connect("risk_manager")
    async with executor.connection() as connection:
        await connection.execute(DIFFERENCE, "main", "BTC/USDT", None, None)
        await connection.execute(DIFFERENCE, "second", None, None, None)
        await connection.execute(DIFFERENCE.replace("$3", "now()").replace("$4", "$3"), "third", None, "ACCEPTED")
    reconciliation = PostgresReconciliation(risk)

    (found,) = await reconciliation.differences("main")

    assert found == OpenDifference(
        difference_id=found.difference_id,
        symbol="BTC/USDT",
        subject="BALANCE BTC",
        expected="0.05",
        found="0.04",
    )
    assert await reconciliation.differences("third") == []
    assert [each.symbol for each in await reconciliation.differences("second")] == [None]
    await executor.close()
    await risk.close()
