"""Postgres with a deadline around every wait.

`asyncio.wait_for` does not bound asyncpg (its cancellation waits for the server), so the deadlines are the driver's
own command timeout, the server's statement timeout, and ours around acquiring a connection.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any, Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from libs.common.errors import RetryableError
from libs.common.messaging.deadlines import deadline

COMMAND_TIMEOUT_S: Final = 5.0
ACQUIRE_TIMEOUT_S: Final = 3.0
CONNECT_TIMEOUT_S: Final = 5.0
CLOSE_TIMEOUT_S: Final = 2.0

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

UNREACHABLE: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresConnectionError,
)
"""What asyncpg raises when the server is away, restarting or too slow."""


class Database:
    """A small pool of connections of one role."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    @classmethod
    async def connect(cls, dsn: str, *, application: str, connections_max: int = 4) -> "Database":
        """Open the pool.

        Args:
            dsn: Address, role and password.
            application: Shown in pg_stat_activity; a takeover ends a frozen owner's sessions by this name.
            connections_max: Bound of the pool.

        Raises:
            RetryableError: The server cannot be reached.
        """
        try:
            pool = await deadline(
                asyncpg.create_pool(
                    dsn,
                    min_size=1,
                    max_size=connections_max,
                    timeout=CONNECT_TIMEOUT_S,
                    command_timeout=COMMAND_TIMEOUT_S,
                    max_inactive_connection_lifetime=0,
                    init=_prepare,
                    server_settings={
                        "application_name": application[:63],
                        "statement_timeout": str(int(COMMAND_TIMEOUT_S * 1_000)),
                        "idle_in_transaction_session_timeout": "10000",
                        "timezone": "UTC",
                    },
                ),
                CONNECT_TIMEOUT_S + 1,
                "Postgres connect",
            )
        except UNREACHABLE as error:
            raise RetryableError(f"Postgres: expected a connection, found {error!r}") from error
        return cls(pool)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection.

        Raises:
            RetryableError: None was free in time, or the server went away.
        """
        try:
            connection = await self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
        except UNREACHABLE as error:
            raise RetryableError(f"Postgres: expected a connection within {ACQUIRE_TIMEOUT_S:g} s") from error
        try:
            yield connection
        except UNREACHABLE as error:
            if isinstance(error, asyncpg.InterfaceError) and _is_open(connection):
                raise  # a misuse of the driver, not a lost server
            raise RetryableError(f"Postgres: expected an answer, found {error!r}") from error
        finally:
            # What was done is done: a connection that cannot be reset is closed by the pool, and that is all.
            with suppress(*UNREACHABLE):
                await self._pool.release(connection, timeout=CLOSE_TIMEOUT_S)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction that commits when the block ends without an error.

        Raises:
            RetryableError: As `connection`; whether a commit that failed took effect is unknown.
        """
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def ping(self) -> bool:
        """Return whether the server answers."""
        async with self.connection() as connection:
            return bool(await connection.fetchval("SELECT 1"))

    async def close(self) -> None:
        """Close the pool, by force if it does not close in time."""
        try:
            await deadline(self._pool.close(), CLOSE_TIMEOUT_S, "Postgres close")
        except (RetryableError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._pool.terminate()


def _is_open(connection: Connection) -> bool:
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:  # the pool took it back when it was cut
        return False


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.set_type_codec("jsonb", encoder=dump_json, decoder=json.loads, schema="pg_catalog")


def dump_json(content: Any) -> str:
    """Write JSON with decimals as strings, as the events do."""
    return json.dumps(content, default=_plain, separators=(",", ":"))


def _plain(value: Any) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
