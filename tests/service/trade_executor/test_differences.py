"""Differences: found, halted, and settled by what explains them or by a person, never forgotten."""

import uuid
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.common.contracts.events import AlertRaised, BalancesAdjusted, CommandAcknowledged
from libs.common.control.commands import issue_command
from libs.common.control.operators import OperatorKey, OperatorRole, Operators
from libs.common.errors import ConfigurationError
from libs.exchange.orders.port import NewOrder
from libs.exchange.user_stream.events import BalanceTransferred
from libs.trading.market import OrderType, Side
from libs.trading.risk import Role
from services.trade_executor.domain.identifiers import client_order_id
from services.trade_executor.service.accepting import WAITING_MAX
from services.trade_executor.service.standing import Standing
from services.trade_executor.service.streaming import StreamReader
from tests.support.clock import FakeClock
from tests.support.executor import Executor, an_approval, an_envelope
from tests.support.executor_records import ACCOUNT
from tests.support.fake_exchange import SYMBOL, Answer, FakeExchange, a_signing

KEY = OperatorKey.generate()
WATCHDOG = OperatorKey.generate()
OPERATORS = (
    Operators({}).with_key(KEY, issuer="operator").with_key(WATCHDOG, issuer="watchdog", role=OperatorRole.WATCHDOG)
)


@pytest.fixture
async def executor(exchange: FakeExchange, clock: FakeClock) -> Executor:
    return await Executor(exchange=exchange, clock=clock, operators=OPERATORS).start()


def by_hand(clock: FakeClock, name: str = "by-hand", side: Side = Side.BUY, quantity: str = "0.002") -> NewOrder:
    return NewOrder(
        symbol=SYMBOL,
        side=side,
        order_type=OrderType.MARKET,
        quantity=Decimal(quantity),
        client_order_id=name,
        signing=a_signing(clock),
    )


async def look(executor: Executor, times: int = 2) -> None:
    for _ in range(times):
        executor.clock.advance(10)
        await executor.reconciler.reconcile()


async def accept(executor: Executor, difference: int | None, key: OperatorKey = KEY, **changes: Any) -> str | None:
    """Accept a difference and return why it was refused: "" when it was booked, None while nobody has answered."""
    executor.clock.advance(0.001)
    command = issue_command(
        "RECONCILE_ACCEPT",
        account=changes.pop("account", ACCOUNT),
        reason="a person did it",
        issuer="operator" if key is KEY else "watchdog",
        key=key,
        command_id=uuid.uuid4(),
        now=changes.pop("now", executor.clock.now()),
        difference=difference,
    )
    await executor.acceptances.on_command(an_envelope(command.model_copy(update=changes), executor.clock))
    await executor.acceptances.act_on_waiting()
    await executor.reconciler.reconcile()
    return answer_to(executor, command.command_id)


def answer_to(executor: Executor, command_id: uuid.UUID) -> str | None:
    answers = [event for event in executor.events(CommandAcknowledged) if event.command_id == command_id]
    assert len(answers) <= 1, "a command was answered twice"
    return None if not answers else "" if answers[0].accepted else answers[0].reason


def the_difference(executor: Executor) -> int:
    ((_, row),) = executor.tables.differences.items()
    return row.id


async def test_a_trade_by_hand_is_one_difference_that_halts_its_symbol(executor: Executor, exchange, clock):
    exchange._accept(by_hand(clock))

    await look(executor, 3)

    ((kind, _),) = executor.tables.differences
    assert kind == "TRADE"
    assert [(halt.account, halt.scope_symbol) for halt in executor.latch.added] == [(ACCOUNT, SYMBOL)]
    assert executor.latch.added[0].reason.startswith("reconciliation: ")
    assert len([alert for alert in executor.events(AlertRaised) if "difference 1" in alert.message]) == 1
    await executor.halting.look_at_latch()
    approval = an_approval(clock)
    await executor.approve(approval)
    assert executor.final_answers(approval.intent_id)[0].reason == "HALTED_IN_PART"


