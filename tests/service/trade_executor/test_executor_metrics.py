"""What the executor shows: doubt, differences, permits, halts."""

import uuid
from datetime import timedelta
from decimal import Decimal

from libs.common.control.halts import HaltRecord, LatchView
from libs.common.observability import metrics
from libs.exchange.limits import Purpose
from libs.exchange.orders.port import NewOrder
from libs.trading.market import OrderType, Side
from tests.support.clock import FakeClock
from tests.support.executor import Executor, an_approval
from tests.support.executor_records import ACCOUNT
from tests.support.fake_exchange import SYMBOL, Answer, FakeExchange, a_signing
from tests.support.shown import shown


async def test_the_age_of_an_unknown_order_is_shown_until_it_is_found_or_given_up(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    exchange.answers.append(Answer.NEVER_ARRIVED)
    await executor.approve(an_approval(clock))

    await executor.advance(10)
    assert shown("trader_orders_unresolved") == 1
    assert shown("trader_orders_unresolved_oldest_seconds") == 10
    await executor.advance(20)  # past the fence: in quarantine

    assert shown("trader_orders_unresolved") == 1
    assert shown("trader_orders_unresolved_oldest_seconds") == 0


async def test_a_comparison_shows_orders_by_state_and_differences_by_kind(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    await executor.approve(an_approval(clock))
    stranger = NewOrder(
        symbol=SYMBOL,
        side=Side.BUY,
        order_type=OrderType.MARKET,
        quantity=Decimal("0.0002"),
        client_order_id="by-hand",
        signing=a_signing(clock),
    )
    await exchange.place(stranger, purpose=Purpose.ENTRY)

    for _ in range(2):  # a difference is one when two looks agree
        clock.advance(10)
        await executor.reconciler.reconcile()

    assert shown("trader_orders_open", account=ACCOUNT, state="ACCEPTED") == 2  # stop and target of the entry
    assert shown("trader_orders_open", account=ACCOUNT, state="UNKNOWN") == 0
    assert shown("trader_differences", account=ACCOUNT, kind="TRADE") == 1
    assert shown("trader_differences", account=ACCOUNT, kind="FOREIGN_ORDER") == 0
    assert shown("trader_reconciled_timestamp_seconds", account=ACCOUNT) == clock.now().timestamp()


async def test_the_time_without_a_permit_is_shown_on_beyond_each_look_that_cancels(
    executor: Executor, clock: FakeClock
):
    await executor.halting.look_at_permits()
    assert shown("trader_permit_age_seconds", account=ACCOUNT) == 0
    executor.permits.granted = False

    for _ in range(12):
        clock.advance(1)
        await executor.halting.look_at_permits()

    assert shown("trader_permit_age_seconds", account=ACCOUNT) == 12


async def test_only_a_halt_that_this_owner_could_hear_in_time_counts_as_a_latency(executor: Executor, clock: FakeClock):
    before = shown("trader_halt_seconds_count", path="file") or 0.0
    halts = (
        HaltRecord(halt_id="old", halted_at=clock.now() - timedelta(hours=1)),
        HaltRecord(halt_id=str(uuid.uuid4()), halted_at=clock.now()),
    )
    clock.advance(0.2)

    executor.latch.view = LatchView(records=halts)
    await executor.halting.look_at_latch()

    assert shown("trader_halt_seconds_count", path="file") == before + 1


async def test_the_first_halt_of_every_way_is_growth(exchange: FakeExchange, clock: FakeClock):
    metrics.HALT_SECONDS.clear()

    await Executor(exchange=exchange, clock=clock).start()

    assert [shown("trader_halt_seconds_count", path=path) for path in ("kafka", "redis", "file")] == [0, 0, 0]
