import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from libs.common.contracts.event import Event
from libs.common.contracts.events import (
    AlertRaised,
    CommandAcknowledged,
    ControlCommanded,
    OrderApproved,
    TradingStateChanged,
)
from libs.common.contracts.vocabulary import AlertType, Severity, StopTrigger, TradingState
from libs.common.control.halts import HaltRecord
from libs.common.control.operators import OperatorKey, OperatorRole, Operators
from libs.common.errors import RetryableError
from services.risk_manager.domain.trading_state import ReducingCause
from services.risk_manager.service.exposure import held
from services.risk_manager.service.governing import Governor
from services.risk_manager.service.judging import SignalJudge
from services.risk_manager.service.policy import StartPolicy
from tests.service.risk_manager.builders import (
    NOW,
    OPERATORS,
    FakeBook,
    FakeConditions,
    FakeInstruments,
    FakeMarket,
    FakeRecords,
    a_clock,
    a_command,
    a_configuration,
    a_keeper,
    a_position,
    an_active_account,
    enveloped,
)


class Office:
    """A governor over fakes."""

    def __init__(
        self,
        *,
        start: StartPolicy | None = None,
        accounts: tuple[str, ...] = ("main",),
        operators: Operators = OPERATORS,
        **sections: Any,
    ) -> None:
        self.records, self.conditions, self.clock = FakeRecords(), FakeConditions(), a_clock()
        configuration = a_configuration(exchange={"accounts": accounts}, **sections)
        self.judge = SignalJudge(
            configuration=configuration,
            epoch=lambda: 7,
            book=FakeBook(),
            market=FakeMarket(),
            instruments=FakeInstruments(),
            clock=self.clock,
        )
        self.governor = Governor(
            configuration=configuration,
            configuring=a_keeper(configuration),
            operators=lambda: operators,
            conditions=self.conditions,
            liquidate=self.judge.liquidate,
            start=start or StartPolicy(),
            clock=self.clock,
        )

    async def begun(self) -> list[Event]:
        return await self.records.transact(self.governor.begin(self.records))

    async def commanded(self, command: ControlCommanded) -> list[Event]:
        return await self.records.transact(self.governor.on_command(enveloped(command), self.records))

    async def acknowledged(self, command: ControlCommanded) -> CommandAcknowledged:
        (answer,) = of(CommandAcknowledged, await self.commanded(command))
        assert isinstance(answer, CommandAcknowledged)
        return answer

    async def latched(self, halt: HaltRecord) -> list[Event]:
        return await self.records.transact(self.governor.on_latched(halt, "file", self.records))

    def state(self) -> TradingState:
        assert self.governor.known["main"] == self.records.states["main"]
        return self.governor.known["main"].state

    def halts(self) -> tuple[str, ...]:
        return tuple(halt.halt_id for halt in self.governor.known["main"].halts)


