# ruff: noqa: ARG001 - fakes have the signatures of what they stand for
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.common.contracts.event import Event
from libs.common.contracts.events import AlertRaised, TradingStateChanged
from libs.common.contracts.vocabulary import AlertType, StopTrigger, TradingState
from libs.common.control.halts import HaltRecord
from services.risk_manager.domain.trading_state import AccountState
from services.risk_manager.service.governing import Governor
from services.risk_manager.service.losses import LossGuard
from services.risk_manager.service.policy import StartPolicy
from services.risk_manager.service.ports import RiskRecords
from tests.service.risk_manager.builders import (
    NOW,
    OPERATORS,
    FakeConditions,
    FakeRecords,
    a_clock,
    a_configuration,
    a_keeper,
    a_mark,
    an_active_account,
    enveloped,
)
from tests.support.shown import shown


async def no_sale(halt: HaltRecord, state: AccountState, records: RiskRecords) -> list[Event]:
    return []


class Watch:
    """A loss guard over fakes, with the specification's limit of 3 %."""

    def __init__(self) -> None:
        self.records = FakeRecords()
        configuration = a_configuration()
        self.governor = Governor(
            configuration=configuration,
            configuring=a_keeper(configuration),
            operators=lambda: OPERATORS,
            conditions=FakeConditions(),
            liquidate=no_sale,
            start=StartPolicy(),
            clock=a_clock(),
        )
        self.guard = LossGuard(configuration=configuration, governor=self.governor)
        an_active_account(self.records)
        self._marks = 0

    async def marked(self, equity: str, **changes: Any) -> list[Event]:
        self._marks += 1
        mark = a_mark(equity, **{"occurred_at": NOW + timedelta(seconds=self._marks), **changes})
        return await self.records.transact(self.guard.on_equity_marked(enveloped(mark), self.records))

    def state(self) -> TradingState:
        return self.records.states["main"].state


async def test_trading_stops_at_exactly_the_daily_loss_limit() -> None:
    watch = Watch()

    await watch.marked("9700.01")
    assert watch.state() is TradingState.ACTIVE
    events = await watch.marked("9700")  # 10 000 less 3 %

    assert watch.state() is TradingState.HALTED
    (changed,) = [event for event in events if isinstance(event, TradingStateChanged)]
    assert changed.trigger is StopTrigger.DAILY_LOSS_EXCEEDED
    assert "2026-01-05T12:00:02" in changed.reason
    alerts = [event for event in events if isinstance(event, AlertRaised)]
    assert [alert.alert_type for alert in alerts] == [AlertType.EMERGENCY_STOP]


async def test_the_loss_is_warned_of_at_eighty_percent_once_a_day() -> None:
    watch = Watch()

    assert await watch.marked("9760.01") == []
    (warning,) = await watch.marked("9760")  # 10 000 less 80 % of 300
    assert isinstance(warning, AlertRaised)
    assert warning.alert_type is AlertType.DAILY_LOSS_WARNING
    assert warning.parameters["used_pct"] == "80"
    assert await watch.marked("9750") == []
    (again,) = await watch.marked("9750", day=date(2026, 1, 6))
    assert isinstance(again, AlertRaised)


async def test_an_unconfirmed_mark_stops_nothing() -> None:
    watch = Watch()

    assert await watch.marked("5000", confirmed=False) == []
    assert watch.state() is TradingState.ACTIVE


async def test_midnight_grants_no_second_allowance() -> None:
    watch = Watch()

    await watch.marked("9700", day=date(2026, 1, 6), day_start_equity=Decimal(9_750), peak_24h=Decimal(10_000))

    assert watch.state() is TradingState.HALTED  # 300 below the peak; the limit is 9 750 x 3 % = 292.50


async def test_the_same_emergency_halts_once() -> None:
    watch = Watch()
    await watch.marked("9700")

    assert await watch.marked("9600") == []
    assert len(watch.records.states["main"].halts) == 1


async def test_a_mark_older_than_the_last_is_ignored() -> None:
    watch = Watch()
    await watch.marked("10000", occurred_at=NOW + timedelta(minutes=1))

    assert await watch.marked("5000", occurred_at=NOW) == []
    assert watch.records.marks["main"].equity == 10_000


@pytest.mark.parametrize("equity", ["0", "-1"])
async def test_an_equity_of_nothing_is_a_loss_of_everything(equity: str) -> None:
    watch = Watch()

    await watch.marked(equity)

    assert watch.state() is TradingState.HALTED


async def test_a_mark_shows_the_loss_against_its_limit_and_what_may_be_held() -> None:
    await Watch().marked("9880")

    assert shown("trader_daily_loss_ratio", account="main") == 0.4  # 120 of 3 % of 10 000
    assert shown("trader_daily_loss_limit_quote", account="main") == 300
    assert shown("trader_exposure_limit_quote", account="main") == 9_880  # 100 % of the equity


async def test_a_mark_that_nobody_confirmed_is_not_shown() -> None:
    watch = Watch()
    await watch.marked("9880")

    await watch.marked("5000", confirmed=False)

    assert shown("trader_daily_loss_ratio", account="main") == 0.4
    assert shown("trader_exposure_limit_quote", account="main") == 9_880
