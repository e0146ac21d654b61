import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from libs.common.contracts import vocabulary
from libs.common.contracts.events import AccountSwept, CommandAcknowledged
from libs.common.control.commands import issue_command
from libs.common.control.halts import HaltRecord, LatchView
from libs.common.control.operators import Operator, OperatorKey, Operators
from libs.exchange.orders.port import NewOco, NewOrder
from libs.trading.market import OrderType, Side
from libs.trading.orders import OrderStatus
from libs.trading.risk import Role
from services.trade_executor.domain.identifiers import client_order_id
from services.trade_executor.service.halting import HALTS_WAITING_MAX
from tests.support.clock import FakeClock
from tests.support.executor import Executor, an_approval, an_envelope, an_exit
from tests.support.executor_records import ACCOUNT
from tests.support.fake_exchange import SYMBOL, FakeExchange, a_signing


def a_halt(**changes: object) -> HaltRecord:
    fields = {"halt_id": "halt-1", "halted_at": datetime(2026, 1, 5, tzinfo=UTC), **changes}
    return HaltRecord.model_validate(fields)


def a_resting_entry(clock: FakeClock, installation: str = "test00") -> NewOrder:
    return NewOrder(
        symbol=SYMBOL,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        quantity=Decimal("0.001"),
        client_order_id=client_order_id(uuid.uuid4(), Role.ENTRY, installation),
        signing=a_signing(clock),
        price=Decimal(40_000),
        time_in_force="GTC",
    )


@pytest.mark.parametrize("state", ["REDUCING", "HALTED"])
async def test_no_entry_is_sent_unless_trading_is_active(executor: Executor, exchange, clock, state: str):
    await executor.set_state(state, revision=2)
    approval = an_approval(clock)

    await executor.approve(approval)

    (answer,) = executor.final_answers(approval.intent_id)
    assert (answer.status, answer.reason) == (vocabulary.OrderStatus.ABANDONED, state)
    assert not exchange.requests


async def test_an_entry_recorded_before_a_halt_is_not_sent_after_it(executor: Executor, exchange, clock):
    approval = an_approval(clock)
    await executor.receive(approval)
    executor.latch.view = LatchView(records=(a_halt(),))
    await executor.halting.look_at_latch()

    await executor.settle()

    (answer,) = executor.final_answers(approval.intent_id)
    assert answer.reason == "HALTED"
    assert not exchange.requests


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"granted": False}, "NO_PERMIT"),
        ({"halt_epoch": 1}, "HALT_EPOCH"),
        ({"risk_epoch": 2}, "RISK_EPOCH"),
    ],
)
async def test_without_a_matching_permit_no_entry_is_sent(executor: Executor, exchange, clock, change, reason):
    for name, value in change.items():
        setattr(executor.permits, name, value)
    approval = an_approval(clock)

    await executor.approve(approval)

    assert executor.final_answers(approval.intent_id)[0].reason == reason
    assert not exchange.requests


async def test_an_unreadable_halt_directory_stops_entries(executor: Executor, clock):
    executor.latch.view = LatchView(file_readable=False)
    await executor.halting.look_at_latch()
    approval = an_approval(clock)

    await executor.approve(approval)

    assert executor.final_answers(approval.intent_id)[0].reason == "HALT_LATCH_UNREADABLE"


async def test_a_latch_that_nobody_looked_at_lately_stops_entries(executor: Executor, clock: FakeClock):
    clock.advance(1.5)
    approval = an_approval(clock)

    await executor.approve(approval)

    assert executor.final_answers(approval.intent_id)[0].reason == "HALT_LATCH_UNREADABLE"


async def test_a_halt_of_a_symbol_stops_only_its_entries(executor: Executor, exchange, clock):
    executor.latch.view = LatchView(records=(a_halt(scope_symbol="ETH/USDT"),))
    await executor.halting.look_at_latch()
    await executor.approve(an_approval(clock))
    assert exchange.sent(NewOrder)

    executor.latch.view = LatchView(records=(a_halt(halt_id="halt-2", scope_symbol=SYMBOL),))
    await executor.halting.look_at_latch()
    assert executor.brake.objection(Role.ENTRY, ACCOUNT, symbol=SYMBOL, strategy="any") == "HALTED_IN_PART"
    assert executor.brake.objection(Role.PROTECTION, ACCOUNT, symbol=SYMBOL, strategy="any") is None


async def test_protection_is_placed_while_halted(executor: Executor, exchange, clock):
    await executor.receive(an_approval(clock))
    await executor.dispatcher.do(executor.errands.waiting()[0])
    await executor.set_state("HALTED", revision=2)

    await executor.settle()

    assert len(exchange.sent(NewOco)) == 1


async def test_an_exit_that_a_halt_overtakes_gives_way_to_protection(executor: Executor, clock):
    approval, leaving = an_approval(clock), an_exit(clock)
    await executor.approve(approval)
    await executor.receive(leaving)
    (cancel,) = executor.errands.waiting()
    await executor.set_state("HALTED", revision=2)
    await executor.dispatcher.do(cancel)

    await executor.settle()
    await executor.halting.act_on_waiting()
    await executor.settle()

    (answer,) = executor.final_answers(leaving.intent_id)
    assert (answer.status, answer.reason) == (vocabulary.OrderStatus.ABANDONED, "HALTED")
    assert len(executor.working(approval.intent_id)) == 2
    executor.check()


async def test_a_liquidation_is_sent_while_halted(executor: Executor, exchange, clock):
    await executor.approve(an_approval(clock))
    await executor.set_state("HALTED", revision=2)
    selling = an_exit(clock, role=vocabulary.Role.LIQUIDATION)

    await executor.approve(selling)

    assert executor.order(selling.intent_id).status is OrderStatus.FILLED
    assert exchange.sent(NewOrder)[-1].client_order_id.startswith("ctL-")
    executor.check()