def of(kind: type[Any], events: list[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize(("starts_active", "state"), [(False, TradingState.REDUCING), (True, TradingState.ACTIVE)])
async def test_a_fresh_installation_reduces_and_only_the_demonstration_starts_active(
    *, starts_active: bool, state: TradingState
) -> None:
    office = Office(start=StartPolicy(starts_active=starts_active))

    (changed,) = await office.begun()

    assert isinstance(changed, TradingStateChanged)
    assert (changed.state, changed.revision) == (state, 1)
    assert office.state() is state


async def test_the_stored_state_holds_whatever_the_start_policy_says() -> None:
    office = Office(start=StartPolicy(starts_active=True))
    an_active_account(
        office.records, wants_active=False, halts=(HaltRecord(halt_id="h", account="main", halted_at=NOW),)
    )

    assert await office.begun() == []
    assert office.state() is TradingState.HALTED


async def test_live_trading_that_is_not_armed_reduces_and_cannot_be_started() -> None:
    office = Office(start=StartPolicy(starts_active=True, armed=frozenset({"other"})))
    await office.begun()

    assert office.state() is TradingState.REDUCING
    answer = await office.acknowledged(a_command("START"))
    assert not answer.accepted
    assert "TRADER_LIVE_ARMED" in answer.reason


async def test_arming_lifts_what_reduced_the_account() -> None:
    office = Office(start=StartPolicy(armed=frozenset({"main"})))
    an_active_account(office.records, causes=frozenset({ReducingCause.LIVE_TRADING_IS_NOT_ARMED}))

    await office.begun()

    assert office.state() is TradingState.ACTIVE


async def test_start_and_stop_move_between_active_and_reducing() -> None:
    office = Office()
    await office.begun()

    await office.commanded(a_command("START"))
    assert office.state() is TradingState.ACTIVE
    office.clock.advance(1)
    await office.commanded(a_command("STOP", now=office.clock.now()))
    assert office.state() is TradingState.REDUCING


async def test_a_halt_latches_alarms_and_is_acknowledged() -> None:
    office = Office(start=StartPolicy(starts_active=True))
    await office.begun()
    command = a_command("HALT")

    events = await office.commanded(command)

    (changed,) = of(TradingStateChanged, events)
    (answer,) = of(CommandAcknowledged, events)
    (alert,) = of(AlertRaised, events)
    assert (changed.state, changed.previous, changed.halt_epoch) == (TradingState.HALTED, TradingState.ACTIVE, 1)
    assert changed.halts == (str(command.command_id),)
    assert (answer.accepted, answer.state, answer.path) == (True, TradingState.HALTED, "kafka")
    assert alert.alert_type is AlertType.EMERGENCY_STOP
    assert alert.parameters["trigger"] == StopTrigger.MANUAL_STOP


async def test_a_halt_that_comes_again_over_any_path_changes_nothing() -> None:
    office = Office()
    await office.begun()
    command = a_command("HALT")
    await office.commanded(command)

    assert await office.commanded(command) == []
    assert await office.latched(HaltRecord.of(command)) == []


async def test_a_signed_halt_found_in_a_latch_is_acknowledged_as_its_command() -> None:
    office = Office()
    await office.begun()
    command = a_command("HALT")

    (answer,) = of(CommandAcknowledged, await office.latched(HaltRecord.of(command)))

    assert (answer.command_id, answer.path, answer.accepted) == (command.command_id, "file", True)
    assert await office.commanded(command) == []


async def test_an_unsigned_halt_in_a_latch_halts_without_an_answer_and_never_liquidates() -> None:
    office = Office()
    await office.begun()
    await office.records.save_position(held(a_position()), at=NOW)

    events = await office.latched(HaltRecord(halt_id="file-1", halted_at=NOW, liquidate=True))

    assert office.state() is TradingState.HALTED
    assert of(CommandAcknowledged, events) == []
    assert of(OrderApproved, events) == []


async def test_a_start_hidden_in_a_latch_starts_nothing() -> None:
    office = Office()
    await office.begun()
    start = a_command("START")
    smuggled = HaltRecord.of(start)

    await office.latched(smuggled)

    assert office.state() is TradingState.HALTED
    assert not office.governor.known["main"].wants_active


async def test_a_settled_halt_found_again_in_a_latch_stays_settled() -> None:
    office = Office()
    await office.begun()
    command = a_command("HALT")
    await office.commanded(command)
    await office.commanded(a_command("RESUME", clears=(str(command.command_id),)))

    assert await office.latched(HaltRecord.of(command)) == []
    assert office.state() is TradingState.REDUCING


async def test_resume_leads_to_reducing_even_from_active() -> None:
    office = Office(start=StartPolicy(starts_active=True))
    await office.begun()
    command = a_command("HALT")
    await office.commanded(command)

    await office.commanded(a_command("RESUME", clears=(str(command.command_id),)))

    assert office.state() is TradingState.REDUCING
    assert office.halts() == ()


async def test_resume_clears_only_the_halts_it_names() -> None:
    office = Office()
    await office.begun()
    first, second = a_command("HALT"), a_command("HALT")
    await office.commanded(first)
    await office.commanded(second)

    events = await office.commanded(a_command("RESUME", clears=(str(first.command_id),)))

    (answer,) = of(CommandAcknowledged, events)
    assert (answer.accepted, answer.state) == (True, TradingState.HALTED)
    assert office.halts() == (str(second.command_id),)
    assert of(AlertRaised, events) == []
    later = a_command("RESUME", clears=(str(second.command_id),), now=NOW + timedelta(milliseconds=1))
    (over,) = of(AlertRaised, await office.commanded(later))
    assert (over.alert_type, over.severity) == (AlertType.EMERGENCY_STOP, Severity.INFO)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"clears": ()}, "NO_HALT_IS_NAMED"),
        ({"clears": ("unknown",)}, "HALT_IS_UNKNOWN"),
        ({"clears": ("h",), "reason": " "}, "REASON_IS_MISSING"),
        ({"clears": ("h",), "account": "other"}, "OUT_OF_SCOPE"),
        ({"clears": ("h",), "key": OperatorKey.generate()}, "UNKNOWN_KEY"),
        ({"clears": ("h",), "now": NOW - timedelta(seconds=30)}, "EXPIRED"),
    ],
)
async def test_a_resume_that_is_not_in_order_is_refused(changes: dict[str, Any], reason: str) -> None:
    office = Office()
    an_active_account(office.records, halts=(HaltRecord(halt_id="h", account="main", halted_at=NOW),))
    await office.begun()

    answer = await office.acknowledged(a_command("RESUME", **changes))

    assert not answer.accepted
    assert answer.reason.startswith(reason)
    assert office.state() is TradingState.HALTED


