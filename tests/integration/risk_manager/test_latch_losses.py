"""A halt outlives restarts and the loss of any of its three places, on real stores; the lost place is written again."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from redis.asyncio import Redis

from libs.common.contracts.event import Event
from libs.common.contracts.vocabulary import TradingState
from libs.common.control.file_latch import FileHaltLatch
from libs.common.control.halts import HaltRecord
from libs.common.control.latch_reader import LatchReader
from libs.common.control.permit import PermitWriter
from libs.common.control.redis_latch import RedisHaltLatch
from libs.common.storage import keys
from libs.common.storage.postgres import Database
from services.risk_manager.adapters.postgres import PostgresRiskRecords
from services.risk_manager.service.governing import Governor
from services.risk_manager.service.halt_watch import LOOKS_A_ROW, HaltWatch
from services.risk_manager.service.losses import LossGuard
from services.risk_manager.service.permits import LastLook, PermitKeeper
from services.risk_manager.service.policy import StartPolicy
from services.risk_manager.service.ports import RiskRecords
from tests.service.risk_manager.builders import (
    OPERATORS,
    FakeConditions,
    a_clock,
    a_command,
    a_configuration,
    a_keeper,
    a_mark,
    enveloped,
)
from tests.service.risk_manager.test_halt_watch import no_sale
from tests.support.migrated import MigratedDatabase

RESTARTS = 20


class Process:
    """One life of the risk manager's halts over the stores; `restarted` is the next one. It would start ACTIVE."""

    def __init__(self, database: Database, client: Redis, directory: Path) -> None:
        self.database, self.client, self.directory = database, client, directory
        self.clock = a_clock()
        self.redis, self.file = RedisHaltLatch(client, accounts=("main",)), FileHaltLatch(directory)
        configuration = a_configuration()
        self.governor = Governor(
            configuration=configuration,
            configuring=a_keeper(configuration),
            operators=lambda: OPERATORS,
            conditions=FakeConditions(),
            liquidate=no_sale,
            start=StartPolicy(starts_active=True),
            clock=self.clock,
        )
        self.losses = LossGuard(configuration=configuration, governor=self.governor)
        last_look = LastLook(self.clock)
        self.permits = PermitKeeper(
            configuration=configuration,
            writer=PermitWriter(client),
            governor=self.governor,
            losses=self.losses,
            epoch=lambda: 7,
            differing=tuple,
            last_look=last_look,
            clock=self.clock,
        )
        self.watch = HaltWatch(
            governor=self.governor,
            latches=LatchReader(redis=self.redis, file=self.file, deadline_s=5.0),
            redis=self.redis,
            file=self.file,
            permits=self.permits,
            apply=self.apply,
            last_look=last_look,
        )

    async def apply(self, work: Callable[[RiskRecords], Awaitable[Sequence[Event]]]) -> None:
        effects: list[Callable[[], None]] = []
        async with self.database.transaction() as connection:
            await work(PostgresRiskRecords(connection, after_commit=effects.append))
        for effect in effects:
            effect()

    async def started(self) -> "Process":
        await self.apply(self.governor.begin)
        mark = enveloped(a_mark(occurred_at=self.clock.now()))
        await self.apply(lambda records: self.losses.on_equity_marked(mark, records))
        self.losses.marked_at["main"] = self.clock.now()
        return self

    async def restarted(self) -> "Process":
        return await Process(self.database, self.client, self.directory).started()

    async def is_permitted(self) -> bool:
        await self.watch.look()
        await self.permits.renew()
        return bool(await self.client.exists(keys.permit("main")))

    async def places(self) -> tuple[int, int, int]:
        """Return how many halts stand in Postgres, Redis and the directory."""
        async with self.database.connection() as connection:
            rows = await connection.fetchval("SELECT count(*) FROM halts WHERE cleared_at IS NULL")
        return int(rows), len(await self.redis.read()), len(await self.file.read())

    # What is lost.

    async def lose_redis(self) -> None:
        await self.client.flushdb()

    async def lose_the_directory(self) -> None:
        for path in self.directory.iterdir():
            path.unlink()

    async def lose_the_row(self) -> None:
        async with self.database.connection() as connection:
            await connection.execute("DELETE FROM halts")

    async def lose_the_tables(self) -> None:
        async with self.database.connection() as connection:
            await connection.execute("DELETE FROM halts; DELETE FROM trading_state; DELETE FROM commands")


LOSSES = (Process.lose_redis, Process.lose_the_directory, Process.lose_the_row, Process.lose_the_tables)


@pytest.fixture
async def process(migrated: MigratedDatabase, client: Redis, tmp_path: Path) -> AsyncIterator[Process]:
    database = await migrated.connect("risk_manager")
    yield await Process(database, client, tmp_path).started()
    await database.close()


async def halted(process: Process) -> Process:
    assert await process.is_permitted()
    await process.watch.on_command(enveloped(a_command("HALT")))
    await process.watch.look()
    assert await process.places() == (1, 1, 1)
    return process


@pytest.mark.parametrize("lose", LOSSES)
async def test_a_place_that_is_lost_is_written_again(
    process: Process, lose: Callable[[Process], Awaitable[None]]
) -> None:
    await halted(process)

    await lose(process)
    for _ in range(LOOKS_A_ROW):
        assert not await process.is_permitted()

    assert process.governor.known["main"].state is TradingState.HALTED
    assert await process.places() == (1, 1, 1)


async def test_a_halt_is_latched_through_twenty_restarts_each_of_which_loses_a_place(process: Process) -> None:
    await halted(process)

    for number in range(RESTARTS):
        await LOSSES[number % len(LOSSES)](process)
        process = await process.restarted()
        assert not await process.is_permitted()
        assert process.governor.known["main"].state is TradingState.HALTED
        assert await process.places() == (1, 1, 1)


async def test_a_halt_is_latched_while_one_place_is_left(process: Process) -> None:
    await halted(process)

    for lose_both in ((0, 1), (0, 3), (1, 3)):
        for number in lose_both:
            await LOSSES[number](process)
        process = await process.restarted()
        assert not await process.is_permitted()
        assert await process.places() == (1, 1, 1)


async def test_a_settled_halt_comes_back_from_nowhere(process: Process) -> None:
    await halted(process)
    (halt,) = process.governor.known["main"].halts
    resume = enveloped(a_command("RESUME", clears=(halt.halt_id,)))
    await process.apply(lambda records: process.governor.on_command(resume, records))
    await process.watch.look()
    assert await process.places() == (0, 0, 0)

    process = await process.restarted()
    await process.file.add(HaltRecord.model_validate(halt.model_dump()))
    await process.watch.look()

    assert await process.places() == (0, 0, 0)
    assert process.governor.known["main"].state is TradingState.REDUCING
