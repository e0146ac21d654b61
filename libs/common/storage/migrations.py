"""Brings a database to the newest version: numbered migrations, then the roles' passwords.

Runs in a process of its own (`trader db upgrade`): SQLAlchemy is needed nowhere else.
"""

import asyncio
import base64
import hashlib
import hmac
import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from libs.common.errors import ConfigurationError, RetryableError

if TYPE_CHECKING:
    from sqlalchemy import Connection

MIGRATIONS: Final = Path(__file__).parents[3] / "deploy" / "postgres" / "migrations"
ROLES: Final = ("risk_manager", "trade_executor", "position_manager", "notifier", "audit_recorder", "reader")
"""Who reads or writes tables besides their owner; each has a secret file `postgres-<role>`."""

BACKUP: Final = "backup"
"""Who copies the whole server and its changes, and cannot see a table; it is no table's, and so of no migration."""

LOGINS: Final = (*ROLES, BACKUP)

_LOCK: Final = 7_276_347_211
"""Number of the advisory lock that lets one migration job run at a time."""

EXPANDING_SINCE: Final = "0016"
"""From here on a migration only adds, so that the program before it runs on its schema. One that takes something away
says so: `oldest_program` is the version of the oldest program that does without it."""

STATED: Final = """
    SELECT description FROM pg_description JOIN pg_class ON pg_class.oid = objoid AND relname = 'alembic_version'
    WHERE objsubid = 0
"""
"""What the schema says of its version; every role can read it."""

_VERSION: Final = re.compile(r"version (\d{4}), for programs of (\d{4}) and newer")

_BACKUP_ROLE: Final = f"""
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{BACKUP}') THEN
        CREATE ROLE {BACKUP} LOGIN REPLICATION NOSUPERUSER NOCREATEDB NOCREATEROLE;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;  -- another database's job of the same moment
    WHEN insufficient_privilege THEN CREATE ROLE {BACKUP} LOGIN;  -- a provider's server: it copies itself
END $$
"""

_SCRAM_ITERATIONS: Final = 4_096

COMMAND_TIMEOUT_S: Final = 3_600
"""A migration may look through all that there is: seconds for each million rows."""

_DIVIDED: Final = "SELECT table_name FROM months.divided ORDER BY 1"
_KEEP: Final = "SELECT months.adopt($1), months.keep($1)"


def upgrade_database(
    *, address: str, owner: str, password: str, role_passwords: Mapping[str, str], authorities: Path | None = None
) -> str:
    """Apply missing migrations, make this month's and the next one's tables, set the passwords; return the version.

    Args:
        address: `host:port/database`.
        owner: The role that owns the schemas.
        password: The owner's password.
        role_passwords: The password of each of `LOGINS`.
        authorities: The certificate authorities that the server is believed by, in PEM; None: no TLS.

    Raises:
        ConfigurationError: A newer program has upgraded it to what this one cannot run on.
        RetryableError: The server cannot be reached.
    """
    tls = {"ssl": ssl.create_default_context(cafile=authorities)} if authorities is not None else {}
    return asyncio.run(_upgrade(address, owner, password, role_passwords, tls))


async def _upgrade(
    address: str, owner: str, password: str, role_passwords: Mapping[str, str], tls: Mapping[str, ssl.SSLContext]
) -> str:
    # SQLAlchemy and alembic cost a second and 18 MB: only this job pays for them.
    from sqlalchemy import URL, text  # noqa: PLC0415
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

    server, _, database = address.partition("/")
    host, _, port = server.rpartition(":")
    url = URL.create("postgresql+asyncpg", owner, password, host, int(port), database)

    engine = create_async_engine(url, connect_args={"timeout": 5, "command_timeout": COMMAND_TIMEOUT_S, **tls})
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
            version = await connection.run_sync(_migrate)
            for (table,) in (await connection.exec_driver_sql(_DIVIDED)).all():
                await connection.exec_driver_sql(_KEEP, (table,))
                await connection.commit()  # no table waits for another one's locks
            await connection.exec_driver_sql(_BACKUP_ROLE)
            for role, secret in role_passwords.items():
                await connection.exec_driver_sql(f"ALTER ROLE {role} PASSWORD '{scram_verifier(secret)}'")
            await connection.commit()
    except OSError as error:
        raise RetryableError(f"Postgres at {server}: expected a connection, found {error!r}") from error
    finally:
        await engine.dispose()
    return version


def _migrate(connection: "Connection") -> str:
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    known = list(ScriptDirectory.from_config(config).walk_revisions())
    found = MigrationContext.configure(connection).get_current_revision() or ""
    if found and found not in {script.revision for script in known}:
        check_usable(found, stated(connection.exec_driver_sql(STATED).scalar()))
        return found
    command.upgrade(config, "head")
    oldest = max(EXPANDING_SINCE, *(getattr(script.module, "oldest_program", "") for script in known))
    connection.exec_driver_sql(
        f"COMMENT ON TABLE alembic_version IS 'version {newest_known()}, for programs of {oldest} and newer'"
    )
    return newest_known()


def newest_known() -> str:
    """Return the version that this program brings a database to."""
    return max(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def stated(description: Any) -> tuple[str, str]:
    """Return the version of a schema and that of the oldest program for it, as `STATED` found them; else nothing."""
    said = _VERSION.fullmatch(description or "")
    return (said[1], said[2]) if said is not None else ("", "")


def check_usable(version: str, said: tuple[str, str]) -> None:
    """Check that this program can run on the schema of a newer one.

    Args:
        version: Of the schema.
        said: What the schema says of itself.

    Raises:
        ConfigurationError: It cannot, or nothing says that it can.
    """
    oldest = said[1] if said[0] == version else ""
    if not oldest or newest_known() < oldest:
        raise ConfigurationError(
            where="database",
            expected=f"a schema for programs of {newest_known()}",
            found=f"version {version}, for programs of {oldest or 'an unknown version'} and newer",
            hint="start the newer program again, or restore the backup from before its upgrade (docs/runbook.md)",
        )


def execute(script: str) -> None:
    """Run SQL of any number of statements in the transaction of the migration that calls this.

    SQLAlchemy prepares what it executes, and a prepared statement is a single one; the driver's own call is not.
    """
    from alembic import op  # noqa: PLC0415
    from sqlalchemy.util import await_only  # noqa: PLC0415

    connection = op.get_bind()
    connection.exec_driver_sql("SELECT 1")  # SQLAlchemy begins its transaction with its first statement
    driver_connection = connection.connection.driver_connection
    if driver_connection is None:
        message = "expected an open connection, found a detached one"
        raise RuntimeError(message)
    await_only(driver_connection.execute(script))


def scram_verifier(password: str, *, salt: bytes | None = None) -> str:
    """Return what Postgres stores for a password (RFC 5802), so that the password itself never reaches its log."""
    salt = salt if salt is not None else os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _SCRAM_ITERATIONS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, stored_text, server_text = (base64.b64encode(part).decode() for part in (salt, stored_key, server_key))
    return f"SCRAM-SHA-256${_SCRAM_ITERATIONS}:{salt_text}${stored_text}:{server_text}"
