"""Postgres as owners use it: transactions that take effect wholly or not at all, locks, sessions, the outbox.

Invariant: the statements are those of `libs.common.messaging`, recognised by their text; an unknown one is an error.
What a transaction wrote is applied row by row when it commits, and nothing of it before.
"""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

from libs.common.errors import RetryableError
from libs.common.messaging import outbox, positions, published, sealing
from services.risk_manager.adapters import reconciliation
from tests.simulation.loop import CURRENT, Process
from tests.simulation.machine import Machine
from tests.simulation.ownership_session import LockConnection, Row, Schema

_MISSING: Final = object()


@dataclass
class Postgres:
    """The server.

    Attributes:
        down: Nobody is answered, and every session ends.
        full: Nothing can be written; that the server then gives up, its users take for its being away.
        lost_rate: How often a commit takes effect although its answer is lost.
        on_commit: Is told of every transaction that took effect: role and process.
    """

    machine: Machine
    chance: Random
    delay_s_max: float = 0.005
    down: bool = False
    full: bool = False
    lost_rate: float = 0.0
    on_commit: Callable[[str, Process], None] = lambda *_: None
    schemas: dict[str, Schema] = field(default_factory=dict)

    async def answer(self) -> None:
        """Take the time of a round trip.

        Raises:
            RetryableError: The server is down.
        """
        await asyncio.sleep(self.chance.uniform(0.0001, self.delay_s_max))
        self.require_up()

    def require_up(self) -> None:
        """Raise an error if the server is down."""
        if self.down:
            raise RetryableError("Postgres: expected a connection, found none")

    def open_differences(self, account: str) -> Sequence[dict[str, str | None]]:
        """Return the view `reading.differences`."""
        return [
            {
                "difference_id": str(row.id),
                "symbol": row.symbol,
                "subject": f"{row.kind} {row.subject}",
                "expected": row.expected,
                "found": row.found,
            }
            for row in self.schemas["trade_executor"].tables.difference_rows.values()
            if row.account == account and row.settled_by is None
        ]

    def connect(self, role: str, holder: str) -> "SimulatedDatabase":
        """Return the pool of a process."""
        return SimulatedDatabase(self, self.schemas[role], role, holder)

    def lock_connection(self, dsn: str, application: str) -> "LockConnection":
        """Return the connection of an `Ownership`."""
        role = urlsplit(dsn).username or ""
        return LockConnection(self.answer, self.machine.loop.time, self.schemas[role], application, CURRENT.get())


class SimulatedDatabase:
    """A pool, as far as `Owner`, its relay and its positions use one."""

    def __init__(self, postgres: Postgres, schema: Schema, role: str, holder: str) -> None:
        self.postgres = postgres
        self.schema = schema
        self.role = role
        self.holder = holder

    def session(self) -> "SimulatedDatabase":
        return self

    async def ping(self) -> bool:
        await self.postgres.answer()
        return True

    async def close(self) -> None:
        """Nothing is open."""

    async def reach(self) -> None:
        """Wait for an answer; a session that was ended says so once, and the pool has others."""
        await self.postgres.answer()
        self._require_session()

    def _require_session(self) -> None:
        if self.holder in self.schema.ended:
            self.schema.ended.discard(self.holder)
            raise RetryableError("Postgres: the session was ended")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["SimulatedTransaction"]:
        """Lend a transaction that commits when the block ends without an error."""
        self.postgres.require_up()  # it begins with its first statement
        self._require_session()
        transaction = SimulatedTransaction(self)
        yield transaction
        await self.reach()
        await self.postgres.machine.reach("before commit")
        if self.postgres.full:
            raise RetryableError("Postgres: expected a commit, found a full disk")
        self._require_session()
        transaction.commit()
        self.postgres.on_commit(self.role, CURRENT.get())
        await self.postgres.machine.reach("committed")
        await asyncio.sleep(self.postgres.chance.uniform(0.0001, self.postgres.delay_s_max))
        if self.postgres.chance.random() < self.postgres.lost_rate:
            raise RetryableError("Postgres: expected the answer to COMMIT, found a closed connection")

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["SimulatedConnection"]:
        """Lend a connection."""
        await self.reach()
        yield SimulatedConnection(self)


