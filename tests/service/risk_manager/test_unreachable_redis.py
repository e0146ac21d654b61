"""What the shared risk state does while Redis is away: it says so, forgets nothing, and brings what it owes."""

# ruff: noqa: ARG001 - a script is asked with names
import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from libs.common.errors import RetryableError
from services.risk_manager.adapters.redis_book import RedisRiskBook
from services.risk_manager.domain.claims import HeldPosition
from tests.support.virtual_time import run_in_virtual_time


class AbsentRedis:
    """Takes scripts, and runs them only while it is there."""

    def __init__(self) -> None:
        self.is_away = True
        self.ran: list[Sequence[Any]] = []

    def register_script(self, _: str) -> Any:
        async def run(keys: Sequence[str], args: Sequence[Any] = ()) -> int:
            if self.is_away:
                raise RedisConnectionError
            self.ran.append(args)
            return 1

        return run


def a_book(redis: AbsentRedis) -> RedisRiskBook:
    return RedisRiskBook(cast("Redis", redis), epoch=lambda: 1)


def a_position(symbol: str) -> HeldPosition:
    return HeldPosition(
        account="main",
        symbol=symbol,
        revision=1,
        quantity=Decimal(1),
        cost=Decimal(500),
        round_trips=0,
        is_open=True,
    )


async def test_a_reconciliation_says_that_redis_is_away():
    with pytest.raises(RetryableError, match="shared risk state"):
        await a_book(AbsentRedis()).reconcile("main", claims=(), positions=())


def test_changes_that_redis_did_not_take_go_with_the_next_one():
    redis = AbsentRedis()

    async def changes() -> None:
        book = a_book(redis)
        running = asyncio.create_task(book.run())
        book.position_changed(a_position("BTC/USDT"))
        await asyncio.sleep(1)
        redis.is_away = False
        book.position_changed(a_position("ETH/USDT"))
        await asyncio.sleep(1)
        running.cancel()
        await asyncio.wait({running})

    run_in_virtual_time(changes())

    (brought,) = redis.ran
    assert {"position BTC/USDT", "position ETH/USDT"} < set(brought)
