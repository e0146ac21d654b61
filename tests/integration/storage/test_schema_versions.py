"""An upgrade keeps the rows that are there; a schema of a newer program is run on, or refused and told."""

import asyncio
from urllib.parse import urlsplit

import asyncpg
import pytest
from alembic import command
from alembic.script import ScriptDirectory

from libs.common.errors import ConfigurationError
from libs.common.storage import migrations
from tests.integration.storage.test_migrations_both_ways import configured, objects_after
from tests.support import some_rows
from tests.support.migrated import PASSWORD, MigratedDatabase

FILLED_TABLES_MIN = 40


async def upgrade(url: str) -> str:
    parts = urlsplit(url)
    return await asyncio.to_thread(
        migrations.upgrade_database,
        address=f"{parts.hostname}:{parts.port}{parts.path}",
        owner=parts.username or "",
        password=parts.password or "",
        role_passwords=dict.fromkeys(migrations.LOGINS, PASSWORD),
    )


async def test_rows_of_the_version_before_are_there_after_the_upgrade(database: str):
    newest, before, *_ = ScriptDirectory.from_config(configured()).walk_revisions()
    await objects_after(database, command.upgrade, before.revision)
    connection = await asyncpg.connect(database)
    try:
        filled = await some_rows.fill(connection)

        assert await upgrade(database) == newest.revision

        kept = await some_rows.rows(connection)
    finally:
        await connection.close()
    assert len(filled) >= FILLED_TABLES_MIN
    for table, rows in filled.items():
        assert len(kept[table]) == len(rows), table
        for column in rows[0].keys() & kept[table][0].keys():
            assert kept[table][0][column] == rows[0][column], f"{table}.{column}"


async def test_a_newer_schema_is_run_on_where_it_says_so_and_refused_otherwise(migrated: MigratedDatabase):
    newest = migrations.newest_known()
    connection = await asyncpg.connect(migrated.url)
    reader = await asyncpg.connect(migrated.url_of("reader"))
    try:
        assert migrations.stated(await reader.fetchval(migrations.STATED))[0] == newest
        await connection.execute("UPDATE alembic_version SET version_num = '9998'")
        with pytest.raises(ConfigurationError, match="programs of an unknown version and newer; start the newer"):
            await upgrade(migrated.url)
        await connection.execute(
            f"COMMENT ON TABLE alembic_version IS 'version 9998, for programs of {newest} and newer'"
        )
        assert await upgrade(migrated.url) == "9998"
        await connection.execute("COMMENT ON TABLE alembic_version IS 'version 9998, for programs of 9997 and newer'")
        with pytest.raises(ConfigurationError, match=f"programs of {newest}, found version 9998, for programs of 9997"):
            await upgrade(migrated.url)
    finally:
        await connection.close()
        await reader.close()
