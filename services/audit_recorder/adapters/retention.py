"""What is forgotten of the read models; the audit log itself keeps everything."""

from typing import Final

from libs.common.storage.postgres import Database

ROWS_PER_RUN_MAX: Final = 20_000
"""Bound of one run, so that a first run after a long time does not hold locks for long; the next one goes on."""

_KEPT: Final = (
    ("auto_trading_logs", '"timestamp"', "90 days"),
    ("system_status_history", "minute_at", "90 days"),
    ("candles", "open_at", "400 days"),
    ("performance_data", "minute_at", "3650 days"),
)
"""Table, the column that dates a row, and how long rows are kept. Candles outlast Kafka's 90 days for charts."""


async def prune(database: Database) -> int:
    """Delete rows that are past their time; return how many."""
    deleted = 0
    async with database.connection() as connection:
        for table, column, age in _KEPT:
            status = await connection.execute(
                f"DELETE FROM {table} WHERE ctid = ANY (ARRAY("  # noqa: S608 - names from the table above
                f"SELECT ctid FROM {table} WHERE {column} < now() - interval '{age}' LIMIT {ROWS_PER_RUN_MAX}))"
            )
            deleted += int(status.rsplit(" ", 1)[-1])
    return deleted