async def test_a_resume_is_refused_while_the_cause_persists() -> None:
    office = Office()
    halt = HaltRecord(halt_id="h", account="main", halted_at=NOW, trigger=StopTrigger.DAILY_LOSS_EXCEEDED)
    an_active_account(office.records, halts=(halt,))
    await office.begun()
    office.conditions.found = {StopTrigger.DAILY_LOSS_EXCEEDED: "a loss of 300 of 300"}

    answer = await office.acknowledged(a_command("RESUME", clears=("h",)))

    assert answer.reason == "CAUSE_PERSISTS: DAILY_LOSS_EXCEEDED: a loss of 300 of 300"
    assert office.state() is TradingState.HALTED


async def test_nothing_can_be_resumed_that_is_not_halted() -> None:
    office = Office()
    await office.begun()

    assert (await office.acknowledged(a_command("RESUME", clears=("h",)))).reason == "NOTHING_IS_HALTED"


async def test_a_halted_account_cannot_be_started() -> None:
    office = Office()
    await office.begun()
    await office.commanded(a_command("HALT"))

    assert (await office.acknowledged(a_command("START"))).reason.startswith("ACCOUNT_IS_HALTED")


async def test_a_command_older_than_the_keys_last_one_is_refused_but_a_halt_never_is() -> None:
    office = Office()
    await office.begun()
    await office.commanded(a_command("START"))
    earlier = NOW - timedelta(seconds=1)

    assert (await office.acknowledged(a_command("STOP", now=earlier))).reason == "OLD_SEQUENCE"
    assert (await office.acknowledged(a_command("HALT", now=earlier))).accepted


async def test_a_forged_command_cannot_use_up_the_id_of_a_genuine_one() -> None:
    office = Office()
    await office.begun()
    genuine = a_command("HALT")
    await office.commanded(genuine.model_copy(update={"signature": "AAAA"}))

    assert (await office.acknowledged(genuine)).accepted


async def test_a_halt_of_a_symbol_leaves_the_account_trading() -> None:
    office = Office(start=StartPolicy(starts_active=True))
    await office.begun()

    (changed,) = of(TradingStateChanged, await office.commanded(a_command("HALT", symbol="BTC/USDT")))

    assert (changed.state, changed.symbols_halted, changed.halt_epoch) == (TradingState.ACTIVE, ("BTC/USDT",), 1)


async def test_a_halt_with_liquidate_sells_under_its_own_halt_epoch() -> None:
    office = Office()
    await office.begun()
    await office.records.save_position(held(a_position()), at=NOW)

    (order,) = of(OrderApproved, await office.commanded(a_command("HALT", liquidate=True)))

    assert (order.role, order.halt_epoch) == ("LIQUIDATION", 1)


