"""Tables that grow are divided by month: nothing is refused, nothing is lost, and what is past its time goes whole."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from libs.common.storage.postgres import Database
from services.audit_recorder.adapters import keep_months, sizes
from tests.support.migrated import MigratedDatabase

OUTBOX = "trade_executor.outbox"
NOW = datetime.now(UTC)
THIS_MONTH = NOW.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
ROWS = """
    INSERT INTO trade_executor.outbox
    SELECT 'main', number, topic, 'main', '{}', '{}', $1::timestamptz, CASE WHEN $4::boolean THEN $1 END
    FROM generate_series($2::integer, $3::integer) AS number, unnest($5::text[]) AS topic
"""


def months_ago(count: int) -> datetime:
    moment = THIS_MONTH
    for _ in range(count):
        moment = (moment - timedelta(days=1)).replace(day=1)
    return moment


@pytest.fixture
async def owner(migrated: MigratedDatabase) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(migrated.url)
    yield connection
    await connection.close()


@pytest.fixture
async def recorder(migrated: MigratedDatabase) -> AsyncIterator[Database]:
    database = await migrated.connect("audit_recorder")
    yield database
    await database.close()


async def make_month(owner: Any, table: str, begins: datetime) -> str:
    """Make the table of a month that is over, out of what was there before the tables were divided."""
    part = f"{table.replace('.', '_')}_{begins:%Y_%m}"
    ends = (begins + timedelta(days=32)).replace(day=1)
    if await owner.fetchval("SELECT to_regclass($1)", f"months.{table.replace('.', '_')}_before"):
        await owner.execute(f"DROP TABLE months.{table.replace('.', '_')}_before")
    await owner.fetchval("SELECT months.make_part($1, $2)", part, f"{table.replace('.', '_')}_default")
    await owner.execute(
        f"ALTER TABLE {table} ATTACH PARTITION months.{part} FOR VALUES FROM ('{begins}') TO ('{ends}')"
    )
    return part


async def parts(owner: Any, table: str) -> list[str]:
    rows = await owner.fetch("SELECT part FROM months.parts WHERE table_name = $1 ORDER BY begins_at", table)
    return [row["part"].removeprefix(table.replace(".", "_") + "_") for row in rows]


async def test_this_month_and_the_next_have_a_table_of_their_own_and_a_second_look_changes_nothing(owner, recorder):
    await owner.execute("DROP TABLE months.trade_executor_outbox_before")

    assert await keep_months(recorder) == []
    made = await parts(owner, OUTBOX)
    assert await keep_months(recorder) == []

    following = (THIS_MONTH + timedelta(days=32)).replace(day=1)
    assert made == [f"{THIS_MONTH:%Y_%m}", f"{following:%Y_%m}"]
    assert await parts(owner, OUTBOX) == made


async def test_a_row_is_never_refused_because_its_month_was_not_made(owner, recorder):
    await owner.execute("DROP TABLE months.trade_executor_outbox_before")
    for part in await parts(owner, OUTBOX):
        await owner.execute(f"DROP TABLE months.trade_executor_outbox_{part}")

    await owner.execute(ROWS, NOW, 1, 3, True, ["fills"])
    assert await keep_months(recorder) == []
    in_default = await owner.fetchval("SELECT count(*) FROM months.trade_executor_outbox_default")
    await owner.fetchval("SELECT months.adopt($1)", OUTBOX)

    assert in_default == 3
    assert await owner.fetchval("SELECT count(*) FROM months.trade_executor_outbox_default") == 0
    assert await owner.fetchval("SELECT count(*) FROM trade_executor.outbox") == 3
    assert f"{THIS_MONTH:%Y_%m}" in await parts(owner, OUTBOX)
    with pytest.raises(asyncpg.UniqueViolationError):
        await owner.execute(ROWS, NOW, 3, 3, True, ["fills"])


async def test_an_old_month_of_an_outbox_goes_and_the_newest_100_of_each_topic_move_on(owner, recorder):
    old = months_ago(5)
    await make_month(owner, OUTBOX, old)
    await owner.execute(ROWS, old, 1, 150, True, ["fills"])
    await owner.execute(ROWS, old, 151, 160, True, ["orders.updates"])

    assert await keep_months(recorder) == []

    rows = await owner.fetch(
        "SELECT topic, min(sequence), max(sequence), count(*) FROM trade_executor.outbox GROUP BY 1"
    )
    assert {row[0]: tuple(row)[1:] for row in rows} == {"fills": (51, 150, 100), "orders.updates": (151, 160, 10)}
    assert f"{old:%Y_%m}" not in await parts(owner, OUTBOX)


async def test_a_month_with_an_event_that_is_not_published_stays(owner, recorder):
    old = months_ago(5)
    await make_month(owner, OUTBOX, old)
    await owner.execute(ROWS, old, 1, 1, False, ["fills"])

    assert await keep_months(recorder) == []

    assert await owner.fetchval("SELECT count(*) FROM months.trade_executor_outbox_" + f"{old:%Y_%m}") == 1


async def test_a_table_in_use_is_left_for_the_next_look_and_delays_nobody(owner, recorder, migrated):
    old = months_ago(5)
    await make_month(owner, OUTBOX, old)
    reader = await asyncpg.connect(migrated.url)
    try:
        async with reader.transaction():
            await reader.fetch("SELECT * FROM trade_executor.outbox")
            in_use = await keep_months(recorder)
    finally:
        await reader.close()

    assert in_use == [OUTBOX]
    assert await keep_months(recorder) == []
    assert f"{old:%Y_%m}" not in await parts(owner, OUTBOX)


async def test_the_audit_log_is_never_dropped_by_its_age(owner, recorder):
    old = months_ago(50)
    await make_month(owner, "audit_recorder.audit_log", old)

    assert await keep_months(recorder) == []

    assert f"{old:%Y_%m}" in await parts(owner, "audit_recorder.audit_log")


@pytest.mark.parametrize("statement", ["DELETE FROM", "TRUNCATE", "UPDATE"])
async def test_a_months_part_of_the_audit_log_only_grows(owner, statement):
    for part in ("default", "before", *await parts(owner, "audit_recorder.audit_log")):
        table = f"months.audit_recorder_audit_log_{part}"
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await owner.execute(f"{statement} {table}{' SET payload = payload' if statement == 'UPDATE' else ''}")


async def test_a_chain_never_goes_back(owner):
    await owner.execute(
        "INSERT INTO audit_recorder.chain_heads (topic, partition, offset_last, hash) VALUES ('fills', 0, 7, '\\x00')"
    )

    for offset, digest in ((6, "\\x01"), (7, "\\x01")):
        with pytest.raises(asyncpg.UniqueViolationError, match="expected a head after offset 7"):
            await owner.execute(
                "UPDATE audit_recorder.chain_heads SET offset_last = $1, hash = $2", offset, digest.encode()
            )


async def test_what_takes_the_room_is_told_by_table(owner, recorder):
    await owner.execute(ROWS, NOW, 1, 1_000, True, ["fills"])

    found = await sizes(recorder)

    assert found["outbox"] > 100_000
    assert set(found) == {row["table_name"].partition(".")[2] for row in await owner.fetch("TABLE months.divided")} | {
        "others"
    }
    assert all(size > 0 for size in found.values())
