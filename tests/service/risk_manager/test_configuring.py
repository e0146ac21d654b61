"""Versions of the configuration: seeded once, changed by command, limits that hold from the next decision on."""

from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from libs.common.configuration import LiveConfiguration, SourcedConfiguration
from libs.common.configuration.changes import told_configuration
from libs.common.configuration.loading import source
from libs.common.contracts.event import Event
from libs.common.contracts.events import CommandAcknowledged, ConfigurationChanged, OrderApproved
from libs.common.control.halts import HaltRecord
from libs.common.control.operators import OperatorKey, Operators
from libs.common.errors import ConfigurationError, RetryableError
from libs.policy import configured_strategy
from services.risk_manager.domain.trading_state import ReducingCause
from services.risk_manager.service.configuring import ConfigurationKeeper
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
    a_mark,
    a_signal,
    an_active_account,
    enveloped,
)

FILE = {"risk_management": {"stop_loss_pct": "1.5"}}


def a_source(content: dict[str, Any] | None = None) -> SourcedConfiguration:
    """Return what files say."""
    given = FILE if content is None else content
    return source(given, {"risk_management.stop_loss_pct": "file mine.json"}, where="mine.json")


class Office:
    """A governor, a keeper and a judge over one set of records; `started` is one start of the process."""

    def __init__(self, *, operators: Operators = OPERATORS, accounts: tuple[str, ...] = ("main",)) -> None:
        self.records, self.clock, self.operators, self.accounts = FakeRecords(), a_clock(), operators, accounts
        for account in accounts:
            an_active_account(self.records, account=account)

    async def started(self, content: dict[str, Any] | None = None) -> list[Event]:
        files = a_source({**(FILE if content is None else content), "exchange": {"accounts": self.accounts}})
        self.live = LiveConfiguration(files.configuration)
        keeper = ConfigurationKeeper(started_with=files, live=self.live, clock=self.clock)
        self.judge = SignalJudge(
            configuration=self.live,
            epoch=lambda: 7,
            book=FakeBook(),
            market=FakeMarket(),
            instruments=FakeInstruments(),
            clock=self.clock,
        )
        self.governor = Governor(
            configuration=self.live,
            configuring=keeper,
            operators=lambda: self.operators,
            conditions=FakeConditions(),
            liquidate=self.judge.liquidate,
            start=StartPolicy(),
            clock=self.clock,
        )
        return await self.records.transact(keeper.begin(self.records))

    async def set(self, *, reason: str = "a trial", key: dict[str, Any] | None = None, **changes: str) -> list[Event]:
        self.clock.advance(1)
        by_key = {name.replace("__", "."): value for name, value in changes.items()}
        command = a_command("CONFIGURE", now=self.clock.now(), reason=reason, changes=by_key, **(key or {}))
        return await self.records.transact(self.governor.on_command(enveloped(command), self.records))

    def stop(self) -> None:
        for account in self.accounts:
            an_active_account(self.records, account=account, wants_active=False)

    async def refused(self, **changes: Any) -> str:
        before = self.live.version
        (answer,) = await self.set(**changes)
        assert isinstance(answer, CommandAcknowledged)
        assert not answer.accepted
        assert self.live.version == before == len(self.records.versions)
        return answer.reason

    async def approved(self, signal_id: str, symbol: str = "BTC/USDT") -> OrderApproved:
        await self.records.save_mark(a_mark(occurred_at=self.clock.now()))
        signal = a_signal(signal_id, symbol=symbol, occurred_at=self.clock.now())
        (answer,) = await self.records.transact(self.judge.on_signal(enveloped(signal), self.records))
        assert isinstance(answer, OrderApproved), answer
        return answer


async def test_the_first_start_stores_its_files_as_version_1():
    office = Office()

    (told,) = await office.started()

    assert isinstance(told, ConfigurationChanged)
    assert (told.version, told.hash) == (1, office.live.hash)
    assert told.origins["risk_management.stop_loss_pct"] == "file mine.json"
    assert told.origins["risk_management.position_size_pct"] == "preset CONSERVATIVE"
    assert told.origins["safety.spread_rate_max"] == "default"


async def test_a_start_with_the_same_files_takes_up_the_stored_version_in_silence():
    office = Office()
    await office.started()
    await office.set(risk_management__stop_loss_pct="1.2")

    assert await office.started() == []

    assert office.live.version == 2
    assert office.live.current.risk_management.stop_loss_pct == Decimal("1.2")


