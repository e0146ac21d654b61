"""A row in every table of a database that takes one made of its columns' types and its checks."""

import re
from datetime import UTC, datetime
from typing import Any

import asyncpg

TABLES = """
    SELECT relnamespace::regnamespace || '.' || relname AS name FROM pg_class
    WHERE relnamespace::regnamespace::text !~ '^(pg_|information_schema|months$)' AND relname !~ '^alembic_version'
        AND relkind IN ('r', 'p') AND NOT relispartition
    ORDER BY 1
"""
COLUMNS = """
    SELECT attribute.attname AS name, format_type(attribute.atttypid, NULL) AS type
    FROM pg_attribute AS attribute
    WHERE attribute.attrelid = $1::text::regclass AND attribute.attnum > 0 AND NOT attribute.attisdropped
        AND attribute.attidentity = '' AND attribute.attgenerated = ''
    ORDER BY attribute.attnum
"""
CHECKS = (
    "SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype = 'c'"
)
AT = datetime(2026, 11, 1, tzinfo=UTC)
VALUES: dict[str, Any] = {
    "text": "main",
    "boolean": False,
    "timestamp with time zone": AT,
    "date": AT.date(),
    "uuid": "00000000-0000-0000-0000-000000000001",
    "jsonb": "{}",
    "bytea": bytes(32),
    "text[]": [],
}
NUMBERS = {"smallint", "integer", "bigint", "numeric", "real", "double precision"}


async def fill(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, list[dict[str, Any]]]:
    """Insert the rows, without regard to foreign keys and triggers; return what is in each table that took one."""
    await connection.execute("SET session_replication_role = replica")
    for table in [row["name"] for row in await connection.fetch(TABLES)]:
        checks = " ".join(row["text"] for row in await connection.fetch(CHECKS, table))
        columns = await connection.fetch(COLUMNS, table)
        values = [value(column["name"], column["type"], checks) for column in columns]
        names = ", ".join(f'"{column["name"]}"' for column in columns)
        places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
        try:
            await connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", *values)
        except asyncpg.CheckViolationError:
            continue  # checks over several columns: what these rows are cannot be told from types
    await connection.execute("SET session_replication_role = DEFAULT")
    return await rows(connection)


async def rows(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every table that has any."""
    found = {}
    for table in [row["name"] for row in await connection.fetch(TABLES)]:
        if content := await connection.fetch(f"SELECT * FROM {table}"):
            found[table] = [dict(row) for row in content]
    return found


def value(column: str, kind: str, checks: str) -> Any:
    """Return a value of a type, one of those that the column's check lists if there is such a check."""
    if listed := re.search(rf"\(\(?{column} = ANY \(ARRAY\['(\w+)'", checks):
        return listed[1]
    return VALUES.get(kind, 1 if kind in NUMBERS else "main")