async def test_a_key_that_may_only_halt_sells_nothing_and_is_told_so() -> None:
    watchdog = OperatorKey.generate()
    office = Office(operators=OPERATORS.with_key(watchdog, issuer="watchdog", role=OperatorRole.WATCHDOG))
    await office.begun()
    await office.records.save_position(held(a_position()), at=NOW)
    command = a_command("HALT", liquidate=True, issuer="watchdog", key=watchdog)

    events = await office.commanded(command)

    (answer,) = of(CommandAcknowledged, events)
    assert (answer.accepted, answer.state) == (True, TradingState.HALTED)
    assert answer.reason == "halted without selling anything: this key may only halt"
    assert of(OrderApproved, events) == []
    assert not office.records.states["main"].halts[0].liquidate


@pytest.mark.parametrize(("liquidate_on", "sales"), [((), 0), ((StopTrigger.DAILY_LOSS_EXCEEDED,), 1)])
async def test_an_emergency_liquidates_only_where_it_was_opted_into(
    liquidate_on: tuple[StopTrigger, ...], sales: int
) -> None:
    office = Office(safety={"liquidate_on": liquidate_on})
    await office.begun()
    await office.records.save_position(held(a_position()), at=NOW)

    events = await office.records.transact(
        office.governor.trip(
            StopTrigger.DAILY_LOSS_EXCEEDED,
            account="main",
            halt_id="loss-1",
            reason="lost",
            at=NOW,
            records=office.records,
        )
    )

    assert len(of(OrderApproved, events)) == sales
    assert office.halts() == ("loss-1",)


async def test_a_halt_of_every_account_halts_each() -> None:
    office = Office(accounts=("main", "second"))
    await office.begun()

    await office.latched(HaltRecord(halt_id="file-1", halted_at=NOW))

    assert {state.state for state in office.governor.known.values()} == {TradingState.HALTED}


@pytest.mark.parametrize("command", ["HALT", "START"])
async def test_a_command_that_comes_again_makes_known_what_its_unanswered_commit_stored(command: str) -> None:
    office = Office()
    await office.begun()
    envelope = enveloped(a_command(command))
    with pytest.raises(RetryableError):
        await office.records.transact_unanswered(office.governor.on_command(envelope, office.records))

    assert await office.commanded(envelope.event) == []

    assert office.state() is (TradingState.HALTED if command == "HALT" else TradingState.ACTIVE)


async def test_a_cause_and_a_trip_whose_commits_were_never_answered_are_known_at_the_next_attempt() -> None:
    office = Office(start=StartPolicy(starts_active=True))
    await office.begun()

    async def reduced() -> Sequence[Event]:
        return await office.governor.set_cause(
            "main", ReducingCause.EQUITY_IS_STALE, present=True, reason="stale", records=office.records
        )

    async def tripped() -> Sequence[Event]:
        return await office.governor.trip(
            StopTrigger.SYSTEM_ERROR, account="main", halt_id="h", reason="poison", at=NOW, records=office.records
        )

    for attempt, state in ((reduced, TradingState.REDUCING), (tripped, TradingState.HALTED)):
        with pytest.raises(RetryableError):
            await office.records.transact_unanswered(attempt())
        assert await office.records.transact(attempt()) == []
        assert office.state() is state


async def test_halts_that_the_database_lost_stay_known_whatever_comes_again() -> None:
    office = Office()
    await office.begun()
    halt = a_command("HALT")
    await office.commanded(halt)
    office.records.states["main"] = replace(office.records.states["main"], halts=())

    await office.commanded(halt)

    assert office.halts() == (str(halt.command_id),)


async def test_a_rolled_back_transaction_leaves_the_known_state_as_it_was() -> None:
    office = Office(start=StartPolicy(starts_active=True))
    await office.begun()

    await office.governor.on_command(enveloped(a_command("HALT", command_id=uuid.uuid4())), office.records)

    assert office.governor.known["main"].state is TradingState.ACTIVE  # nothing ran after a commit that never came