async def test_an_accepted_trade_is_booked_to_the_last_digit(executor: Executor, exchange, clock):
    exchange._accept(by_hand(clock))
    await look(executor)

    refusal = await accept(executor, the_difference(executor))

    assert refusal == ""
    assert not executor.tables.differences
    (adjusted,) = executor.events(BalancesAdjusted)
    # 0.002 BTC for 100 USDT, less 0.1 % of the coins bought
    assert adjusted.changes == {"BTC": Decimal("0.001998"), "USDT": Decimal(-100)}
    assert adjusted.kind == "DIFFERENCE"
    assert executor.tables.ledger == exchange.held
    await look(executor, 3)
    assert not executor.tables.differences


async def test_trades_by_hand_stay_known_over_a_restart(executor: Executor, exchange, clock):
    exchange._accept(by_hand(clock))
    await look(executor)
    clock.advance(60)
    await look(executor)

    successor = await executor.restarted()

    assert len(successor.latch.added) == 1  # its brake and the latch are told again
    await look(successor, 2)
    assert [kind for kind, _ in successor.tables.differences] == ["TRADE"]


async def test_what_grew_since_has_a_new_id_and_the_old_one_cannot_be_accepted(executor: Executor, exchange):
    exchange.held["BTC"] += 1
    await look(executor)
    old = the_difference(executor)
    exchange.held["BTC"] += 1
    await look(executor)

    refusal = await accept(executor, old)

    assert refusal is not None
    assert "SUPERSEDED" in refusal
    assert the_difference(executor) != old
    assert executor.tables.ledger["BTC"] == Decimal("0.05")


async def test_what_grows_under_new_ids_keeps_its_halt_until_that_is_resumed(executor: Executor, exchange, clock):
    resting = replace(
        by_hand(clock, quantity="0.01"), order_type=OrderType.LIMIT, price=Decimal(40_000), time_in_force="GTC"
    )
    exchange._accept(resting)
    for _ in range(8):
        exchange.execute("by-hand", Decimal("0.001"))
        await look(executor, 1)
    (halt,) = executor.latch.added
    assert halt.scope_symbol == SYMBOL
    assert the_difference(executor) == 8
    assert len([alert for alert in executor.events(AlertRaised) if alert.subject.startswith("difference-")]) == 1

    await executor.set_state("ACTIVE", revision=2, halts=(halt.halt_id,))
    await executor.set_state("ACTIVE", revision=3)
    exchange.execute("by-hand", Decimal("0.001"))
    await look(executor, 1)

    assert len({latched.halt_id for latched in executor.latch.added}) == 2


async def test_an_acceptance_waits_while_balances_move(executor: Executor, exchange):
    exchange.held["BTC"] += 1
    await look(executor)
    difference = the_difference(executor)
    exchange.held["BTC"] += 1

    assert await accept(executor, difference) is None
    assert executor.reconciler._settler.is_waiting
    exchange.held["BTC"] -= 1
    await executor.reconciler.reconcile()

    assert not executor.tables.differences
    assert not executor.reconciler._settler.is_waiting
    assert executor.tables.ledger["BTC"] == Decimal("1.05")


async def test_an_acceptance_that_waited_too_long_is_refused(executor: Executor, exchange, clock):
    exchange.held["BTC"] += 1
    await look(executor)
    difference = the_difference(executor)
    for _ in range(8):
        exchange.held["BTC"] += 1
        clock.advance(10)
        refusal = await accept(executor, difference) if difference else None
        difference = 0
        assert refusal is None
        await executor.reconciler.reconcile()

    (outcome,) = executor.tables.outcomes.values()
    assert "SUPERSEDED" in outcome or "stand still" in outcome