async def test_a_start_with_other_files_takes_from_them_only_what_a_start_can_change():
    office = Office()
    await office.started()

    (told,) = await office.started({"engine": {"trading_interval": 60}, "risk_management": {"stop_loss_pct": 9}})

    assert isinstance(told, ConfigurationChanged)
    assert (told.version, told.changes) == (2, ("engine.trading_interval: 300 -> 60",))
    assert office.live.current.engine.trading_interval == 60
    assert office.live.current.risk_management.stop_loss_pct == Decimal("1.5")


async def test_a_change_holds_from_the_next_decision_on_and_is_told_with_its_author():
    office = Office()
    await office.started()
    before = await office.approved("signal-1")

    told, answer = await office.set(risk_management__position_size_pct="1", reason="half the size")
    after = await office.approved("signal-2", "ETH/USDT")

    assert isinstance(told, ConfigurationChanged)
    assert isinstance(answer, CommandAcknowledged)
    assert answer.accepted
    assert answer.reason == "version 2: risk_management.position_size_pct: 2.0 -> 1"
    assert (told.version, told.issuer, told.reason, told.loosened) == (2, "alice", "half the size", ())
    assert told.origins["risk_management.position_size_pct"] == "version 2 by alice"
    assert (before.configuration_version, after.configuration_version) == (1, 2)
    assert before.quantity == Decimal("0.00399")  # 10 000 USDT x 2 % at the collar, in steps of 0.00001
    assert after.quantity == Decimal("0.00199")  # 1 %


async def test_a_change_whose_commit_was_never_answered_is_in_force_when_it_comes_again():
    office = Office()
    await office.started()
    command = enveloped(a_command("CONFIGURE", changes={"risk_management.position_size_pct": "1"}))
    with pytest.raises(RetryableError):
        await office.records.transact_unanswered(office.governor.on_command(command, office.records))

    assert await office.records.transact(office.governor.on_command(command, office.records)) == []

    assert office.live.version == 2
    assert office.live.current.risk_management.position_size_pct == 1


@pytest.mark.parametrize(
    "change",
    [
        {"risk_management__daily_loss_limit_pct": "3.000001"},
        {"safety__drawdown_pct_max": "11"},
        {"safety__messages_kept_rate": "0.4"},
        {"strategy__sizing__method": "risk_per_trade"},
    ],
)
async def test_a_limit_is_not_loosened_while_any_account_may_open_positions(change: dict[str, str]):
    office = Office(accounts=("main", "second"))
    await office.started()
    an_active_account(office.records, account="main", wants_active=False)

    why = await office.refused(**change)

    assert why.startswith("LOOSENING_NEEDS_REDUCING: ")
    assert "while second may open positions; `trader stop --account second` first" in why


async def test_a_limit_is_not_loosened_while_an_account_is_reduced_only_for_the_moment():
    office = Office()
    await office.started()
    an_active_account(office.records, causes=frozenset({ReducingCause.EQUITY_IS_STALE}))

    why = await office.refused(risk_management__daily_loss_limit_pct="5")

    assert why.startswith("LOOSENING_NEEDS_REDUCING: ")


async def test_a_halted_account_lets_limits_be_loosened():
    office = Office()
    await office.started()
    halt = HaltRecord(halt_id="h", account="main", halted_at=NOW)
    office.records.states["main"] = office.records.states["main"].halted_by(halt, now=NOW)

    told, _ = await office.set(risk_management__daily_loss_limit_pct="5")

    assert isinstance(told, ConfigurationChanged)


async def test_a_looser_limit_is_allowed_while_nothing_is_entered_and_told():
    office = Office()
    await office.started()
    office.stop()

    told, answer = await office.set(
        risk_management__daily_loss_limit_pct="5", strategy__quality_min="10", safety__calm_after_s="60"
    )

    assert isinstance(told, ConfigurationChanged)
    assert isinstance(answer, CommandAcknowledged)
    assert told.loosened == ("risk_management.daily_loss_limit_pct", "strategy.quality_min")
    assert answer.reason.startswith(
        "version 2: allows more than before: risk_management.daily_loss_limit_pct, strategy.quality_min; "
    )


async def test_a_looser_limit_is_logged_once_and_not_at_every_start():
    office = Office()
    await office.started()
    office.stop()

    with capture_logs() as logs:
        await office.set(risk_management__daily_loss_limit_pct="5")
        await office.started()

    assert [entry["loosened"] for entry in logs if entry["event"] == "Limits allow more than before"] == [
        ["risk_management.daily_loss_limit_pct"]
    ]


async def test_a_mode_takes_its_preset_along_but_no_figure_that_was_given():
    office = Office()
    await office.started()
    office.stop()

    await office.set(engine__trading_mode="AGGRESSIVE")

    risk = office.live.current.risk_management
    assert (risk.position_size_pct, risk.stop_loss_pct) == (Decimal("8.0"), Decimal("1.5"))


