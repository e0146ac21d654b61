"""Two accounts side by side: each is judged, sized, halted and reduced by its own limits, and nothing of the other."""
# ruff: noqa: ARG002 - fakes have the signatures of what they stand for

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.common.configuration import LiveConfiguration
from libs.common.configuration.loading import source
from libs.common.contracts.event import Event
from libs.common.contracts.events import CommandAcknowledged, ConfigurationChanged, OrderApproved, OrderRefused
from libs.common.contracts.vocabulary import StopTrigger, TradingState
from libs.common.control.halts import LatchView
from libs.common.control.operators import OperatorKey, Operators
from libs.common.control.permit import Renewal
from services.risk_manager.domain.audit_progress import AuditProgress
from services.risk_manager.domain.observed_market import ObservedMarket
from services.risk_manager.domain.trading_state import ReducingCause
from services.risk_manager.service.configuring import ConfigurationKeeper
from services.risk_manager.service.emergencies import EmergencyWatch
from services.risk_manager.service.exposure import held
from services.risk_manager.service.governing import Governor
from services.risk_manager.service.judging import SignalJudge
from services.risk_manager.service.losses import LossGuard
from services.risk_manager.service.permits import LastLook, PermitKeeper
from services.risk_manager.service.persisting import PersistingCauses
from services.risk_manager.service.policy import StartPolicy
from services.risk_manager.service.ports import RiskRecords
from services.risk_manager.service.setbacks import SetbackGuard
from tests.service.risk_manager.builders import (
    NOW,
    OPERATORS,
    FakeBook,
    FakeInstruments,
    FakeMarket,
    FakeRecords,
    a_clock,
    a_command,
    a_mark,
    a_position,
    a_signal,
    a_status,
    an_active_account,
    enveloped,
)

SECOND: dict[str, Any] = {
    "engine": {"max_concurrent_positions": 1},
    "risk_management": {"daily_loss_limit_pct": "1", "position_size_pct": "1"},
    "safety": {
        "drawdown_pct_max": "2",
        "loss_streak_max": 1,
        "equity_age_s_max": 2,
        "equity_age_s_reducing": 10,
        "liquidate_on": ["DAILY_LOSS_EXCEEDED"],
    },
}
"""Everything tighter than the common sections: 3 %, 2 %, 10 %, 20 trips, 5 s, 30 s, nothing sold."""


class Differences:
    """Nothing differs."""

    async def differences(self, account: str) -> Sequence[Any]:
        return ()


class Permits:
    """Where permits are granted."""

    def __init__(self) -> None:
        self.granted: set[str] = set()

    async def renew(self, account: str, *, risk_epoch: int, halt_epoch: int) -> Renewal:
        self.granted.add(account)
        return Renewal.RENEWED

    async def revoke(self, account: str, *, risk_epoch: int) -> None:
        self.granted.discard(account)