async def test_a_difference_in_the_quote_currency_halts_the_account(executor: Executor, exchange):
    exchange.held["USDT"] -= 50

    await look(executor)

    assert [halt.scope_symbol for halt in executor.latch.added] == [None]
    assert executor.brake.state(ACCOUNT).value == "HALTED"


async def test_an_airdrop_of_an_asset_that_the_books_never_had_is_a_difference(executor: Executor, exchange):
    exchange.held["XYZ"] = Decimal(7)

    await look(executor)

    ((_, row),) = executor.tables.differences.items()
    assert (row.expected, row.found, row.symbol) == ("0", "7", "XYZ/USDT")
    assert await accept(executor, row.id) == ""
    assert executor.tables.ledger["XYZ"] == 7


async def test_an_asset_that_no_market_can_name_is_told_without_a_halt(executor: Executor, exchange):
    exchange.held["Moon!"] = Decimal(7)

    await look(executor)

    assert len(executor.tables.differences) == 1
    assert not executor.latch.added


async def told_of_a_transfer(executor: Executor, *, at_ms: int) -> None:
    reader = StreamReader(
        account=ACCOUNT,
        stream=None,  # type: ignore[arg-type]  # events are handed in
        dispatcher=executor.dispatcher,
        reconciler=executor.reconciler,
        transactions=executor.transactions,
    )
    await reader.take(BalanceTransferred(asset="USDT", delta=Decimal(100), at_ms=at_ms))


async def test_a_transfer_that_is_told_late_explains_its_difference(executor: Executor, exchange):
    exchange.held["USDT"] += 100
    await look(executor)
    difference = the_difference(executor)

    await told_of_a_transfer(executor, at_ms=1_767_614_400_000)
    await look(executor)

    assert executor.tables.difference_rows[difference].settled_by == "EXPLAINED"
    (adjusted,) = executor.events(BalancesAdjusted)
    assert (adjusted.kind, adjusted.changes) == ("TRANSFER", {"USDT": Decimal(100)})


async def test_a_gap_that_is_seen_once_changes_nothing_that_is_open(executor: Executor, exchange):
    exchange.held["BTC"] += 1
    await look(executor)
    difference = the_difference(executor)
    exchange.held["BTC"] -= Decimal("0.3")  # an execution on its way
    await look(executor, 1)
    exchange.held["BTC"] += Decimal("0.3")
    await look(executor, 3)

    assert the_difference(executor) == difference


async def test_what_is_booked_during_a_look_is_no_difference_however_often_it_is_the_same_amount(
    executor: Executor, exchange, monkeypatch
):
    answer = exchange.balances

    async def balances_and_then_a_transfer():
        before = await answer()
        exchange.held["USDT"] += 100
        await told_of_a_transfer(executor, at_ms=1_767_614_400_000 + int(executor.clock.now().timestamp()))
        return before

    await look(executor, 1)
    with monkeypatch.context() as disturbed:
        disturbed.setattr(exchange, "balances", balances_and_then_a_transfer)
        await look(executor, 3)
        assert not executor.tables.difference_rows
        exchange.held["BTC"] -= Decimal("0.3")  # and this is one, which nobody can tell yet
        await look(executor, 3)
        assert not executor.tables.difference_rows

    await look(executor)

    assert [row.subject for row in executor.tables.difference_rows.values()] == ["BTC"]


async def test_coins_of_an_open_position_are_not_signed_away(executor: Executor, exchange, clock):
    exchange.held["BTC"] = Decimal(0)
    executor.tables.amounts[ACCOUNT, "BTC"] = Decimal(0)
    await executor.approve(an_approval(clock))
    exchange.held["BTC"] -= Decimal("0.001")
    await look(executor)

    refusal = await accept(executor, the_difference(executor))

    assert refusal is not None
    assert "open positions hold 0.00999 BTC" in refusal  # 0.01 less 0.1 % of it
    assert len(executor.tables.differences) == 1


