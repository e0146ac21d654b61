"""The executor's loops: each takes what comes, and none ends because the exchange or the database is away."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from libs.common.control.commands import issue_command
from libs.common.control.halts import HaltRecord, LatchView
from libs.common.control.operators import OperatorKey, Operators
from libs.exchange.orders.port import NewOco, NewOrder
from libs.exchange.user_stream.events import StreamConnected, UserEvent
from libs.trading.market import OrderType, Side
from libs.trading.orders import OrderStatus
from libs.trading.risk import Role
from services.trade_executor.domain.identifiers import client_order_id
from services.trade_executor.service.dispatching import REDUCTIONS_IN_FLIGHT_MAX
from services.trade_executor.service.errands import FetchFills, LookLater
from services.trade_executor.service.streaming import StreamReader
from tests.support.clock import FakeClock
from tests.support.eventually import eventually
from tests.support.executor import INSTALLATION, Executor, an_approval, an_envelope, an_exit
from tests.support.executor_records import ACCOUNT
from tests.support.fake_exchange import SYMBOL, Answer, FakeExchange, a_signing

HALT = HaltRecord.model_validate({"halt_id": "halt-1", "halted_at": datetime(2026, 1, 5, tzinfo=UTC)})


@asynccontextmanager
async def running(*loops: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run loops meanwhile; one that ends by itself fails the test."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    yield
    assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def until(condition: Callable[[], bool]) -> None:
    async def probe() -> bool:
        return condition()

    await eventually(probe, seconds=5)


def an_entry_at_rest(clock: FakeClock) -> NewOrder:
    return NewOrder(
        symbol=SYMBOL,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        quantity=Decimal("0.001"),
        client_order_id=client_order_id(uuid.uuid4(), Role.ENTRY, INSTALLATION),
        signing=a_signing(clock),
        price=Decimal(40_000),
        time_in_force="GTC",
    )


class FakeStream:
    """A user stream that tells what a test puts in."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[UserEvent] = asyncio.Queue()

    async def next_event(self) -> UserEvent:
        return await self.events.get()


async def test_approvals_are_carried_out_while_the_dispatcher_runs(executor: Executor, clock: FakeClock):
    approval, leaving = an_approval(clock), an_exit(clock)

    async with running(executor.dispatcher.run()):
        await executor.receive(approval)
        await until(lambda: len(executor.working(approval.intent_id)) == 2)
        await executor.receive(leaving)
        await until(lambda: executor.order(leaving.intent_id).status is OrderStatus.FILLED)

    executor.check()


async def test_a_result_waits_for_the_database_while_the_dispatcher_runs(executor: Executor, clock: FakeClock):
    approval = an_approval(clock)
    await executor.receive(approval)
    executor.transactions.failures = 2

    async with running(executor.dispatcher.run()):
        await until(lambda: len(executor.working(approval.intent_id)) == 2)

    executor.check()