class Office:
    """A risk manager over fakes with the accounts `main` and `second`, both ACTIVE."""

    def __init__(self, *, operators: Operators = OPERATORS, second: dict[str, Any] = SECOND) -> None:
        self.records, self.clock, self.permits = FakeRecords(), a_clock(), Permits()
        files = source({"accounts": {"main": {}, "second": second}}, {}, where="mine.json")
        self.live = LiveConfiguration(files.configuration)
        self.keeper = ConfigurationKeeper(started_with=files, live=self.live, clock=self.clock)
        self.market = ObservedMarket(started_at_s=self.clock.monotonic_s(), clock_skew_ms_max=lambda: 500)
        audit = AuditProgress(started_at_s=self.clock.monotonic_s())
        self.judge = SignalJudge(
            configuration=self.live,
            epoch=lambda: 7,
            book=FakeBook(),
            market=FakeMarket(),
            instruments=FakeInstruments(),
            clock=self.clock,
        )
        self.conditions = PersistingCauses(
            configuration=self.live, market=self.market, audit=audit, books=Differences(), clock=self.clock
        )
        self.governor = Governor(
            configuration=self.live,
            configuring=self.keeper,
            operators=lambda: operators,
            conditions=self.conditions,
            liquidate=self.judge.liquidate,
            start=StartPolicy(),
            clock=self.clock,
        )
        self.losses = LossGuard(configuration=self.live, governor=self.governor)
        self.setbacks = SetbackGuard(configuration=self.live, governor=self.governor)
        self.emergencies = EmergencyWatch(
            configuration=self.live,
            governor=self.governor,
            losses=self.losses,
            market=self.market,
            audit=audit,
            apply=self.apply,
            clock=self.clock,
        )
        self.last_look = LastLook(self.clock)
        self.last_look.saw(LatchView())
        self.permit_keeper = PermitKeeper(
            configuration=self.live,
            writer=self.permits,
            governor=self.governor,
            losses=self.losses,
            epoch=lambda: 7,
            last_look=self.last_look,
            differing=tuple,
            clock=self.clock,
        )

    async def begun(self) -> "Office":
        for account in ("main", "second"):
            an_active_account(self.records, account=account)
        for begin in (self.keeper.begin, self.governor.begin):
            await self.records.transact(begin(self.records))
        return self

    async def apply(self, work: Callable[[RiskRecords], Awaitable[Sequence[Event]]]) -> None:
        async def run() -> Sequence[Event]:
            return await work(self.records)

        await self.records.transact(run())

    async def marked(self, account: str, equity: str = "10000") -> list[Event]:
        self.clock.advance(0.001)
        mark = enveloped(a_mark(equity, account=account, occurred_at=self.clock.now()))
        events: list[Event] = []
        for handle in (self.losses.on_equity_marked, self.setbacks.on_equity_marked):
            events += await self.records.transact(handle(mark, self.records))
        return events

    async def judged(self, signal_id: str = "signal-1", **changes: Any) -> dict[str, OrderApproved | OrderRefused]:
        signal = enveloped(a_signal(signal_id, occurred_at=self.clock.now(), **changes))
        answers = await self.records.transact(self.judge.on_signal(signal, self.records))
        return {answer.account: answer for answer in answers if isinstance(answer, OrderApproved | OrderRefused)}

    async def commanded(self, command: str, account: str, **fields: Any) -> list[Event]:
        self.clock.advance(1)
        envelope = enveloped(a_command(command, account=account, now=self.clock.now(), **fields))
        return await self.records.transact(self.governor.on_command(envelope, self.records))

    def states(self) -> tuple[TradingState, TradingState]:
        return self.governor.known["main"].state, self.governor.known["second"].state


async def test_each_account_sizes_an_entry_by_its_own_limit() -> None:
    office = await Office().begun()
    for account in ("main", "second"):
        await office.marked(account)

    answers = await office.judged()

    quantities = {name: answer.quantity for name, answer in answers.items() if isinstance(answer, OrderApproved)}
    # 10 000 USDT x 2 % and 1 % / 50 050 USDT per BTC, floored to 0.00001
    assert quantities == {"main": Decimal("0.00399"), "second": Decimal("0.00199")}


async def test_what_one_account_holds_counts_against_its_own_limit_alone() -> None:
    office = await Office().begun()
    for account in ("main", "second"):
        await office.marked(account)
    await office.judged()

    answers = await office.judged("signal-2", symbol="ETH/USDT")

    assert isinstance(answers["main"], OrderApproved)
    refused = answers["second"]
    assert isinstance(refused, OrderRefused)
    assert refused.reason == "POSITION_LIMIT_IS_REACHED"


async def test_a_signal_that_comes_again_answers_only_the_account_that_has_no_answer_yet() -> None:
    office = await Office().begun()
    for account in ("main", "second"):
        await office.marked(account)
    await office.judged(account="second")

    assert list(await office.judged()) == ["main"]
    assert await office.judged() == {}


async def test_the_daily_loss_halts_and_sells_only_the_account_whose_limit_it_reached() -> None:
    office = await Office().begun()
    for account in ("main", "second"):
        await office.records.save_position(held(a_position(account=account)), at=NOW)

    events = [*await office.marked("main", "9850"), *await office.marked("second", "9900")]

    assert office.states() == (TradingState.ACTIVE, TradingState.HALTED)  # 1.5 % of 3 %, and 1 % of 1 %
    assert [event.account for event in events if isinstance(event, OrderApproved)] == ["second"]
    persisting = [await office.conditions.persisting(name, office.records) for name in ("main", "second")]
    assert [StopTrigger.DAILY_LOSS_EXCEEDED in causes for causes in persisting] == [False, True]


