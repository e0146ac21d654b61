"""The shared risk state on a real server: atomic, idempotent, fenced, and always what Postgres says."""

import asyncio
import uuid
from dataclasses import replace
from decimal import Decimal
from typing import Any

from redis.asyncio import Redis

from libs.common.contracts.vocabulary import Role, Side
from libs.common.storage import keys
from services.risk_manager.adapters.redis_book import RedisRiskBook
from services.risk_manager.domain.claims import Claim, HeldPosition, Phase
from services.risk_manager.service.ports import Reservation, ReservationOutcome
from tests.service.risk_manager.builders import NOW
from tests.support.eventually import eventually

RESERVED = ReservationOutcome.RESERVED


def a_claim(number: int = 0, *, symbol: str | None = None, notional: str = "100", **changes: Any) -> Claim:
    fields: dict[str, Any] = {
        "account": "main",
        "intent_id": uuid.UUID(int=number),
        "signal_id": f"signal-{number}",
        "strategy": "ema_cross",
        "symbol": symbol or f"COIN{number}/USDT",
        "side": Side.BUY,
        "role": Role.ENTRY,
        "phase": Phase.RESERVED,
        "notional": Decimal(notional),
        "quantity": Decimal(1),
        "approved_at": NOW,
        "updated_at": NOW,
    }
    return Claim(**{**fields, **changes})


def a_position(symbol: str = "BTC/USDT", **changes: Any) -> HeldPosition:
    fields: dict[str, Any] = {
        "account": "main",
        "symbol": symbol,
        "revision": 1,
        "quantity": Decimal(1),
        "cost": Decimal(500),
        "round_trips": 0,
        "is_open": True,
    }
    return HeldPosition(**{**fields, **changes})


async def a_book(client: Redis, *, epoch: int = 1) -> RedisRiskBook:
    book = RedisRiskBook(client, epoch=lambda: epoch)
    await book.reconcile("main", claims=(), positions=())
    return book


async def reserve(
    book: RedisRiskBook, claim: Claim, *, positions_max: int = 1_000, exposure_max: str = "1000"
) -> Reservation:
    return await book.reserve(claim, positions_max=positions_max, exposure_max=Decimal(exposure_max))


async def claims_of(client: Redis) -> dict[str, str]:
    content: Any = await client.hgetall(keys.risk_claims("main"))
    return dict(content)


async def test_two_hundred_concurrent_reservations_never_exceed_the_exposure(client: Redis, crowd: Redis) -> None:
    book = await a_book(crowd)

    reservations = await asyncio.gather(
        *(reserve(book, a_claim(number, notional="33.333333"), exposure_max="1000") for number in range(200))
    )

    reserved = [reservation for reservation in reservations if reservation.outcome is RESERVED]
    assert len(reserved) == 30  # 30 x 33.333333 = 999.99999, 31 would be 1 033.333323
    assert len(await claims_of(client)) == 30


async def test_two_hundred_concurrent_reservations_never_exceed_the_positions(crowd: Redis) -> None:
    book = await a_book(crowd)

    reservations = await asyncio.gather(
        *(reserve(book, a_claim(number, notional="1"), positions_max=5) for number in range(200))
    )

    assert sum(reservation.outcome is RESERVED for reservation in reservations) == 5


async def test_the_exposure_may_be_used_up_to_exactly_its_limit(client: Redis) -> None:
    book = await a_book(client)

    assert (await reserve(book, a_claim(1, notional="600"))).outcome is RESERVED
    assert (
        await reserve(book, a_claim(2, notional="400.000001"))
    ).outcome is ReservationOutcome.EXPOSURE_IS_ABOVE_LIMIT
    assert (await reserve(book, a_claim(3, notional="400"))).outcome is RESERVED


async def test_the_same_intent_again_is_the_same_reservation(client: Redis) -> None:
    book = await a_book(client)

    first = await reserve(book, a_claim(1, notional="600"))
    second = await reserve(book, a_claim(1, notional="600"))

    assert first == second == Reservation(RESERVED)
    assert len(await claims_of(client)) == 1


async def test_a_symbol_is_reserved_once(client: Redis) -> None:
    book = await a_book(client)
    await reserve(book, a_claim(1, symbol="BTC/USDT"))

    outcome = (await reserve(book, a_claim(2, symbol="BTC/USDT"))).outcome

    assert outcome is ReservationOutcome.POSITION_IS_OPEN


async def test_released_claims_and_closed_positions_make_room_before_the_next_reservation(client: Redis) -> None:
    book = await a_book(client)
    await reserve(book, a_claim(1, notional="1000"))
    book.claim_changed(a_claim(1).released(at=NOW))
    book.position_changed(a_position(cost=Decimal(1000)))
    assert (await reserve(book, a_claim(2))).outcome is ReservationOutcome.EXPOSURE_IS_ABOVE_LIMIT

    book.position_changed(a_position(is_open=False))

    assert (await reserve(book, a_claim(2))).outcome is RESERVED


async def test_changes_reach_redis_by_themselves(client: Redis) -> None:
    book = await a_book(client)
    running = asyncio.create_task(book.run())

    book.claim_changed(a_claim(1, notional="12.5"))

    async def arrived() -> bool:
        return await claims_of(client) == {f"intent {uuid.UUID(int=1)}": "COIN1/USDT 12500000"}

    await eventually(arrived)
    running.cancel()


async def test_a_flushed_redis_refuses_until_it_is_made_anew_and_equals_before(client: Redis) -> None:
    book = await a_book(client)
    claim, position = a_claim(1), a_position()
    await book.reconcile("main", claims=[claim], positions=[position])
    before = await claims_of(client)
    await client.flushdb()

    refused = await reserve(book, a_claim(2))
    assert await book.reconcile("main", claims=[claim], positions=[position])

    assert refused.outcome is ReservationOutcome.UNAVAILABLE
    assert await claims_of(client) == before
    assert (await reserve(book, a_claim(2))).outcome is RESERVED


async def test_a_reservation_without_a_decision_is_dropped(client: Redis) -> None:
    book = await a_book(client)
    kept = a_claim(1)
    await reserve(book, kept)
    await reserve(book, a_claim(2))  # its transaction was rolled back

    assert await book.reconcile("main", claims=[kept], positions=[])

    assert list(await claims_of(client)) == [f"intent {kept.intent_id}"]
    assert not await book.reconcile("main", claims=[kept], positions=[])


async def test_an_older_owner_can_neither_reserve_nor_write(client: Redis) -> None:
    old = await a_book(client, epoch=1)
    new = await a_book(client, epoch=2)
    await new.reconcile("main", claims=[a_claim(1)], positions=[])
    before = await claims_of(client)

    outcome = (await reserve(old, a_claim(2))).outcome
    old.claim_changed(replace(a_claim(1), phase=Phase.RELEASED))
    await reserve(old, a_claim(3))
    rebuilt = await old.reconcile("main", claims=[], positions=[])

    assert outcome is ReservationOutcome.UNAVAILABLE
    assert not rebuilt
    assert await claims_of(client) == before


async def test_an_unreachable_redis_refuses() -> None:
    client = Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.2)

    reservation = await reserve(RedisRiskBook(client, epoch=lambda: 1), a_claim())
    await client.aclose()

    assert reservation.outcome is ReservationOutcome.UNAVAILABLE