async def test_an_accepted_missing_order_ends_and_its_position_is_protected_again(executor: Executor, exchange, clock):
    approval = an_approval(clock)
    await executor.approve(approval)
    lost = executor.working(approval.intent_id)
    for leg in lost:
        del exchange.orders[leg.client_order_id]
    exchange.lists.clear()
    await look(executor)

    for row in list(executor.tables.differences.values()):
        assert await accept(executor, row.id) == ""
    await executor.settle()

    assert {executor.order(leg.intent_id).status.value for leg in lost} == {"CANCELED"}
    assert len(executor.working(approval.intent_id)) == 2
    executor.check()


@pytest.mark.parametrize(("installation", "kind"), [("other0", "FOREIGN_ORDER"), ("test00", "UNRECORDED_ORDER")])
async def test_an_order_of_such_a_system_is_accepted_only_when_it_is_gone(
    executor: Executor, exchange, clock, installation: str, kind: str
):
    name = client_order_id(uuid.uuid4(), Role.ENTRY, installation)
    resting = replace(by_hand(clock, name), order_type=OrderType.LIMIT, price=Decimal(40_000), time_in_force="GTC")
    exchange._accept(resting)
    await look(executor)
    ((found, _),) = executor.tables.differences
    assert found == kind

    refused = await accept(executor, the_difference(executor))
    exchange._cancel([name])
    await look(executor, 3)
    accepted = await accept(executor, the_difference(executor))

    assert refused is not None
    assert "still open" in refused
    assert accepted == ""
    assert executor.standing.is_ready((ACCOUNT,))


async def test_what_another_installation_bought_is_booked_when_accepted(executor: Executor, exchange, clock):
    exchange._accept(by_hand(clock, client_order_id(uuid.uuid4(), Role.ENTRY, "other0")))
    await look(executor)
    assert not executor.standing.is_ready((ACCOUNT,))

    assert await accept(executor, the_difference(executor)) == ""

    assert executor.tables.ledger == exchange.held
    assert executor.standing.is_ready((ACCOUNT,))


async def test_another_installation_seen_at_the_start_refuses_the_start(exchange: FakeExchange, clock: FakeClock):
    resting = replace(
        by_hand(clock, client_order_id(uuid.uuid4(), Role.ENTRY, "other0")),
        order_type=OrderType.LIMIT,
        price=Decimal(40_000),
        time_in_force="GTC",
    )
    exchange._accept(resting)
    executor = Executor(exchange=exchange, clock=clock)

    with pytest.raises(ConfigurationError, match="other0"):
        await executor.start()

    assert [halt.scope_symbol for halt in executor.latch.added] == [None]
    assert [kind for kind, _ in executor.tables.differences] == ["FOREIGN_ORDER"]


def test_two_accounts_of_ours_that_are_one_at_the_exchange_are_refused():
    standing = Standing()
    standing.identities.note("main", "17")
    standing.identities.note("main", "17")
    standing.identities.note("second", None)

    with pytest.raises(ConfigurationError, match="main and second"):
        standing.identities.note("second", "17")


async def test_an_order_adopted_after_its_claim_was_released_is_a_difference(executor: Executor, exchange, clock):
    exchange.answers.append(Answer.ARRIVES_LATE)
    approval = an_approval(clock)
    await executor.approve(approval)
    await executor.advance(90)
    assert executor.order(approval.intent_id).released_at is not None

    exchange.deliver_late()
    await look(executor)
    await executor.settle()

    ((kind, _),) = executor.tables.differences
    assert kind == "LATE_FILL"
    assert len(executor.working(approval.intent_id)) == 2, "it is protected"
    assert await accept(executor, the_difference(executor)) == ""
    executor.check()


