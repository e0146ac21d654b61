import uuid
from dataclasses import replace
from decimal import Decimal
from unittest.mock import AsyncMock

import pytest

from libs.common.contracts.events import AlertRaised
from libs.common.contracts.vocabulary import AlertType, Severity
from libs.common.errors import RetryableError
from libs.exchange.orders.port import NewOrder
from libs.exchange.user_stream.events import BalanceTransferred, StreamConnected
from libs.trading.market import OrderType, Side
from libs.trading.risk import Role
from services.trade_executor.domain.identifiers import client_order_id, sender_of
from services.trade_executor.service.errands import Cancel, Send
from services.trade_executor.service.streaming import StreamReader
from tests.support.clock import FakeClock
from tests.support.executor import Executor, an_approval
from tests.support.executor_records import ACCOUNT
from tests.support.fake_exchange import SYMBOL, FakeExchange, a_signing


def an_order(clock: FakeClock, name: str, order_type: OrderType = OrderType.LIMIT) -> NewOrder:
    return NewOrder(
        symbol=SYMBOL,
        side=Side.BUY,
        order_type=order_type,
        quantity=Decimal("0.002"),
        client_order_id=name,
        signing=a_signing(clock),
        price=Decimal(40_000) if order_type is OrderType.LIMIT else None,
        time_in_force="GTC" if order_type is OrderType.LIMIT else None,
    )


async def test_nothing_is_entered_before_the_first_reconciliation(exchange: FakeExchange, clock: FakeClock):
    executor = Executor(exchange=exchange, clock=clock)
    exchange.reachable = False
    with pytest.raises(RetryableError):
        await executor.start()
    exchange.offset_ms = None
    approval = an_approval(clock)

    await executor.approve(approval)

    assert executor.final_answers(approval.intent_id)[0].reason == "NOT_RECONCILED"
    assert not executor.standing.is_ready((ACCOUNT,))


async def test_balances_equal_to_the_books_are_no_difference(executor: Executor, clock):
    await executor.approve(an_approval(clock))

    await executor.reconciler.reconcile()
    await executor.reconciler.reconcile()

    assert not executor.tables.differences
    executor.check()


async def test_a_balance_that_differs_twice_is_alarmed_once(executor: Executor, exchange):
    exchange.held["USDT"] -= Decimal("12.5")

    await executor.reconciler.reconcile()
    assert not executor.tables.differences  # it may be an execution on its way
    await executor.reconciler.reconcile()
    await executor.reconciler.reconcile()

    (difference,) = executor.tables.differences.values()
    assert (difference.subject, difference.expected, difference.found) == ("USDT", "10000", "9987.5")
    assert [alert.alert_type for alert in executor.events(AlertRaised)] == [AlertType.SYSTEM_ERROR]


async def test_a_deposit_that_the_stream_told_is_no_difference(executor: Executor, exchange):
    reader = StreamReader(
        account=ACCOUNT,
        stream=None,  # type: ignore[arg-type]
        dispatcher=executor.dispatcher,
        reconciler=executor.reconciler,
        transactions=executor.transactions,
    )
    exchange.held["USDT"] += 100
    deposit = BalanceTransferred(asset="USDT", delta=Decimal(100), at_ms=1_767_614_400_000)

    await reader.take(StreamConnected())
    await reader.take(deposit)
    await reader.take(deposit)
    await executor.reconciler.reconcile()
    await executor.reconciler.reconcile()

    assert not executor.tables.differences


async def test_a_persons_order_is_left_alone_with_a_warning(executor: Executor, exchange, clock):
    exchange._accept(an_order(clock, "by-hand"))

    await executor.reconciler.reconcile()
    await executor.reconciler.reconcile()

    (alert,) = executor.events(AlertRaised)
    assert alert.severity is Severity.WARNING
    assert executor.standing.is_ready((ACCOUNT,))
    assert not exchange.orders["by-hand"].status.is_terminal


@pytest.mark.parametrize("installation", ["other0", "test00"])
async def test_an_order_of_our_kind_that_is_not_in_our_books_stops_entries(
    executor: Executor, exchange, clock, installation: str
):
    exchange._accept(an_order(clock, client_order_id(uuid.uuid4(), Role.ENTRY, installation)))

    await executor.reconciler.reconcile()

    approval = an_approval(clock)
    await executor.approve(approval)
    assert executor.final_answers(approval.intent_id)[0].reason == "HALTED"
    assert not executor.standing.is_ready((ACCOUNT,))
    assert executor.events(AlertRaised)[0].severity is Severity.CRITICAL
    assert [halt.scope_symbol for halt in executor.latch.added] == [None]


