"""One process owns a role; a hot standby takes over from a dead owner at once, from a silent one after its lease."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial

import asyncpg
import pytest

from libs.common.contracts.event import Event
from libs.common.contracts.topics import TopicName
from libs.common.errors import OwnershipLostError, RetryableError
from libs.common.messaging.owner import Owner
from libs.common.messaging.ownership import Ownership
from tests.support.eventually import eventually
from tests.support.owners import CLOCK, ROLE, Installation, Tally, a_fill
from tests.support.wire import events_arrive, running, write


async def test_a_standby_waits_while_the_owner_lives_and_is_ready_to_take_over(installation: Installation) -> None:
    async with (
        installation.owner(holder="one") as first,
        running(first.run()),
    ):
        await eventually(partial(_owns, first))
        async with installation.owner(holder="two") as second, running(second.run()):
            await write(installation.kafka, a_fill(1))
            await events_arrive(installation.kafka, TopicName.ALERTS, 1)

            assert await second.answered()
            assert not second.is_owner
            assert (first.epoch, second.epoch) == (1, 0)


async def test_a_standby_takes_over_at_once_from_an_owner_that_was_killed(installation: Installation) -> None:
    async with installation.owner(holder="one") as first, installation.owner(holder="two") as second:
        async with running(first.run()):
            await eventually(partial(_owns, first))
            standby = running(second.run())
            await standby.__aenter__()
            await write(installation.kafka, a_fill(1))
            await events_arrive(installation.kafka, TopicName.ALERTS, 1)
        try:
            await eventually(partial(_owns, second), seconds=4.0, what="a takeover before the lease runs out")
            await write(installation.kafka, a_fill(2))
            await events_arrive(installation.kafka, TopicName.ALERTS, 2)
        finally:
            await standby.__aexit__(None, None, None)

    assert second.epoch == 2
    assert await installation.tally() == 2


async def test_a_frozen_owner_is_fenced_and_its_next_transaction_is_refused(installation: Installation) -> None:
    async with (
        installation.owner(holder="frozen", frozen=True) as first,
        installation.owner(holder="standby") as second,
        running(first.run()),
    ):
        await eventually(partial(_owns, first))
        began_s = CLOCK.monotonic_s()
        async with running(second.run()):
            await eventually(partial(_owns, second), what="a takeover from a silent owner")
            took_s = CLOCK.monotonic_s() - began_s

            with pytest.raises(OwnershipLostError):
                await _apply_with_an_answer(first)
            await second.apply(_add_one)

        assert 3.0 < took_s < 8.0  # the lease may be silent for 5 s
        assert await installation.tally() == 1
        assert second.epoch > first.epoch


async def test_an_owner_whose_lock_is_gone_stops(installation: Installation) -> None:
    async with installation.owner(holder="one") as owner:
        running_owner = asyncio.ensure_future(owner.run())
        await eventually(partial(_owns, owner))

        await _end_sessions(installation, "one")

        with pytest.RaisesGroup(OwnershipLostError):
            await asyncio.wait_for(running_owner, timeout=10)


async def test_a_standby_that_dies_half_way_leaves_the_silent_owner_to_the_next(installation: Installation) -> None:
    silent = Ownership(dsn=installation.dsn, role=ROLE, holder="silent", clock=CLOCK)
    await silent.take()
    await installation.fetchval("UPDATE leases SET renewed_at = renewed_at - interval '1 hour' RETURNING 1")
    # What a standby does first, before it dies.
    await installation.fetchval("UPDATE ownership SET epoch = epoch + 1 RETURNING epoch")

    async with _released(Ownership(dsn=installation.dsn, role=ROLE, holder="next", clock=CLOCK)) as following:
        assert await asyncio.wait_for(following.take(), timeout=5) > 2
    await silent.release()


async def test_ownership_waits_for_a_database_that_is_away() -> None:
    nowhere = "postgresql://nobody:nothing@127.0.0.1:1/nowhere"

    async with _released(Ownership(dsn=nowhere, role=ROLE, holder="one", clock=CLOCK)) as ownership:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ownership.take(), timeout=1.2)


@asynccontextmanager
async def _released(ownership: Ownership) -> AsyncIterator[Ownership]:
    try:
        yield ownership
    finally:
        await ownership.release()


async def _owns(owner: Owner[Tally]) -> bool:
    return owner.is_owner


async def _add_one(tally: Tally) -> Sequence[Event]:
    await tally.add("main", Decimal(1))
    return ()


async def _apply_with_an_answer(owner: Owner[Tally]) -> None:
    """Repeat what only met a closed connection, as the loop does."""
    while True:
        try:
            await owner.apply(_add_one)
        except RetryableError:
            continue
        return


async def _end_sessions(installation: Installation, holder: str) -> None:
    connection = await asyncpg.connect(installation.dsn)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", holder
    )
    await connection.close()
