"""Postgres with a deadline around every wait.

`asyncio.wait_for` does not bound asyncpg (its cancellation waits for the server), so the deadlines are the driver's
own command timeout, the server's statement timeout, and ours around acquiring a connection.
"""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from decimal import Decimal
from typing import Any, Final

import asyncpg

from libs.common.errors import RetryableError
from libs.common.messaging.deadlines import deadline
from libs.common.storage.transaction import Connection, Transaction

COMMAND_TIMEOUT_S: Final = 5.0
ACQUIRE_TIMEOUT_S: Final = 3.0
CONNECT_TIMEOUT_S: Final = 5.0
CLOSE_TIMEOUT_S: Final = 2.0
_JSONB_VERSION: Final = b"\x01"

UNREACHABLE: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # between the server's farewell and the end of its connection
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresConnectionError,
)
"""What asyncpg raises when the server is away, restarting or too slow."""


class Database:
    """A small pool of connections of one role."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._sessions: list[Session] = []

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
                    max_cached_statement_lifetime=0,  # no order waits for a statement to be prepared again
                    init=prepare,
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
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Lend a transaction that commits when the block ends without an error.

        Raises:
            RetryableError: As `connection`; whether a commit that failed took effect is unknown.
        """
        async with self.connection() as connection, Transaction(connection) as transaction:
            yield transaction

    def session(self) -> "Session":
        """Return a connection of one's own, for as long as the pool is open."""
        self._sessions.append(Session(self))
        return self._sessions[-1]

    async def ping(self) -> bool:
        """Return whether the server answers."""
        async with self.connection() as connection:
            return bool(await connection.fetchval("SELECT 1"))

    async def close(self) -> None:
        """Close the pool, by force if it does not close in time."""
        for session in self._sessions:
            await session.give_back()
        try:
            await deadline(self._pool.close(), CLOSE_TIMEOUT_S, "Postgres close")
        except (RetryableError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._pool.terminate()


class Session:
    """A connection kept from one transaction to the next, for a user who begins none before the last one has ended.

    Invariant: a connection on which anything failed goes back to the pool, which resets or closes it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lent = AsyncExitStack()
        self._connection: Connection | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Lend a transaction that commits when the block ends without an error.

        Raises:
            RetryableError: As `Database.connection`; whether a commit that failed took effect is unknown.
        """
        connection = self._connection
        if connection is None or not _is_open(connection):
            await self.give_back()
            connection = self._connection = await self._lent.enter_async_context(self._database.connection())
        try:
            async with Transaction(connection) as transaction:
                yield transaction
        except BaseException:
            self._connection = None
            await self._lent.__aexit__(*sys.exc_info())  # tells a lost server from another error
            raise

    async def give_back(self) -> None:
        """Return the connection to the pool; the next transaction takes another."""
        self._connection = None
        await self._lent.aclose()


def _is_open(connection: Connection) -> bool:
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:  # the pool took it back when it was cut
        return False


async def prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Have a connection take and give JSON as what it stands for."""
    # In the binary format, which composites need: a version byte, then the text.
    await connection.set_type_codec(
        "jsonb",
        encoder=lambda content: _JSONB_VERSION + dump_json(content).encode(),
        decoder=lambda content: json.loads(content[len(_JSONB_VERSION) :]),
        schema="pg_catalog",
        format="binary",
    )


def dump_json(content: Any) -> str:
    """Write JSON with decimals as strings, as the events do."""
    return json.dumps(content, default=_plain, separators=(",", ":"))


def _plain(value: Any) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
