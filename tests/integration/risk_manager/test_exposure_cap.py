"""The cap of the exposure holds to the millionth while the shared risk state is lost and made anew."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import partial
from typing import Any

from redis.asyncio import Redis

from libs.common.storage import keys
from libs.common.storage.postgres import Database
from services.risk_manager.adapters.postgres import PostgresRiskRecords
from services.risk_manager.adapters.redis_book import RedisRiskBook
from services.risk_manager.domain.claims import Claim, Phase
from services.risk_manager.service.ports import ReservationOutcome, RiskRecords
from tests.integration.risk_manager.test_risk_book import a_claim
from tests.support.migrated import MigratedDatabase

CAP = Decimal(1_000)
NOTIONAL = "33.333333"
UNKNOWN = ("100", "66.666667")
"""Entries that nobody knows the outcome of count as if they had filled."""

ENTRIES = 200
FLUSHED_AFTER = frozenset({1, 5, 9, 17, 24, 100})
"""Answers given when Redis loses everything, beside whatever is being decided then."""


class Owner:
    """Runs each transaction after the other, as the owner's loop does."""

    def __init__(self, database: Database, redis: Redis) -> None:
        self._database = database
        self._redis = redis
        self._book = RedisRiskBook(redis, epoch=lambda: 1)
        self._turn = asyncio.Lock()
        self.outcomes: list[ReservationOutcome] = []

    async def apply(self, work: Callable[[RiskRecords], Awaitable[Any]]) -> Any:
        effects: list[Callable[[], None]] = []
        async with self._turn, self._database.transaction() as connection:
            result = await work(PostgresRiskRecords(connection, after_commit=effects.append))
        for effect in effects:
            effect()
        return result

    async def enter(self, claim: Claim) -> None:
        """Reserve and make it durable; where Redis is lost or foreign, put it right and ask again."""
        while True:
            outcome = await self.apply(partial(self._reserve, claim))
            if outcome is not ReservationOutcome.UNAVAILABLE:
                break
            await self.apply(self.reconcile)
        self.outcomes.append(outcome)
        if len(self.outcomes) in FLUSHED_AFTER:
            await self._redis.flushdb()

    async def reconcile(self, records: RiskRecords) -> None:
        await self._book.reconcile("main", claims=await records.open_claims("main"), positions=())

    async def _reserve(self, claim: Claim, records: RiskRecords) -> ReservationOutcome:
        reservation = await self._book.reserve(claim, positions_max=1_000, exposure_max=CAP)
        if reservation.outcome is ReservationOutcome.RESERVED:
            await records.save_claim(claim)
        return reservation.outcome


async def test_two_hundred_reservations_and_unknown_orders_fill_the_cap_exactly_while_redis_is_flushed(
    client: Redis, migrated: MigratedDatabase
) -> None:
    database = await migrated.connect("risk_manager")
    owner = Owner(database, client)
    for number, notional in enumerate(UNKNOWN, ENTRIES):
        lost = a_claim(number, notional=notional, phase=Phase.UNKNOWN)
        await owner.apply(partial(_save, lost))
    await owner.apply(owner.reconcile)

    async with asyncio.TaskGroup() as tasks:
        for number in range(ENTRIES):
            tasks.create_task(owner.enter(a_claim(number, notional=NOTIONAL)))

    stored = await owner.apply(lambda records: records.open_claims("main"))
    claimed = sum(claim.notional for claim in stored)
    # 1 000 - 166.666667 leaves room for 25 x 33.333333 = 833.333325; one more would be 866.666658.
    assert owner.outcomes.count(ReservationOutcome.RESERVED) == 25
    assert owner.outcomes.count(ReservationOutcome.EXPOSURE_IS_ABOVE_LIMIT) == ENTRIES - 25
    assert claimed == Decimal("999.999992")
    await owner.apply(owner.reconcile)
    in_redis: Any = await client.hgetall(keys.risk_claims("main"))
    assert sum(int(value.split()[1]) for value in in_redis.values()) == claimed * 1_000_000
    await database.close()


async def _save(claim: Claim, records: RiskRecords) -> None:
    await records.save_claim(claim)