class SimulatedConnection:
    """Statements outside of an owner's transactions."""

    def __init__(self, database: SimulatedDatabase) -> None:
        self._database = database
        self._schema = database.schema

    async def fetch(self, query: str, *parameters: Any) -> Sequence[Any]:
        await self._database.reach()
        schema = self._schema
        if query == positions._POSITIONS:
            return [
                {"topic": topic, "partition": partition, "next_offset": following, "last_event_id": event_id}
                for (topic, partition), (following, event_id) in schema.offsets.items()
            ]
        if query == published._KNOWN:
            account, topic, event_ids, rows_max = parameters
            latest = [row for row in schema.outbox if row.account == account and row.topic == topic][-rows_max:]
            return [{"event_id": row.headers["event_id"]} for row in latest if row.headers["event_id"] in event_ids]
        if query == reconciliation._DIFFERENCES:
            return self._database.postgres.open_differences(parameters[0])
        if query == outbox._UNPUBLISHED:
            rows = sorted(
                (row for row in schema.outbox if not row.published), key=lambda row: (row.account, row.sequence)
            )
            return [_told(row) for row in rows[: parameters[0]]]
        raise NotImplementedError(query)

    async def execute(self, query: str, *parameters: Any) -> str:
        await self._database.reach()
        if query != outbox._MARK:
            raise NotImplementedError(query)
        marked = set(zip(*parameters, strict=True))
        for row in self._schema.outbox:
            row.published |= (row.account, row.sequence) in marked
        return ""


class SimulatedTransaction:
    """A draft of the tables, and what is sealed with it."""

    def __init__(self, database: SimulatedDatabase) -> None:
        self._database = database
        self._schema = database.schema
        self._before = dict(vars(self._schema.tables))  # a commit replaces tables and never changes one
        self.tables = copy.copy(self._schema.tables)
        for name, table in self._before.items():
            setattr(self.tables, name, copy.copy(table))
        self._epoch: int | None = None
        self._offsets: dict[tuple[str, int], tuple[int, str]] = {}
        self._rows: list[tuple[str, str, str, str, dict[str, str]]] = []

    async def end(self, query: str, *parameters: Any) -> Sequence[Any]:
        """Prove the epoch, move the positions, append the answers."""
        if query != sealing._SEAL:
            raise NotImplementedError(query)
        await self._database.reach()
        _, self._epoch, topics, partitions, offsets, ids, *columns = parameters
        self._offsets = {
            (topic, partition): (offset, event_id)
            for topic, partition, offset, event_id in zip(topics, partitions, offsets, ids, strict=True)
        }
        self._rows = list(zip(*columns, strict=True))
        self._prove()
        heads = dict(self._schema.heads)
        for account, *_ in self._rows:
            heads[account] = heads.get(account, 0) + 1
        touched = {account for account, *_ in self._rows}
        return [{"account": account, "sequence": heads[account]} for account in sorted(touched)]

    def commit(self) -> None:
        """Apply what was written."""
        schema = self._schema
        if self._epoch is not None and self._is_outdated:
            raise RetryableError("Postgres: the transaction gave way to another one")
        for name, before in self._before.items():
            table, draft = getattr(schema.tables, name), getattr(self.tables, name)
            setattr(schema.tables, name, _merged(table, before, draft))
        schema.offsets |= self._offsets
        for account, topic, key, value, headers in self._rows:
            schema.heads[account] = schema.heads.get(account, 0) + 1
            schema.outbox.append(
                Row(
                    account,
                    schema.heads[account],
                    topic,
                    key,
                    value,
                    headers,
                    self._database.postgres.machine.loop.time(),
                )
            )

    @property
    def _is_outdated(self) -> bool:
        return self._schema.epoch != self._epoch or self._has_moved

    @property
    def _has_moved(self) -> bool:
        stored = self._schema.offsets
        return any(stored.get(place, (0, ""))[0] >= offset for place, (offset, _) in self._offsets.items())

    def _prove(self) -> None:
        if self._schema.epoch != self._epoch:
            raise asyncpg.RaiseError("NOT THE OWNER")
        if self._has_moved:
            raise asyncpg.RaiseError("COMMITTED BEFORE")


def _told(row: Row) -> dict[str, Any]:
    return {**vars(row), "age_s": 0.0}


def _merged(table: Any, before: Any, draft: Any) -> Any:
    """Return a table with the rows that a transaction changed."""
    if table is before:
        return draft
    if isinstance(before, dict):
        if table.keys() == before.keys() and all(table[key] is before[key] for key in before):
            return draft
        merged = dict(table)
        for key in {**before, **draft}:
            if draft.get(key, _MISSING) is before.get(key, _MISSING):
                continue
            if key in draft:
                merged[key] = draft[key]
            else:
                merged.pop(key, None)
        return merged
    if isinstance(before, set):
        return (table - (before - draft)) | (draft - before)
    if isinstance(before, list):
        return [*table, *draft[len(before) :]] if len(table) != len(before) else draft
    return draft if draft is not before else table