async def test_a_drawdown_and_a_losing_trip_reduce_the_account_whose_limit_they_reach() -> None:
    office = await Office(second={"safety": SECOND["safety"]}).begun()
    for account in ("main", "second"):
        await office.marked(account)
        await office.marked(account, "9800")  # 2 %

    assert [office.records.states[name].causes for name in ("main", "second")] == [
        frozenset(),
        {ReducingCause.DRAWDOWN_LIMIT_IS_REACHED},
    ]
    for account in ("main", "second"):
        for number, quantity in enumerate(("0.004", "0"), start=1):
            changed = a_position(
                quantity, account=account, revision=number, realised_pnl=Decimal(1 - number), round_trips=number - 1
            )
            handled = office.setbacks.on_position_changed(enveloped(changed), office.records)
            await office.records.transact(handled)
    assert ReducingCause.LOSS_STREAK_LIMIT_IS_REACHED in office.records.states["second"].causes
    assert office.records.states["main"].causes == frozenset()


async def test_a_halt_of_one_account_leaves_the_other_active_with_its_permit() -> None:
    office = await Office().begun()
    for account in ("main", "second"):
        await office.marked(account)
    await office.permit_keeper.renew()
    assert office.permits.granted == {"main", "second"}

    await office.commanded("HALT", "second")
    await office.marked("main")
    office.last_look.saw(LatchView())
    await office.permit_keeper.renew()

    assert office.states() == (TradingState.ACTIVE, TradingState.HALTED)
    assert office.permits.granted == {"main"}
    answers = await office.judged()
    assert isinstance(answers["main"], OrderApproved)
    assert isinstance(answers["second"], OrderRefused)


@pytest.mark.parametrize(("age_s", "granted"), [(2, {"main", "second"}), (3, {"main"}), (6, set())])
async def test_each_account_has_its_permit_while_its_equity_is_young_enough_for_it(
    age_s: int, granted: set[str]
) -> None:
    office = await Office().begun()
    for account in ("main", "second"):
        office.losses.marked_at[account] = office.clock.now() - timedelta(seconds=age_s)

    await office.permit_keeper.renew()

    assert office.permits.granted == granted


async def test_stale_equity_reduces_each_account_after_its_own_time() -> None:
    office = await Office().begun()
    office.emergencies.begin()

    office.clock.advance(11)
    office.market.hear(a_status(), now_s=office.clock.monotonic_s())
    await office.emergencies.look()

    assert office.states() == (TradingState.ACTIVE, TradingState.REDUCING)


async def test_a_limit_of_one_account_is_loosened_while_only_the_other_may_open_positions() -> None:
    office = await Office().begun()
    changes = {"accounts.second.risk_management.position_size_pct": "1.5"}

    (refused,) = await office.commanded("CONFIGURE", "second", reason="a trial", changes=changes)
    await office.commanded("STOP", "second")
    told, _ = await office.commanded("CONFIGURE", "second", reason="a trial", changes=changes)

    assert isinstance(refused, CommandAcknowledged)
    assert "while second may open positions" in refused.reason
    assert isinstance(told, ConfigurationChanged)
    assert told.loosened == ("accounts.second.risk_management.position_size_pct",)
    assert office.live.of("second").risk_management.position_size_pct == Decimal("1.5")
    assert office.states() == (TradingState.ACTIVE, TradingState.REDUCING)


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("accounts.second.safety.order_notional_max", True),
        ("accounts.main.safety.order_notional_max", False),
        ("safety.order_notional_max", False),
        ("accounts", False),
    ],
)
async def test_a_key_for_one_account_may_change_what_is_that_accounts_own(*, key: str, allowed: bool) -> None:
    bob = OperatorKey.generate()
    office = await Office(operators=Operators({}).with_key(bob, issuer="bob", accounts=("second",))).begun()

    answers = await office.commanded(
        "CONFIGURE", "second", key=bob, issuer="bob", reason="tighter", changes={key: "10"}
    )

    (answer,) = [answer for answer in answers if isinstance(answer, CommandAcknowledged)]
    assert answer.accepted is allowed
    assert answer.reason.startswith("version 2: " if allowed else "NOT_EVERY_ACCOUNT_IS_IN_SCOPE")


async def test_an_account_that_joins_a_demonstration_later_begins_reducing() -> None:
    office, records = Office(), FakeRecords()
    an_active_account(records)
    governor = Governor(
        configuration=office.live,
        configuring=office.keeper,
        operators=lambda: OPERATORS,
        conditions=office.conditions,
        liquidate=office.judge.liquidate,
        start=StartPolicy(starts_active=True),
        clock=office.clock,
    )

    await records.transact(governor.begin(records))

    assert {name: state.state for name, state in governor.known.items()} == {
        "main": TradingState.ACTIVE,
        "second": TradingState.REDUCING,
    }
