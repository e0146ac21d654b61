"""The months that every service's growing tables are divided into: kept by the one service that never decides anything.

What is kept how long stands in `months.divided`; only the database's owner can change it. The audit log is never
dropped here: that needs an archive.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from libs.common.storage.postgres import Database

OTHERS: Final = "others"

_SIZES: Final = """
    SELECT table_name, bytes, pg_database_size(current_database()) AS database_bytes FROM months.sizes()
"""
_KEEP: Final = "SELECT months.keep($1)"


async def sizes(database: Database) -> Mapping[str, int]:
    """Return how many bytes each divided table takes, with its indexes, by its name; and `OTHERS`.

    Tables of the same name in several schemas, the outboxes, are one.

    Raises:
        RetryableError: The database is away.
    """
    async with database.connection() as connection:
        rows = await connection.fetch(_SIZES)
    found: dict[str, int] = {}
    for row in rows:
        name = row["table_name"].partition(".")[2]
        found[name] = found.get(name, 0) + row["bytes"]
    return {**found, OTHERS: rows[0]["database_bytes"] - sum(found.values())}


async def keep_months(database: Database) -> Sequence[str]:
    """Make this month and the next, and drop what is past its time; return the tables that were in use.

    Each table is a transaction of its own, which waits for nobody longer than 100 ms.

    Raises:
        RetryableError: The database is away.
    """
    async with database.connection() as connection:
        tables = [row["table_name"] for row in await connection.fetch(_SIZES)]
        return [table for table in tables if not await connection.fetchval(_KEEP, table)]