@pytest.mark.parametrize(
    ("typed", "number"), [("1e1", "10"), ("1E+1", "10"), ("2.5e0", "2.5"), ('"1e1"', "10"), ("1e-7", "0.0000001")]
)
async def test_a_number_typed_with_an_exponent_is_stored_so_that_everybody_can_read_it(typed: str, number: str):
    office = Office()
    await office.started()

    told, _ = await office.set(strategy__parameters__take_profit_pct=typed)

    assert isinstance(told, ConfigurationChanged)
    read = told_configuration(told.configuration, told.origins, version=told.version).configuration
    assert read.strategy.parameters == {"take_profit_pct": Decimal(number)}
    assert read.hash == told.hash
    assert f'"take_profit_pct":"{number}"' in told.configuration
    assert configured_strategy(read, "BTC/USDT").parameters.take_profit_pct == float(number)
    assert await office.started() == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"risk_management__stop_loss_pct": "0"}, "stop_loss_pct: expected greater than 0, found 0"),
        ({"risk_management__stop_loss_pct": "NaN"}, "stop_loss_pct: expected a finite number"),
        ({"risk_management__stop_los_pct": "1"}, "did you mean 'stop_loss_pct'?"),
        ({"risk_management": "{}"}, "risk_management: expected one of its keys"),
        ({"symbols": '["BTC/USDT"]'}, "symbols: expected a key that can change while everything runs"),
        ({"market__speed": "2"}, "market.speed: expected a key that can change while everything runs"),
        ({"exchange__accounts": '["other"]'}, "start again with it"),
        ({"strategy__parameters__ema_fast": "0"}, "ema_fast"),
        ({"strategy__parameters__take_profit_pct": "1e-25"}, "take_profit_pct: expected a number of at most 20 digits"),
        ({"strategy__name": "consensus"}, "told apart by it"),
        ({"display__timezone": '"\\ud800"'}, "display.timezone: expected a valid string"),
        ({"display__timezone": '"\\u0000"'}, "display.timezone: expected the name of a time zone"),
        ({"strategy__parameters__ema_fast": '"\\ud800"'}, "ema_fast"),
        ({"strategy__parameters": '{"\\ud800": 1}'}, "expected"),
        ({"safety": '{"a":' * 900 + "1" + "}" * 900}, "safety: expected"),
        ({"strategy__parameters__ema_fast": '{"a":' * 900 + "1" + "}" * 900}, "ema_fast"),
        ({"display__timezone": "[" * 900 + "]" * 900}, "display.timezone: expected"),
        ({"risk_management__stop_loss_pct": "1.50"}, "NOTHING_IS_CHANGED"),
        ({"risk_management__stop_loss_pct": "2", "reason": " "}, "REASON_IS_MISSING"),
    ],
)
async def test_what_cannot_be_set_changes_nothing_and_says_why(changes: dict[str, Any], why: str):
    office = Office()
    await office.started()

    refusal = await office.refused(**changes)

    assert why in refusal
    assert "\0" not in refusal
    assert refusal.encode().decode() == refusal  # it can be sent and stored


async def test_several_mistakes_are_told_at_once():
    office = Office()
    await office.started()

    why = await office.refused(risk_management__stop_loss_pct="0", engine__max_concurrent_positions="many")

    assert len(why.splitlines()) == 2


async def test_a_key_for_one_account_cannot_change_what_is_every_accounts():
    limited = OperatorKey.generate()
    operators = Operators({}).with_key(limited, issuer="bob", accounts=("main",))
    office = Office(operators=operators, accounts=("main", "second"))
    await office.started()

    why = await office.refused(key={"key": limited, "issuer": "bob"}, risk_management__stop_loss_pct="2")

    assert why == "NOT_EVERY_ACCOUNT_IS_IN_SCOPE"


async def test_another_strategy_brings_the_parameters_of_its_file():
    office = Office()
    await office.started()
    await office.set(strategy__parameters__ema_fast="5", strategy__quality_min="60")

    await office.started({"strategy": {"name": "rsi_reversion", "parameters": {"rsi_period": 10}}})

    strategy = office.live.current.strategy
    assert (strategy.name, strategy.parameters, strategy.quality_min) == ("rsi_reversion", {"rsi_period": 10}, 60)


async def test_a_start_whose_files_do_not_go_with_the_stored_version_says_so():
    office = Office()
    await office.started()

    with pytest.raises(ConfigurationError, match="did you mean 'rsi_period'"):
        await office.started({"strategy": {"name": "rsi_reversion", "parameters": {"rsi_perio": 10}}})
