"""A halt is verified by a sweep that cannot have missed an order in flight."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from libs.common.contracts.events import AccountSwept, CommandAcknowledged
from libs.common.contracts.vocabulary import Role as EventRole
from libs.common.control.commands import issue_command
from libs.common.control.halts import HaltRecord, LatchView
from libs.common.control.operators import OperatorKey, Operators
from libs.common.errors import RetryableError
from libs.trading.orders import OrderStatus
from services.trade_executor.domain.orders import ExecutorOrder
from services.trade_executor.service.clearing import FENCE_MARGIN_MS
from tests.service.trade_executor.test_stopping import a_resting_entry
from tests.support.clock import FakeClock
from tests.support.executor import Executor, an_approval, an_envelope, an_exit
from tests.support.executor_records import ACCOUNT, FakeRecords
from tests.support.fake_exchange import SYMBOL, Answer, FakeExchange

FENCE_S = (1_000 + FENCE_MARGIN_MS) / 1_000  # the receive window and what the clock may be off


def a_halt(halt_id: str = "halt-1", **changes: object) -> HaltRecord:
    fields = {"halt_id": halt_id, "account": ACCOUNT, "halted_at": datetime(2026, 1, 5, tzinfo=UTC), **changes}
    return HaltRecord.model_validate(fields)


async def halted(executor: Executor, *halts: HaltRecord) -> None:
    executor.latch.view = LatchView(records=halts, in_files=frozenset(halt.halt_id for halt in halts))
    await executor.halting.look_at_latch()
    await executor.halting.act_on_waiting()


async def pass_time(executor: Executor, seconds: float) -> None:
    """Let time pass in steps in which sweeps are made."""
    for _ in range(round(seconds / 0.25)):
        await executor.advance(0.25)
        await executor.clearing.step()


def swept(executor: Executor) -> list[tuple[str, bool, int]]:
    return [(event.halt_id, event.flat, event.orders_cancelled) for event in executor.events(AccountSwept)]


async def test_a_halt_is_verified_only_by_a_sweep_that_began_after_the_fence(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
) -> None:
    exchange._accept(a_resting_entry(clock))
    heard_at = clock.now()
    await halted(executor, a_halt())

    await pass_time(executor, FENCE_S)
    assert swept(executor) == []
    await pass_time(executor, 2)

    assert swept(executor) == [("halt-1", False, 1)]
    (event,) = executor.events(AccountSwept)
    assert (event.swept_at - heard_at).total_seconds() > FENCE_S


async def test_an_entry_that_the_exchange_accepts_after_the_halt_is_cancelled_before_it_counts_as_verified(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
) -> None:
    await halted(executor, a_halt())
    await pass_time(executor, 1)
    late = a_resting_entry(clock)
    exchange._accept(late)

    await pass_time(executor, 4)

    assert exchange.orders[late.client_order_id].status is OrderStatus.CANCELED
    assert swept(executor) == [("halt-1", False, 1)]


async def test_an_entry_of_unknown_outcome_keeps_a_halt_from_being_verified(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
) -> None:
    exchange.answers.append(Answer.NEVER_ARRIVED)
    exchange.lookups_answered = False
    await executor.approve(an_approval(clock))
    await halted(executor, a_halt())

    await pass_time(executor, 30)
    assert swept(executor) == []
    exchange.lookups_answered = True
    await pass_time(executor, 100)  # the fence of the order, two lookups, its quarantine

    assert swept(executor) == [("halt-1", False, 0)]


async def test_an_exchange_that_does_not_answer_is_asked_until_it_does(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
) -> None:
    resting = a_resting_entry(clock)
    exchange._accept(resting)
    exchange.reachable = False
    await halted(executor, a_halt())
    await pass_time(executor, 10)
    assert swept(executor) == []

    exchange.reachable = True
    await pass_time(executor, 5)

    assert exchange.orders[resting.client_order_id].status is OrderStatus.CANCELED
    assert swept(executor) == [("halt-1", False, 1)]


async def test_a_cancel_without_an_answer_is_tried_again(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
) -> None:
    resting = a_resting_entry(clock)
    exchange._accept(resting)
    exchange.cancel_answers.extend([Answer.NEVER_ARRIVED] * 3)
    await halted(executor, a_halt())

    await pass_time(executor, 10)

    assert exchange.orders[resting.client_order_id].status is OrderStatus.CANCELED
    assert swept(executor) == [("halt-1", False, 1)]


async def test_without_the_exchanges_time_nothing_is_verified(executor: Executor, exchange: FakeExchange) -> None:
    exchange.offset_ms = None
    await halted(executor, a_halt())
    await pass_time(executor, 5)
    assert swept(executor) == []

    exchange.offset_ms = 0
    await pass_time(executor, 5)

    assert swept(executor) == [("halt-1", False, 0)]


async def test_a_halt_that_is_resumed_needs_no_proof_and_its_account_is_left_alone(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
) -> None:
    await halted(executor, a_halt())
    await executor.set_state("HALTED", revision=2, halts=("halt-1",))
    executor.latch.view = LatchView()
    await executor.set_state("ACTIVE", revision=3)
    resting = a_resting_entry(clock)
    exchange._accept(resting)

    await pass_time(executor, 5)

    assert exchange.orders[resting.client_order_id].status is OrderStatus.ACCEPTED
    assert swept(executor) == []


async def test_a_halt_of_another_symbol_cancels_nothing_here(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
) -> None:
    resting = a_resting_entry(clock)
    exchange._accept(resting)

    await halted(executor, a_halt(scope_symbol="ETH/USDT"))

    assert exchange.orders[resting.client_order_id].status is OrderStatus.ACCEPTED


async def test_two_halts_are_each_verified(executor: Executor) -> None:
    await halted(executor, a_halt())
    await pass_time(executor, 1)
    await halted(executor, a_halt(), a_halt("halt-2", scope_symbol=SYMBOL))

    await pass_time(executor, 5)

    assert swept(executor) == [("halt-1", False, 0), ("halt-2", False, 0)]


async def test_a_halt_that_comes_while_the_books_are_asked_is_verified_by_a_sweep_of_its_own(
    executor: Executor, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard_at: list[datetime] = []
    unresolved = FakeRecords.unresolved

    async def interrupted(records: FakeRecords, account: str) -> Sequence[ExecutorOrder]:
        found = await unresolved(records, account)
        if not heard_at:
            heard_at.append(clock.now())
            executor.halting._stop(a_halt("halt-2"), "kafka")
            await executor.halting.act_on_waiting()
        return found

    await halted(executor, a_halt())
    monkeypatch.setattr(FakeRecords, "unresolved", interrupted)

    await pass_time(executor, 10)

    assert sorted(swept(executor)) == [("halt-1", False, 0), ("halt-2", False, 0)]
    for event in executor.events(AccountSwept):
        assert (event.swept_at - heard_at[0]).total_seconds() > FENCE_S
        assert event.swept_at <= event.occurred_at


async def test_a_latch_that_cannot_be_read_for_a_moment_ends_no_verification(executor: Executor) -> None:
    await halted(executor, a_halt())
    executor.latch.view = LatchView(file_readable=False)
    await pass_time(executor, 0.5)

    await halted(executor, a_halt())
    await pass_time(executor, 5)

    assert swept(executor) == [("halt-1", False, 0)]


async def test_a_liquidating_halt_is_flat_only_when_everything_in_its_scope_is_sold(
    executor: Executor, clock: FakeClock
) -> None:
    await executor.approve(an_approval(clock))
    await halted(executor, a_halt(liquidate=True))
    await pass_time(executor, 5)
    assert swept(executor) == [("halt-1", False, 0)]

    await executor.approve(an_exit(clock, role=EventRole.LIQUIDATION))
    await pass_time(executor, 2)

    assert swept(executor) == [("halt-1", False, 0), ("halt-1", True, 0)]
    executor.check()


async def test_a_liquidating_halt_of_another_symbol_has_nothing_to_wait_for(
    executor: Executor, clock: FakeClock
) -> None:
    await executor.approve(an_approval(clock))

    await halted(executor, a_halt(scope_symbol="ETH/USDT", liquidate=True))
    await pass_time(executor, 5)

    assert swept(executor) == [("halt-1", False, 0), ("halt-1", True, 0)]


async def test_a_database_that_is_away_delays_the_proof_and_no_cancel(
    executor: Executor, exchange: FakeExchange, clock: FakeClock
) -> None:
    resting = a_resting_entry(clock)
    await halted(executor, a_halt())
    exchange._accept(resting)
    apply = executor.transactions.apply

    async def away(*_: object, **__: object) -> None:
        raise RetryableError("away")

    executor.transactions.apply = away  # type: ignore[method-assign]
    clock.advance(3)
    found = await executor.sweeper._cancel(ACCOUNT, exchange.orders[resting.client_order_id])
    await executor.clearing.step()
    executor.transactions.apply = apply  # type: ignore[method-assign]
    assert found.reports
    assert swept(executor) == []

    await pass_time(executor, 5)

    assert swept(executor) == [("halt-1", False, 0)]


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_replayed_halt_that_was_settled_stops_and_cancels_nothing(
    exchange: FakeExchange,
    clock: FakeClock,
    *,
    restarted: bool,
) -> None:
    key = OperatorKey.generate()
    operators = Operators({}).with_key(key, issuer="me")
    executor = await Executor(exchange=exchange, clock=clock, operators=operators).start()
    command = issue_command(
        "HALT", account=ACCOUNT, reason="drill", issuer="me", key=key, command_id=uuid.uuid4(), now=clock.now()
    )
    if not restarted:
        await executor.halting.on_command(an_envelope(command, clock))
        await executor.halting.act_on_waiting()
    await executor.set_state("HALTED", revision=2, halts=(str(command.command_id),))
    await executor.set_state("ACTIVE", revision=3)
    resting = a_resting_entry(clock)
    exchange._accept(resting)

    await executor.halting.on_command(an_envelope(command, clock))
    await executor.halting.act_on_waiting()

    assert executor.brake.state(ACCOUNT) == "ACTIVE"
    assert exchange.orders[resting.client_order_id].status is OrderStatus.ACCEPTED
    assert len(executor.events(CommandAcknowledged)) == (not restarted)
