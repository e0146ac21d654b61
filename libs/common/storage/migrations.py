"""Brings a database to the newest version: numbered migrations, then the roles' passwords.

Runs in a process of its own (`trader db upgrade`): SQLAlchemy is needed nowhere else.
"""

import asyncio
import base64
import hashlib
import hmac
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from libs.common.errors import RetryableError

MIGRATIONS: Final = Path(__file__).parents[3] / "deploy" / "postgres" / "migrations"
ROLES: Final = ("risk_manager", "trade_executor", "position_manager", "notifier", "audit_recorder", "reader")
"""Who connects to the database besides its owner; each has a secret file `postgres-<role>`."""

_LOCK: Final = 7_276_347_211
"""Number of the advisory lock that lets one migration job run at a time."""

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
        role_passwords: The password of each of `ROLES`.
        authorities: The certificate authorities that the server is believed by, in PEM; None: no TLS.

    Raises:
        RetryableError: The server cannot be reached.
    """
    tls = {"ssl": ssl.create_default_context(cafile=authorities)} if authorities is not None else {}
    return asyncio.run(_upgrade(address, owner, password, role_passwords, tls))


async def _upgrade(
    address: str, owner: str, password: str, role_passwords: Mapping[str, str], tls: Mapping[str, ssl.SSLContext]
) -> str:
    # SQLAlchemy and alembic cost a second and 18 MB: only this job pays for them.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415
    from sqlalchemy import URL, Connection, text  # noqa: PLC0415
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

    server, _, database = address.partition("/")
    host, _, port = server.rpartition(":")
    url = URL.create("postgresql+asyncpg", owner, password, host, int(port), database)

    def migrate(connection: Connection) -> str:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return MigrationContext.configure(connection).get_current_revision() or "0000"

    engine = create_async_engine(url, connect_args={"timeout": 5, "command_timeout": COMMAND_TIMEOUT_S, **tls})
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
            version = await connection.run_sync(migrate)
            for (table,) in (await connection.exec_driver_sql(_DIVIDED)).all():
                await connection.exec_driver_sql(_KEEP, (table,))
                await connection.commit()  # no table waits for another one's locks
            for role, secret in role_passwords.items():
                await connection.exec_driver_sql(f"ALTER ROLE {role} PASSWORD '{scram_verifier(secret)}'")
            await connection.commit()
    except OSError as error:
        raise RetryableError(f"Postgres at {server}: expected a connection, found {error!r}") from error
    finally:
        await engine.dispose()
    return version


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
