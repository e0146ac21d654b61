"""A transaction in as few round trips as it allows: each one delays the order that waits for it.

Invariant: everything written is committed together or not at all, and whatever is read or written sees what was
written before.
"""

import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import lru_cache
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

_PARAMETER: Final = re.compile(r"\$(\d+)")


class Write(NamedTuple):
    """One INSERT, UPDATE or DELETE, without a WITH of its own."""

    query: str
    parameters: Sequence[object]


class Transaction:
    """Reads, writes, and puts off what can go out together with the last statement.

    It begins with its first write that is not put off. One that only reads, or whose only statement is the last one,
    needs neither BEGIN nor COMMIT.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._begun = AsyncExitStack()
        self._has_begun = False
        self._deferred: tuple[Write, ...] = ()

    async def __aenter__(self) -> Self:
        """Begin nothing yet."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Commit what was written, or take it back after an error."""
        if kind is None and self._deferred:
            await self._write_deferred()
        await self._begun.__aexit__(kind, error, traceback)

    async def begin(self) -> None:
        """Begin, unless it has begun: from here on everything commits together."""
        if not self._has_begun:
            await self._begun.enter_async_context(self._connection.transaction())
            self._has_begun = True

    async def fetch(self, query: str, *parameters: object) -> list[asyncpg.Record]:
        """Return the rows of a SELECT."""
        await self._before_reading(query)
        return await self._connection.fetch(query, *parameters)

    async def fetchrow(self, query: str, *parameters: object) -> asyncpg.Record | None:
        """Return the first row of a SELECT, or None."""
        await self._before_reading(query)
        return await self._connection.fetchrow(query, *parameters)

    async def fetchval(self, query: str, *parameters: object) -> Any:
        """Return the first value of a SELECT, or None."""
        await self._before_reading(query)
        return await self._connection.fetchval(query, *parameters)

    async def execute(self, query: str, *parameters: object) -> str:
        """Write now; return the command's tag."""
        await self._before_writing()
        return await self._connection.execute(query, *parameters)

    async def executemany(self, query: str, rows: Sequence[Sequence[object]]) -> None:
        """Write now, once for each row of parameters."""
        await self._before_writing()
        await self._connection.executemany(query, rows)

    async def returning(self, query: str, *parameters: object) -> asyncpg.Record | None:
        """Write now, or lock; return the first row that it returns."""
        await self._before_writing()
        return await self._connection.fetchrow(query, *parameters)

    async def defer(self, *writes: Write) -> None:
        """Write before anything else happens, if possible in the same round trip as the last statement.

        Args:
            writes: They become one statement, so none may touch a row that another one of them writes.
        """
        await self._write_deferred()
        self._deferred = writes

    async def end(self, query: str, *parameters: object) -> list[asyncpg.Record]:
        """Run the last statement, which begins with WITH, together with what was put off; return its rows."""
        statement = _together(self._deferred, Write(query, parameters))
        self._deferred = ()
        return await self._connection.fetch(statement.query, *statement.parameters)

    async def _before_reading(self, query: str) -> None:
        if not query.lstrip().startswith("SELECT"):
            raise ValueError(f"expected a SELECT, found {query.strip()[:60]!r}; write through execute or returning")
        await self._write_deferred()

    async def _before_writing(self) -> None:
        await self._write_deferred()
        await self.begin()

    async def _write_deferred(self) -> None:
        writes, self._deferred = self._deferred, ()
        if writes:
            await self.begin()
        for write in writes:
            await self._connection.execute(write.query, *write.parameters)


def _together(writes: Sequence[Write], last: Write) -> Write:
    """Return one statement that does all."""
    query = _composed(last.query, tuple((write.query, len(write.parameters)) for write in writes))
    return Write(query, [parameter for write in (*writes, last) for parameter in write.parameters])


@lru_cache(maxsize=256)
def _composed(last: str, writes: tuple[tuple[str, int], ...]) -> str:
    parts, before = [], 0
    for place, (query, parameters) in enumerate(writes):
        parts.append(f"deferred_{place} AS ({_renumbered(query, before)})")
        before += parameters
    body = _renumbered(last, before).lstrip().removeprefix("WITH")
    return f"WITH {', '.join([*parts, body.lstrip()])}"


def _renumbered(query: str, before: int) -> str:
    """Return a query whose parameters come after others."""
    return _PARAMETER.sub(lambda found: f"${int(found[1]) + before}", query)
