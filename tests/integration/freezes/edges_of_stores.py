"""Postgres and Redis, through `libs/common/storage`, `libs/common/control` and the lease."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

from libs.common.contracts.vocabulary import Role, Side
from libs.common.control.halts import HaltRecord
from libs.common.control.latch_reader import LatchReader
from libs.common.control.permit import PermitReader, PermitWriter
from libs.common.control.redis_latch import RedisHaltLatch
from libs.common.messaging.ownership import Ownership
from libs.common.storage.postgres import (
    ACQUIRE_TIMEOUT_S,
    CLOSE_TIMEOUT_S,
    COMMAND_TIMEOUT_S,
    CONNECT_TIMEOUT_S,
    Database,
)
from libs.common.storage.redis import SOCKET_TIMEOUT_S, RedisStore
from services.market_monitor.adapters import RedisPriceBoard
from services.market_monitor.service.monitor import LatestPrice
from services.risk_manager.adapters.redis_book import RedisRiskBook
from services.risk_manager.domain.claims import Claim, Phase
from services.risk_manager.service.ports import ReservationOutcome
from tests.integration.freezes.edges import Call, Client, Edge
from tests.support.events import AT
from tests.support.owners import ROLE
from tests.support.virtual_time import VirtualClock

ACCOUNT = "main"
PERMIT_S = LATCH_S = 0.1
OPENING_S = CONNECT_TIMEOUT_S + 1
HALT = HaltRecord(halt_id="halt-1", reason="a test", issuer="test", halted_at=AT)


class NoHalts:
    """A halt directory in which nothing is."""

    async def add(self, record: HaltRecord) -> None:
        """Take a halt."""

    async def read(self) -> list[HaltRecord]:
        """Return nothing."""
        return []

    async def remove(self, halt_ids: Any) -> None:
        """Forget halts."""


def _pooled(calling: Callable[[Database], Call]) -> Any:
    @asynccontextmanager
    async def client(url: str) -> AsyncIterator[Client]:
        database = await Database.connect(url, application="test", connections_max=2)
        try:
            yield Client(calling(database), before=database.ping)
        finally:
            await database.close()

    return client


def _statement(database: Database) -> Call:
    async def call() -> object:
        async with database.connection() as connection:
            return await connection.execute("SELECT 1")

    return call


def _transaction(database: Database) -> Call:
    async def call() -> object:
        async with database.transaction() as transaction:
            return await transaction.execute("SELECT 1")

    return call


def _session(database: Database) -> Call:
    session = database.session()

    async def call() -> object:
        async with session.transaction() as transaction:
            return await transaction.fetchval("SELECT 1")

    return call


def _another_connection(database: Database) -> Call:
    async def call() -> object:
        async with database.connection(), database.connection() as another:
            return another

    return call


@asynccontextmanager
async def _standby(url: str) -> AsyncIterator[Client]:
    """The first attempt of a standby to take a role."""
    ownership = Ownership(dsn=url, role=ROLE, holder="test", clock=VirtualClock())
    try:
        yield Client(ownership._try_to_take)
    finally:
        await ownership.release()


@asynccontextmanager
async def _lease(url: str) -> AsyncIterator[Client]:
    """The renewals of an owner."""
    ownership = Ownership(dsn=url, role=ROLE, holder="test", clock=VirtualClock())
    await ownership.take()
    try:
        yield Client(ownership.keep, before=_nothing)
    finally:
        await ownership.release()


async def _nothing() -> None:
    """Ask nothing."""


def _redis(calling: Callable[[RedisStore], Call]) -> Any:
    @asynccontextmanager
    async def client(url: str) -> AsyncIterator[Client]:
        store = RedisStore.connect(url, name="test")
        try:
            yield Client(calling(store))
        finally:
            await store.close()

    return client


def _permit_read(store: RedisStore) -> Call:
    reader = PermitReader(store.client, clock=VirtualClock())
    return lambda: reader.read(ACCOUNT, PERMIT_S)


def _permit_renewed(store: RedisStore) -> Call:
    writer = PermitWriter(store.client)
    return lambda: writer.renew(ACCOUNT, risk_epoch=1, halt_epoch=0)


def _halts_read(store: RedisStore) -> Call:
    reader = LatchReader(redis=RedisHaltLatch(store.client, accounts=[ACCOUNT]), file=NoHalts(), deadline_s=LATCH_S)

    async def call() -> bool:
        return (await reader.read()).redis_readable

    return call


def _halt_latched(store: RedisStore) -> Call:
    latch = RedisHaltLatch(store.client, accounts=[ACCOUNT])

    async def call() -> bool:
        await latch.add(HALT)
        return True

    return call


def _reserving(store: RedisStore) -> Call:
    book = RedisRiskBook(store.client, epoch=lambda: 1)
    claim = Claim(
        account=ACCOUNT,
        intent_id=UUID(int=1),
        signal_id="signal-1",
        strategy="ema_cross",
        symbol="BTC/USDT",
        side=Side.BUY,
        role=Role.ENTRY,
        phase=Phase.RESERVED,
        notional=Decimal(100),
        quantity=Decimal(1),
        approved_at=AT,
        updated_at=AT,
    )

    async def call() -> bool:
        reservation = await book.reserve(claim, positions_max=3, exposure_max=Decimal(1_000))
        return reservation.outcome is not ReservationOutcome.UNAVAILABLE

    return call


def _prices(store: RedisStore) -> Call:
    board = RedisPriceBoard(store)
    price = LatestPrice("BTC/USDT", bid=None, ask=None, last=Decimal(50_000), at=AT)
    return lambda: board.write([price])


EDGES = (
    Edge("a statement", "postgres", _pooled(_statement), COMMAND_TIMEOUT_S + CLOSE_TIMEOUT_S, OPENING_S),
    Edge("a transaction", "postgres", _pooled(_transaction), 2 * COMMAND_TIMEOUT_S + CLOSE_TIMEOUT_S, OPENING_S),
    Edge("a kept session", "postgres", _pooled(_session), COMMAND_TIMEOUT_S + CLOSE_TIMEOUT_S, OPENING_S),
    Edge(
        "one more connection",
        "postgres",
        _pooled(_another_connection),
        ACQUIRE_TIMEOUT_S + CLOSE_TIMEOUT_S,
        OPENING_S,
    ),
    Edge(
        "readiness", "postgres", _pooled(lambda database: database.ping), COMMAND_TIMEOUT_S + CLOSE_TIMEOUT_S, OPENING_S
    ),
    Edge("taking a role", "postgres", _standby, COMMAND_TIMEOUT_S),
    Edge("renewing a lease", "postgres", _lease, COMMAND_TIMEOUT_S, None),
    Edge("readiness", "redis", _redis(lambda store: store.ping), SOCKET_TIMEOUT_S),
    Edge("reading the permit", "redis", _redis(_permit_read), PERMIT_S),
    Edge("renewing the permit", "redis", _redis(_permit_renewed), SOCKET_TIMEOUT_S),
    Edge("reading the halts", "redis", _redis(_halts_read), LATCH_S),
    Edge("latching a halt", "redis", _redis(_halt_latched), SOCKET_TIMEOUT_S),
    Edge("reserving", "redis", _redis(_reserving), SOCKET_TIMEOUT_S),
    Edge("showing prices", "redis", _redis(_prices), SOCKET_TIMEOUT_S),
)