@pytest.mark.parametrize(
    ("spoil", "refusal"),
    [
        ({"reason": "another"}, "BAD_SIGNATURE"),
        ({"key_id": "nobody"}, "UNKNOWN_KEY"),
        ({"now": -timedelta(seconds=31)}, "EXPIRED"),
        ({"now": timedelta(seconds=31)}, "ISSUED_IN_THE_FUTURE"),
        ({"key": WATCHDOG}, "OUT_OF_SCOPE"),
        ({"difference": None}, "expected the id"),
        ({"difference": 99}, "found none"),
    ],
)
async def test_a_command_that_must_not_count_books_nothing(
    executor: Executor, exchange, spoil: dict[str, Any], refusal: str
):
    exchange.held["BTC"] += 1
    await look(executor)
    arguments: dict[str, Any] = {"difference": the_difference(executor), **spoil}
    if "now" in spoil:
        arguments["now"] = executor.clock.now() + spoil["now"]

    answer = await accept(executor, arguments.pop("difference"), **arguments)

    assert answer is not None
    assert refusal in answer
    assert len(executor.tables.differences) == 1
    assert not executor.events(BalancesAdjusted)


async def test_a_command_counts_once_and_never_after_a_newer_one(executor: Executor, exchange):
    exchange.held["BTC"] += 1
    await look(executor)
    command = issue_command(
        "RECONCILE_ACCEPT",
        account=ACCOUNT,
        reason="a gift",
        issuer="operator",
        key=KEY,
        command_id=uuid.uuid4(),
        now=executor.clock.now(),
        difference=the_difference(executor),
    )
    older = executor.clock.now() - timedelta(seconds=1)
    envelope = an_envelope(command, executor.clock)

    await executor.acceptances.on_command(envelope)
    await executor.acceptances.on_command(envelope)
    assert await accept(executor, the_difference(executor), now=older) == "OLD_SEQUENCE"
    await executor.acceptances.on_command(envelope)
    await executor.acceptances.act_on_waiting()

    assert answer_to(executor, command.command_id) == ""
    assert executor.tables.ledger["BTC"] == Decimal("1.05")


async def test_hearing_a_command_waits_for_nothing_and_what_nobody_signed_takes_no_place(executor: Executor, exchange):
    exchange.held["BTC"] += 1
    await look(executor)
    command = issue_command(
        "RECONCILE_ACCEPT",
        account=ACCOUNT,
        reason="a gift",
        issuer="operator",
        key=KEY,
        command_id=uuid.uuid4(),
        now=executor.clock.now(),
        difference=the_difference(executor),
    )
    executor.transactions.failures = 1
    forged = command.model_copy(update={"command_id": uuid.uuid4()})

    for _ in range(WAITING_MAX - 1):
        await executor.acceptances.on_command(an_envelope(forged, executor.clock))
    await executor.acceptances.on_command(an_envelope(command, executor.clock))
    for _ in range(WAITING_MAX):
        await executor.acceptances.on_command(an_envelope(command, executor.clock))
    assert not executor.tables.acceptances
    await executor.acceptances.act_on_waiting()
    await executor.reconciler.reconcile()

    assert answer_to(executor, forged.command_id) == "BAD_SIGNATURE"
    assert answer_to(executor, command.command_id) == ""


async def test_a_standby_and_other_accounts_are_none_of_our_business(exchange: FakeExchange, clock: FakeClock):
    standby = Executor(exchange=exchange, clock=clock, operators=OPERATORS)
    owner = await Executor(exchange=exchange, clock=clock, operators=OPERATORS).start()

    assert await accept(owner, 1, account="second") is None
    await standby.acceptances.on_command(
        an_envelope(
            issue_command(
                "RECONCILE_ACCEPT",
                account=ACCOUNT,
                reason="x",
                issuer="operator",
                key=KEY,
                command_id=uuid.uuid4(),
                now=clock.now(),
                difference=1,
            ),
            clock,
        )
    )

    await standby.acceptances.act_on_waiting()
    assert not standby.tables.acceptances
    assert not owner.tables.acceptances
