"""Rules that the exchange changes reach the orders without a restart."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from random import Random
from unittest.mock import AsyncMock

import pytest
from structlog.testing import capture_logs

from libs.common.errors import RetryableError
from libs.exchange.orders.port import NewOco, NewOrder
from libs.exchange.refusals import Reason
from libs.trading.market import Side
from services.trade_executor.service import rules as rules_module
from services.trade_executor.service.rules import Rules
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.executor import Executor, an_approval
from tests.support.fake_exchange import SYMBOL, FakeExchange, a_listing


def rules_of(executor: Executor) -> Rules:
    return Rules(
        symbols=[SYMBOL],
        venues=executor.venues,
        dispatcher=executor.dispatcher,
        transactions=executor.transactions,
        randomness=Random(1),
    )


async def test_an_entry_is_judged_by_the_rules_of_the_moment(executor: Executor, exchange: FakeExchange, clock):
    exchange.listing = a_listing(quantity_step=Decimal("0.1"))
    await rules_of(executor).refresh()
    approval = an_approval(clock)  # 0.01 BTC

    await executor.approve(approval)

    (answer,) = executor.final_answers(approval.intent_id)
    assert answer.reason == "FILTER_LOT_SIZE"
    assert not exchange.requests


async def test_a_symbol_that_is_halted_takes_no_entry_until_it_trades_again(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    exchange.listing = a_listing(trading=False)
    await rules_of(executor).refresh()
    halted, trading = an_approval(clock), an_approval(clock, signal_id="later")

    await executor.approve(halted)
    exchange.listing = a_listing()
    await rules_of(executor).refresh()
    await executor.approve(trading)

    (answer,) = executor.final_answers(halted.intent_id)
    assert answer.reason == "SYMBOL_NOT_TRADING"
    assert [order.side for order in exchange.sent(NewOrder)] == [Side.BUY]


async def test_rules_that_cannot_be_read_stay_as_they_were(executor: Executor, exchange: FakeExchange):
    exchange.reachable = False

    with pytest.raises(RetryableError):
        await rules_of(executor).refresh()

    assert executor.venues.listing(SYMBOL) == a_listing()


async def test_changed_rules_plan_open_positions_anew(executor: Executor, exchange: FakeExchange, clock: FakeClock):
    exchange.refusals.clear()
    approval = an_approval(clock)
    await executor.receive(approval)
    await executor.dispatcher.do(executor.errands.waiting()[0])
    exchange.refusals.append(Reason.FILTER)  # the protection: the tick has changed
    await executor.settle()
    assert executor.venues.rules_doubted.is_set()

    clock.advance(1)
    exchange.listing = a_listing(price_tick=Decimal(10))
    await rules_of(executor).refresh()
    await executor.settle()

    oco = exchange.sent(NewOco)[-1]
    assert len(executor.working(approval.intent_id)) == 2
    assert oco.above_price % 10 == oco.below_stop_price % 10 == 0


async def test_sizes_refused_by_rules_that_were_unknown_are_forgotten_with_them(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    approval = an_approval(clock)
    await executor.receive(approval)
    await executor.dispatcher.do(executor.errands.waiting()[0])
    exchange.refusals.extend([Reason.FILTER_SIZE, Reason.FILTER_SIZE])  # the protection, and the sale in its place
    for _ in range(2):
        clock.advance(0.05)
        await executor.dispatcher.do(executor.errands.waiting()[0])
    assert not executor.working(approval.intent_id)

    exchange.listing = a_listing(quantity_step=Decimal("0.001"))
    await rules_of(executor).refresh()
    await executor.settle()
    await executor.advance(2)

    assert exchange.sent(NewOco)[-1].quantity == Decimal("0.009")
    assert len(executor.working(approval.intent_id)) == 2
    executor.check()


async def test_what_could_not_be_planned_by_changed_rules_is_planned_the_next_time(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    await executor.approve(an_approval(clock))
    rules, plan = rules_of(executor), AsyncMock(side_effect=[RetryableError("no database"), None])
    executor.dispatcher.plan = plan  # type: ignore[method-assign]
    exchange.listing = a_listing(price_tick=Decimal(10))
    with pytest.raises(RetryableError):
        await rules.refresh()

    for _ in range(2):
        await rules.refresh()

    assert plan.await_count == 2


async def test_rules_that_stay_unreadable_are_asked_for_ever_seldomer_and_told_once(
    executor: Executor, exchange: FakeExchange, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rules_module, "REFRESH_APART_S", 0.01)
    monkeypatch.setattr(rules_module, "RETRY_IN_S", (0.02, 0.02, 0.02, 60.0))
    asked = AsyncMock(side_effect=RetryableError("no such symbol"))
    exchange.listings = asked  # type: ignore[method-assign]
    with capture_logs() as logs:
        task = asyncio.create_task(rules_of(executor).run())
        await asyncio.sleep(0.4)
        task.cancel()
        await asyncio.wait({task})

    assert asked.await_count == 4
    assert [log["error"] for log in logs] == ["no such symbol"]


@pytest.fixture
async def running(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Executor]:
    monkeypatch.setattr(rules_module, "REFRESH_APART_S", 0.01)
    task = asyncio.create_task(rules_of(executor).run())
    yield executor
    assert not task.done()
    task.cancel()
    await asyncio.wait({task})


async def test_a_doubt_has_the_rules_read_at_once_however_ill_the_exchange_was(
    running: Executor, exchange: FakeExchange
):
    exchange.reachable = False
    running.venues.rules_doubted.set()
    await asyncio.sleep(0)
    exchange.reachable = True
    exchange.listing = a_listing(trading=False)
    running.venues.rules_doubted.set()

    async def is_known() -> bool:
        listing = running.venues.listing(SYMBOL)
        return listing is not None and not listing.instrument.trading

    await eventually(is_known)


async def test_in_a_break_the_rules_are_read_oftener(
    running: Executor, exchange: FakeExchange, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rules_module, "CLOSED_INTERVAL_S", 0.02)
    exchange.listing = a_listing(trading=False)
    running.venues.rules_doubted.set()

    async def is_closed() -> bool:
        return not running.venues.listings[SYMBOL].instrument.trading

    await eventually(is_closed)
    exchange.listing = a_listing()

    async def has_opened() -> bool:
        return SYMBOL in running.venues.opened_at

    await eventually(has_opened)