class StuckExchange:
    """An account's exchange that never answers."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def trades_of(self, _: str, exchange_order_id: str) -> None:
        self.asked.append(exchange_order_id)
        await asyncio.Event().wait()


async def test_an_account_that_waits_keeps_no_other_waiting(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    approval = an_approval(clock)
    await executor.approve(approval)
    order = replace(executor.order(approval.intent_id), exchange_order_id="1")
    stuck: Any = StuckExchange()
    executor.venues.gateways = {ACCOUNT: exchange, "second": stuck}
    others = [
        replace(order, account="second", client_order_id=f"other-{number}")
        for number in range(REDUCTIONS_IN_FLIGHT_MAX)
    ]

    async with running(*(executor.dispatcher.do(FetchFills(other)) for other in others)):
        await until(lambda: len(stuck.asked) == REDUCTIONS_IN_FLIGHT_MAX)
        async with asyncio.timeout(5):
            await executor.dispatcher.do(FetchFills(order))

    assert [look.account for look in executor.errands.waiting() if isinstance(look, LookLater)] == [ACCOUNT]


async def test_an_unknown_order_is_found_while_the_resolver_runs(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    exchange.answers.append(Answer.LOST)
    approval = an_approval(clock)

    def found() -> bool:
        clock.advance(0.25)
        return executor.order(approval.intent_id).status is OrderStatus.FILLED

    async with running(executor.resolver.run()):
        await asyncio.sleep(0)  # nothing is looked for yet
        await executor.approve(approval)
        await until(found)

    assert executor.resolver.unresolved == 0


async def test_reconciliation_goes_on_after_an_exchange_that_was_away(exchange: FakeExchange, clock: FakeClock):
    executor = Executor(exchange=exchange, clock=clock)
    exchange.reachable = False

    def reconciled() -> bool:
        executor.reconciler.request()
        return executor.standing.is_ready((ACCOUNT,))

    async with running(executor.reconciler.run()):
        await asyncio.sleep(0)
        assert not reconciled()
        exchange.reachable = True
        await until(reconciled)


async def test_the_stream_has_the_books_compared_when_it_connects_and_when_it_tells_of_a_strangers_order(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    stream = FakeStream()
    reader = StreamReader(
        account=ACCOUNT,
        stream=stream,
        dispatcher=executor.dispatcher,
        reconciler=executor.reconciler,
        transactions=executor.transactions,
    )
    approval = an_approval(clock)
    await executor.approve(approval)
    ours = exchange.orders[executor.order(approval.intent_id).client_order_id]
    wanted = executor.reconciler._wanted

    async with running(reader.run()):
        for event in (StreamConnected(), replace(ours, client_order_id="by-hand")):
            stream.events.put_nowait(event)
            await until(wanted.is_set)
            wanted.clear()
        stream.events.put_nowait(ours)
        await until(stream.events.empty)

    assert not wanted.is_set()
    executor.check()


async def test_a_halt_takes_hold_while_exchange_and_database_are_away(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    approval = an_approval(clock)
    await executor.approve(approval)
    exchange.reachable = False
    executor.transactions.failures = 1
    executor.latch.view = LatchView(records=(HALT,))

    await executor.halting.look_at_latch()
    assert executor.brake.state(ACCOUNT) == "HALTED"
    async with running(executor.halting.run()):
        await until(lambda: executor.transactions.failures == 0)  # it asked for the positions, in vain

    assert len(executor.working(approval.intent_id)) == 2


async def test_a_standby_and_an_account_that_is_not_meant_do_nothing_about_a_halt(
    exchange: FakeExchange, clock: FakeClock
):
    resting = an_entry_at_rest(clock)
    exchange._accept(resting)
    standby = Executor(exchange=exchange, clock=clock)
    standby.latch.view = LatchView(records=(HALT,))
    await standby.halting.look_at_latch()
    owner = Executor(exchange=exchange, clock=clock)
    owner.halting.take_over()
    owner.latch.view = LatchView(records=(HALT.model_copy(update={"account": "other"}),))

    await owner.halting.look_at_latch()
    for executor in (standby, owner):
        await executor.halting.act_on_waiting()

    assert exchange.orders[resting.client_order_id].status is OrderStatus.ACCEPTED


async def test_a_command_other_than_a_halt_is_the_risk_managers(executor: Executor, clock: FakeClock):
    command = issue_command(
        "STOP",
        account=ACCOUNT,
        reason="",
        issuer="me",
        key=OperatorKey.generate(),
        command_id=uuid.uuid4(),
        now=clock.now(),
    )

    await executor.halting.on_command(an_envelope(command, clock))

    assert executor.brake.state(ACCOUNT) == "ACTIVE"


async def test_a_change_of_the_state_cancels_entries_unless_it_allows_them_and_plans_every_position(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
):
    await executor.set_state("REDUCING", revision=2)
    await executor.halting.act_on_waiting()
    await executor.set_state("ACTIVE", revision=3)
    await executor.receive(an_approval(clock))
    exchange.budget_wait_s = 3.0
    await executor.dispatcher.do(executor.errands.waiting()[0])
    executor.errands.waiting()  # the look at a position that could not be protected yet
    exchange.budget_wait_s = 0.0
    resting = an_entry_at_rest(clock)
    exchange._accept(resting)

    await executor.halting.act_on_waiting()
    await executor.settle()
    assert len(exchange.sent(NewOco)) == 1
    assert exchange.orders[resting.client_order_id].status is OrderStatus.ACCEPTED
    await executor.set_state("REDUCING", revision=4)
    await executor.halting.act_on_waiting()

    assert exchange.orders[resting.client_order_id].status is OrderStatus.CANCELED


async def test_an_acceptance_is_written_down_as_it_comes(executor: Executor, clock: FakeClock):
    key = OperatorKey.generate()
    executor.operators = Operators({}).with_key(key, issuer="me")
    command = issue_command(
        "RECONCILE_ACCEPT",
        account=ACCOUNT,
        reason="a gift",
        issuer="me",
        key=key,
        command_id=uuid.uuid4(),
        now=clock.now(),
        difference=1,
    )

    async with running(executor.acceptances.run()):
        await executor.acceptances.on_command(an_envelope(command, clock))
        await until(lambda: command.command_id in executor.tables.acceptances)