async def test_an_order_that_the_exchange_does_not_know_is_a_difference(executor: Executor, exchange, clock):
    approval = an_approval(clock)
    await executor.approve(approval)
    for leg in executor.working(approval.intent_id):
        del exchange.orders[leg.client_order_id]

    for _ in range(2):
        clock.advance(10)
        await executor.reconciler.reconcile()

    assert {kind for kind, _ in executor.tables.differences} == {"MISSING_ORDER"}


async def test_an_order_that_the_exchange_does_not_find_at_once_is_none(executor: Executor, exchange, clock):
    approval = an_approval(clock)
    await executor.approve(approval)
    late = {
        leg.client_order_id: exchange.orders.pop(leg.client_order_id) for leg in executor.working(approval.intent_id)
    }

    for _ in range(2):  # one after the other, as when the stream is connected again
        clock.advance(1)
        await executor.reconciler.reconcile()
    exchange.orders.update(late)
    clock.advance(10)
    await executor.reconciler.reconcile()

    assert not executor.tables.differences
    assert not executor.latch.added


async def test_what_the_account_traded_before_is_not_ours(exchange: FakeExchange, clock: FakeClock):
    exchange._accept(an_order(clock, "long-ago", OrderType.MARKET))

    executor = await Executor(exchange=exchange, clock=clock).start()
    await executor.reconciler.reconcile()

    assert not executor.tables.fills
    assert not executor.tables.differences


async def enter_without_fills(executor: Executor, exchange: FakeExchange, clock: FakeClock) -> uuid.UUID:
    """Send an entry, which fills; its executions are not told."""
    exchange.hidden_trades = True
    approval = an_approval(clock)
    await executor.receive(approval)
    (errand,) = executor.errands.waiting()
    assert isinstance(errand, Send)
    placement = await executor.dispatcher._place(errand.orders)
    bare = replace(placement, reports=tuple(replace(report, trades=()) for report in placement.reports))
    await executor.transactions.apply(
        lambda records: executor.bookkeeper.placed(records, errand.orders, bare, clock.now())
    )
    return approval.intent_id


async def test_fills_that_appear_late_are_waited_for(executor: Executor, exchange, clock):
    chain_id = await enter_without_fills(executor, exchange, clock)
    await executor.settle()
    assert not executor.working(chain_id)

    exchange.hidden_trades = False
    await executor.advance(3)

    assert len(executor.working(chain_id)) == 2
    executor.check()


@pytest.mark.parametrize(("retry_in_s", "asked_max"), [(None, 12), (30.0, 2)])
async def test_missing_fills_are_asked_for_the_seldomer_the_longer_nobody_answers(
    executor: Executor, exchange: FakeExchange, clock: FakeClock, retry_in_s: float | None, asked_max: int
):
    refused = AsyncMock(side_effect=RetryableError("banned", retry_in_s=retry_in_s))
    exchange.trades_of = refused  # type: ignore[method-assign]
    chain_id = await enter_without_fills(executor, exchange, clock)
    await executor.settle()

    await executor.advance(31)
    assert 2 <= refused.await_count <= asked_max
    del exchange.trades_of
    exchange.hidden_trades = False
    await executor.advance(31)

    assert len(executor.working(chain_id)) == 2
    executor.check()


async def test_a_cancel_that_found_everything_over_is_forgotten(executor: Executor, exchange, clock):
    approval = an_approval(clock)
    await executor.approve(approval)
    working = executor.working(approval.intent_id)
    exchange.execute(next(order for order in working if order.is_stop).client_order_id)

    await executor.dispatcher.do(Cancel(working))
    await executor.settle()

    assert not executor.dispatcher._cancels
    executor.check()


def test_client_ids_tell_their_sender():
    name = client_order_id(uuid.UUID(int=7), Role.ENTRY, "abc123")

    sender = sender_of(name)

    assert len(name) == 35
    assert sender is not None
    assert (sender.installation, sender.is_entry) == ("abc123", True)
    assert sender_of("web_1234") is None
