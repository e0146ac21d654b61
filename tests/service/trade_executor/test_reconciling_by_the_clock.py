"""Reconciliation comes by itself, however quiet everybody is."""

import asyncio

from services.trade_executor.service.reconciling import INTERVAL_S, RETRY_S
from tests.support.clock import FakeClock
from tests.support.executor import Executor
from tests.support.executor_records import ACCOUNT
from tests.support.fake_exchange import FakeExchange
from tests.support.virtual_time import run_in_virtual_time


def test_the_books_are_compared_again_although_nobody_asks():
    async def compared() -> list[bool]:
        clock = FakeClock()
        exchange = FakeExchange(clock)
        executor = Executor(exchange=exchange, clock=clock)
        exchange.reachable = False
        running = asyncio.create_task(executor.reconciler.run())
        found = []
        for pause_s in (0.1, RETRY_S, INTERVAL_S):
            await asyncio.sleep(pause_s)
            found.append(executor.standing.reconciled_at.get(ACCOUNT) == clock.now())
            exchange.reachable = True
            clock.advance(1 if found[-1] else 0)
        running.cancel()
        await asyncio.wait({running})
        return found

    assert run_in_virtual_time(compared()) == [False, True, True]
