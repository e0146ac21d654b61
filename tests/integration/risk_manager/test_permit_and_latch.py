"""The permit and the halt latch on a real server."""

import uuid
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from libs.common.clock import SystemClock
from libs.common.control.halts import HaltRecord
from libs.common.control.permit import PermitReader, PermitWriter, Renewal
from libs.common.control.redis_latch import RedisHaltLatch
from libs.common.storage import keys
from tests.support.clock import FakeClock
from tests.support.eventually import eventually

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def a_halt(**changes: object) -> HaltRecord:
    return HaltRecord.model_validate({"halt_id": str(uuid.UUID(int=1)), "account": "main", "halted_at": NOW, **changes})


async def test_a_permit_is_valid_for_at_most_a_second_from_the_moment_it_was_asked_for(client: Redis) -> None:
    clock = FakeClock()
    await PermitWriter(client).renew("main", risk_epoch=7, halt_epoch=3)

    permit = await PermitReader(client, clock=clock).read("main")

    assert permit is not None
    assert (permit.risk_epoch, permit.halt_epoch) == (7, 3)
    assert permit.is_valid(clock.monotonic_s())
    clock.advance(1.0)
    assert not permit.is_valid(clock.monotonic_s())


async def test_a_permit_that_is_not_renewed_lapses(client: Redis) -> None:
    await PermitWriter(client).renew("main", risk_epoch=7, halt_epoch=0)
    reader = PermitReader(client, clock=SystemClock())

    async def lapsed() -> bool:
        return await reader.read("main") is None

    await eventually(lapsed)


async def test_there_is_no_permit_where_none_was_granted_or_it_was_revoked(client: Redis) -> None:
    writer, reader = PermitWriter(client), PermitReader(client, clock=FakeClock())
    assert await reader.read("main") is None
    await writer.renew("main", risk_epoch=7, halt_epoch=0)

    await writer.revoke("main", risk_epoch=7)

    assert await reader.read("main") is None


@pytest.mark.parametrize("content", ["", "nonsense", '{"risk_epoch": -1, "halt_epoch": 0}'])
async def test_an_unreadable_permit_is_none(client: Redis, content: str) -> None:
    await client.set(keys.permit("main"), content, px=1_000)

    assert await PermitReader(client, clock=FakeClock()).read("main") is None


async def test_a_permit_without_a_lifetime_is_never_valid(client: Redis) -> None:
    clock = FakeClock()
    await client.set(keys.permit("main"), '{"risk_epoch": 1, "halt_epoch": 0}')

    permit = await PermitReader(client, clock=clock).read("main")

    assert permit is not None
    assert not permit.is_valid(clock.monotonic_s())


async def test_a_permit_from_an_unreachable_server_is_none() -> None:
    client = Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.2)

    assert await PermitReader(client, clock=FakeClock()).read("main") is None
    await client.aclose()


async def test_a_halt_revokes_the_permit_and_its_renewal_until_it_is_removed(client: Redis) -> None:
    latch, writer = RedisHaltLatch(client, accounts=("main",)), PermitWriter(client)
    reader = PermitReader(client, clock=FakeClock())
    await writer.renew("main", risk_epoch=7, halt_epoch=0)

    await latch.add(a_halt())

    assert await reader.read("main") is None
    assert await writer.renew("main", risk_epoch=7, halt_epoch=0) is Renewal.LATCHED
    assert await reader.read("main") is None
    await latch.remove([a_halt().halt_id])
    assert await writer.renew("main", risk_epoch=7, halt_epoch=0) is Renewal.RENEWED


async def test_a_halt_of_a_symbol_leaves_the_permit(client: Redis) -> None:
    latch, writer = RedisHaltLatch(client, accounts=("main",)), PermitWriter(client)

    await latch.add(a_halt(scope_symbol="BTC/USDT"))

    assert await writer.renew("main", risk_epoch=7, halt_epoch=0) is Renewal.RENEWED
    assert await latch.read() == [a_halt(scope_symbol="BTC/USDT")]


async def test_a_halt_of_every_account_latches_each(client: Redis) -> None:
    latch, writer = RedisHaltLatch(client, accounts=("main", "second")), PermitWriter(client)

    await latch.add(a_halt(account=None))

    for account in ("main", "second"):
        assert await writer.renew(account, risk_epoch=7, halt_epoch=0) is Renewal.LATCHED
    assert await latch.read() == [a_halt(account=None)]


async def test_a_halt_that_cannot_be_read_stops_everything(client: Redis) -> None:
    await client.hset(keys.halts("main"), "broken", "{")

    (halt,) = await RedisHaltLatch(client, accounts=("main",)).read()

    assert halt.halt_id == "broken"
    assert halt.stops("main", symbol="BTC/USDT", strategy="any")


async def test_an_older_risk_manager_can_neither_renew_nor_revoke(client: Redis) -> None:
    writer, reader = PermitWriter(client), PermitReader(client, clock=FakeClock())
    await writer.renew("main", risk_epoch=8, halt_epoch=0)

    assert await writer.renew("main", risk_epoch=7, halt_epoch=0) is Renewal.OUTDATED
    await writer.revoke("main", risk_epoch=7)

    permit = await reader.read("main")
    assert permit is not None
    assert permit.risk_epoch == 8
