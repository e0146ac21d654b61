"""Postgres for a process that must not end because of it.

A disk that is full, a server that only reads or has no room, a deadlock: people must be told just then, so whatever
Postgres refuses is tried again. Values that it can never take are not: they would keep back every later alert.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg

from libs.common.errors import InvalidMessageError, RetryableError
from libs.common.storage.postgres import Database
from libs.common.storage.transaction import Connection, Transaction


class PatientDatabase:
    """A database whose every error can be tried again, but for values that it cannot take."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection.

        Raises:
            RetryableError: The database is away, or refused.
            InvalidMessageError: It can never store a value.
        """
        with _tried_again():
            async with self._database.connection() as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Lend a transaction that commits when the block ends without an error.

        Raises:
            RetryableError: As `connection`; whether a commit that failed took effect is unknown.
            InvalidMessageError: As `connection`.
        """
        with _tried_again():
            async with self._database.transaction() as transaction:
                yield transaction


@contextmanager
def _tried_again() -> Iterator[None]:
    try:
        yield
    except asyncpg.DataError as error:
        raise InvalidMessageError("unstorable value", expected="what Postgres can store", found=repr(error)) from error
    except asyncpg.PostgresError as error:
        raise RetryableError(f"Postgres: expected it to do as it was told, found {error!r}") from error