async def test_a_signed_halt_cancels_entries_and_is_acknowledged(exchange: FakeExchange, clock: FakeClock):
    key = OperatorKey.generate()
    operators = Operators({key.key_id: Operator(public_key=key.public_key_text, issuer="me")})
    executor = await Executor(exchange=exchange, clock=clock, operators=operators).start()
    resting = a_resting_entry(clock)
    exchange._accept(resting)
    command = issue_command(
        "HALT",
        account=ACCOUNT,
        reason="drill",
        issuer="me",
        key=key,
        command_id=uuid.uuid4(),
        now=clock.now(),
    )

    await executor.halting.on_command(an_envelope(command, clock))
    assert executor.brake.state(ACCOUNT) == "HALTED"  # before anything else is done
    await executor.halting.act_on_waiting()

    (acknowledged,) = executor.events(CommandAcknowledged)
    assert (acknowledged.orders_cancelled, acknowledged.path, acknowledged.state) == (1, "kafka", "HALTED")
    assert exchange.orders[resting.client_order_id].status is OrderStatus.CANCELED


async def test_a_halt_that_nobody_signed_is_ignored(executor: Executor, clock: FakeClock):
    command = issue_command(
        "HALT",
        account=ACCOUNT,
        reason="forged",
        issuer="me",
        key=OperatorKey.generate(),
        command_id=uuid.uuid4(),
        now=clock.now(),
    )

    await executor.halting.on_command(an_envelope(command, clock))

    assert executor.brake.state(ACCOUNT) == "ACTIVE"


async def test_a_halt_cancels_entries_but_not_protection_nor_other_peoples_orders(executor: Executor, exchange, clock):
    approval = an_approval(clock)
    await executor.approve(approval)
    ours, theirs = a_resting_entry(clock), a_resting_entry(clock, "other0")
    exchange._accept(ours)
    exchange._accept(theirs)

    assert await executor.halting.cancel_entries(ACCOUNT) == 1

    assert exchange.orders[theirs.client_order_id].status is OrderStatus.ACCEPTED
    assert len(executor.working(approval.intent_id)) == 2


async def test_ten_seconds_without_a_permit_cancel_entries(executor: Executor, exchange, clock):
    resting = a_resting_entry(clock)
    exchange._accept(resting)
    executor.permits.granted = False

    clock.advance(9)
    await executor.halting.look_at_permits()
    await executor.halting.act_on_waiting()
    assert exchange.orders[resting.client_order_id].status is OrderStatus.ACCEPTED
    clock.advance(1)
    await executor.halting.look_at_permits()
    await executor.halting.act_on_waiting()

    assert exchange.orders[resting.client_order_id].status is OrderStatus.CANCELED


async def test_taking_over_while_not_active_cancels_entries_first(executor: Executor, exchange, clock):
    resting = a_resting_entry(clock)
    exchange._accept(resting)

    await executor.restarted("REDUCING")

    assert exchange.orders[resting.client_order_id].status is OrderStatus.CANCELED


async def test_a_settled_halt_that_is_still_in_the_latch_for_a_moment_lets_go(executor: Executor):
    halt = a_halt()
    executor.latch.view = LatchView(records=(halt,))
    await executor.halting.look_at_latch()
    await executor.set_state("HALTED", revision=2, halts=(halt.halt_id,))
    await executor.set_state("ACTIVE", revision=3)
    assert executor.brake.state(ACCOUNT) == "HALTED"  # the latch is still there

    executor.latch.view = LatchView()
    await executor.halting.look_at_latch()

    assert executor.brake.state(ACCOUNT) == "ACTIVE"


async def test_a_halt_heard_before_the_state_says_so_holds_until_it_is_resumed(executor: Executor):
    halt = a_halt()
    executor.brake.on_halt(halt)
    await executor.set_state("ACTIVE", revision=2)  # from before the risk manager heard of it
    assert executor.brake.state(ACCOUNT) == "HALTED"

    await executor.set_state("HALTED", revision=3, halts=(halt.halt_id,))
    await executor.set_state("REDUCING", revision=4)
    executor.brake.on_halt(halt)  # once more, late

    assert executor.brake.state(ACCOUNT) == "REDUCING"


async def test_a_state_of_an_older_revision_is_ignored(executor: Executor):
    await executor.set_state("HALTED", revision=5)

    await executor.set_state("ACTIVE", revision=4)

    assert executor.brake.state(ACCOUNT) == "HALTED"


async def test_any_number_of_halts_is_swept_for_at_once(executor: Executor, exchange: FakeExchange, clock: FakeClock):
    halts = tuple(a_halt(halt_id=f"halt-{number}") for number in range(HALTS_WAITING_MAX + 1))
    executor.latch.view = LatchView(records=halts, in_files=frozenset(halt.halt_id for halt in halts))
    resting = a_resting_entry(clock)
    exchange._accept(resting)
    asked = len(exchange.requests)

    await executor.halting.look_at_latch()
    await executor.halting.act_on_waiting()

    assert exchange.orders[resting.client_order_id].status is OrderStatus.CANCELED
    assert len(exchange.requests) - asked < 10
    await executor.advance(1)
    await executor.halting.act_on_waiting()  # the one that did not fit
    for _ in range(20):
        await executor.advance(0.25)
        await executor.clearing.step()
    assert {event.halt_id for event in executor.events(AccountSwept)} == {halt.halt_id for halt in halts}
