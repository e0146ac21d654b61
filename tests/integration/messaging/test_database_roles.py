"""Migrations can be repeated, and each role can do what is its business and nothing else."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from libs.common.errors import RetryableError
from libs.common.storage import migrations
from tests.support.migrated import PASSWORD, MigratedDatabase

SERVICES = tuple(role for role in migrations.ROLES if role != "reader")
AUDIT_ROW = """
    INSERT INTO audit_log (topic, partition, offset_first, offset_last, kind, event_type, key, recorded_at, headers,
        payload, previous_hash, hash)
    VALUES ('fills', 0, 0, 0, 'EVENT', 'OrderFilled', 'main', now(), '{}', '{}',
        decode(repeat('00', 32), 'hex'), decode(repeat('11', 32), 'hex'))
"""


async def test_migrations_applied_again_change_nothing(migrated: MigratedDatabase) -> None:
    async with _connected(migrated.url) as connection:
        before = await _tables(connection)

        version = await asyncio.to_thread(_upgrade, migrated.url)

        assert version == max(path.name[:4] for path in (migrations.MIGRATIONS / "versions").glob("0*.py"))
        assert await _tables(connection) == before


async def test_two_migration_jobs_at_once_take_turns(database: str) -> None:
    first, second = await asyncio.gather(asyncio.to_thread(_upgrade, database), asyncio.to_thread(_upgrade, database))

    assert first == second != "0000"


async def test_no_server_is_retryable() -> None:
    with pytest.raises(RetryableError):
        await asyncio.to_thread(_upgrade, "postgresql://nobody:nothing@127.0.0.1:1/nowhere")


@pytest.mark.parametrize("role", migrations.ROLES)
async def test_a_role_gets_in_with_its_password_only(migrated: MigratedDatabase, role: str) -> None:
    async with _connected(migrated.url_of(role)) as connection:
        assert await connection.fetchval("SELECT current_user") == role

    wrong = migrated.url_of(role).replace(PASSWORD, "another")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong)


@pytest.mark.parametrize("role", SERVICES)
async def test_a_service_neither_reads_nor_writes_anothers_tables(migrated: MigratedDatabase, role: str) -> None:
    async with _connected(migrated.url_of(role)) as connection:
        await connection.execute("SELECT * FROM consumer_offsets")
        for other in SERVICES:
            if other == role:
                continue
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"SELECT * FROM {other}.consumer_offsets")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"DELETE FROM {other}.outbox")


@pytest.mark.parametrize("role", migrations.ROLES)
async def test_nobody_but_the_owner_creates_anything(migrated: MigratedDatabase, role: str) -> None:
    async with _connected(migrated.url_of(role)) as connection:
        for schema in ("public", "reading", "risk_manager"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"CREATE TABLE {schema}.smuggled (id int)")


async def test_the_reader_reads_every_view_and_nothing_else(migrated: MigratedDatabase) -> None:
    async with _connected(migrated.url) as owner:
        views = await owner.fetch("SELECT viewname FROM pg_views WHERE schemaname = 'reading'")
    assert views

    async with _connected(migrated.url_of("reader")) as connection:
        for (view,) in views:
            await connection.execute(f"SELECT * FROM {view} LIMIT 1")
        for service in SERVICES:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"SELECT * FROM {service}.consumer_offsets")
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute("DELETE FROM logs")


async def test_the_audit_log_only_grows(migrated: MigratedDatabase) -> None:
    async with _connected(migrated.url_of("audit_recorder")) as recorder:
        await recorder.execute(AUDIT_ROW)
        for statement in ("SELECT * FROM audit_log", "DELETE FROM audit_log", "TRUNCATE audit_log"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await recorder.execute(statement)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await recorder.execute("UPDATE audit_log SET payload = 'forged'")

    async with _connected(migrated.url) as owner:  # the trigger stops even the tables' owner
        for statement in ("DELETE", "TRUNCATE"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await owner.execute(f"{statement} {'FROM' if statement == 'DELETE' else ''} audit_recorder.audit_log")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.execute("UPDATE audit_recorder.audit_log SET payload = 'forged'")
        assert await owner.fetchval("SELECT count(*) FROM audit_recorder.audit_log") == 1


async def test_what_we_store_for_a_password_is_what_postgres_would_store(database: str) -> None:
    async with _connected(database) as connection:
        await connection.execute("CREATE ROLE verifier_probe PASSWORD 'of-a-probe'")
        try:
            theirs = await connection.fetchval("SELECT rolpassword FROM pg_authid WHERE rolname = 'verifier_probe'")
        finally:
            await connection.execute("DROP ROLE verifier_probe")

    salt = theirs.split("$")[1].split(":")[1]
    assert migrations.scram_verifier("of-a-probe", salt=base64.b64decode(salt)) == theirs


def _upgrade(url: str) -> str:
    parts = urlsplit(url)
    return migrations.upgrade_database(
        address=urlunsplit(parts._replace(scheme="", netloc=f"{parts.hostname}:{parts.port}")).removeprefix("//"),
        owner=parts.username or "",
        password=parts.password or "",
        role_passwords=dict.fromkeys(migrations.ROLES, PASSWORD),
    )


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def _tables(connection: "asyncpg.Connection[asyncpg.Record]") -> list[tuple[str, ...]]:
    rows = await connection.fetch(
        "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns "
        "WHERE table_schema NOT LIKE 'pg_%' ORDER BY 1, 2, 3"
    )
    return [tuple(row) for row in rows]
