from datetime import UTC, datetime, timedelta

from libs.common.contracts.event import Event
from libs.common.contracts.events import AccountReconciled
from libs.common.errors import RetryableError
from services.trade_executor.service.standing import Standing
from services.trade_executor.service.telling import ReconciliationNews
from tests.support.clock import FakeClock
from tests.support.executor import Executor

NOW = datetime(2026, 1, 5, tzinfo=UTC)


async def test_each_reconciliation_is_told_once() -> None:
    standing, told = Standing(), list[Event]()
    news = ReconciliationNews(standing=standing, publish=told.append, clock=FakeClock())

    await news.tell()
    for seconds in (0, 0, 10):
        standing.reconciled_at["main"] = NOW + timedelta(seconds=seconds)
        await news.tell()

    assert [event.began_at for event in told if isinstance(event, AccountReconciled)] == [
        NOW,
        NOW + timedelta(seconds=10),
    ]


async def test_one_that_could_not_leave_is_told_later() -> None:
    standing, told, full = Standing(reconciled_at={"main": NOW}), list[Event](), [True]

    def publish(event: Event) -> None:
        if full.pop() if full else False:
            raise RetryableError("the buffer is full")
        told.append(event)

    news = ReconciliationNews(standing=standing, publish=publish, clock=FakeClock())
    await news.tell()
    assert told == []

    await news.tell()

    assert len(told) == 1


async def test_a_reconciliation_is_dated_with_its_beginning(executor: Executor, clock: FakeClock) -> None:
    began_at = clock.now()

    await executor.reconciler.reconcile()

    assert executor.standing.reconciled_at == {"main": began_at}
