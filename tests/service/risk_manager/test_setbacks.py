import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.common.contracts.event import Event
from libs.common.contracts.events import AlertRaised
from libs.common.contracts.vocabulary import AlertType, Severity, TradingState
from libs.common.control.halts import HaltRecord
from libs.trading.risk import Setbacks
from services.notifier.domain.texts import compose
from services.risk_manager.domain.trading_state import AccountState, ReducingCause
from services.risk_manager.service.governing import Governor
from services.risk_manager.service.policy import StartPolicy
from services.risk_manager.service.setbacks import SetbackGuard
from tests.service.risk_manager.builders import (
    NOW,
    OPERATORS,
    FakeConditions,
    FakeRecords,
    a_clock,
    a_command,
    a_configuration,
    a_keeper,
    a_mark,
    a_position,
    an_active_account,
    enveloped,
)


async def no_sale(*_: Any) -> list[Event]:
    return []


class Watch:
    """A setback guard over fakes: a drawdown of 10 %, 3 losing round trips, 2 repetitions of candles of a minute."""

    def __init__(self) -> None:
        self.records = FakeRecords()
        configuration = a_configuration(
            engine={"trading_interval": 60},
            safety={"drawdown_pct_max": 10, "loss_streak_max": 3, "repeated_trips_max": 2},
        )
        self.governor = Governor(
            configuration=configuration,
            configuring=a_keeper(configuration),
            operators=lambda: OPERATORS,
            conditions=FakeConditions(),
            liquidate=no_sale,
            start=StartPolicy(),
            clock=a_clock(),
        )
        self.guard = SetbackGuard(configuration=configuration, governor=self.governor)
        an_active_account(self.records)
        self._commands = 0
        self._revision = 0
        self._trips = 0
        self._pnl = Decimal(0)

    async def marked(self, equity: str, **changes: Any) -> list[Event]:
        return await self.records.transact(
            self.guard.on_equity_marked(enveloped(a_mark(equity, **changes)), self.records)
        )

    async def traded(self, pnl: str, *, held_s: int = 600, **changes: Any) -> list[Event]:
        """Open and close a position with a result."""
        await self.changed("0.004", opened_at=NOW, occurred_at=NOW, **changes)
        self._trips += 1
        self._pnl += Decimal(pnl)
        return await self.changed("0", occurred_at=NOW + timedelta(seconds=held_s), **changes)

    async def changed(self, quantity: str, **changes: Any) -> list[Event]:
        self._revision += 1
        told = {"revision": self._revision, "round_trips": self._trips, "realised_pnl": self._pnl, **changes}
        position = a_position(quantity, **told)
        return await self.records.transact(self.guard.on_position_changed(enveloped(position), self.records))

    async def start(self) -> list[Event]:
        return await self.commanded("START")

    async def commanded(self, name: str, **changes: Any) -> list[Event]:
        self._commands += 1
        command = a_command(name, now=NOW + timedelta(milliseconds=self._commands), **changes)
        return await self.records.transact(self.governor.on_command(enveloped(command), self.records))

    @property
    def account(self) -> AccountState:
        return self.records.states["main"]

    def state(self) -> TradingState:
        return self.account.state


def alerts(events: list[Event]) -> list[AlertRaised]:
    return [event for event in events if isinstance(event, AlertRaised)]


async def test_a_drawdown_reduces_at_exactly_its_limit_and_tells_what_to_do() -> None:
    watch = Watch()
    await watch.marked("11000")

    assert await watch.marked("9900.01") == []
    events = await watch.marked("9900")  # 11 000 less 10 %

    assert watch.state() is TradingState.REDUCING
    assert ReducingCause.DRAWDOWN_LIMIT_IS_REACHED in watch.account.causes
    (alert,) = alerts(events)
    assert alert.alert_type is AlertType.EMERGENCY_STOP
    assert "trader start" in alert.message
    assert compose(alert, "en", event_id=uuid.UUID(int=1)).body.startswith(
        "No more positions are opened: the equity fell 1100 below its peak of"
    )
    assert compose(alert, "ko", event_id=uuid.UUID(int=1)).body.startswith(
        "새 포지션을 열지 않습니다: 평가 자산이 최고점 11000에서 1100"
    )
    assert await watch.marked("9800") == []  # told once


async def test_an_unconfirmed_mark_is_no_drawdown_and_no_peak() -> None:
    watch = Watch()
    await watch.marked("10000")

    assert await watch.marked("1", confirmed=False) == []
    await watch.marked("99999", confirmed=False)
    await watch.marked("9999")

    assert watch.state() is TradingState.ACTIVE


async def test_only_a_start_lifts_a_setback_and_counts_anew() -> None:
    watch = Watch()
    await watch.marked("10000")
    await watch.marked("9000")
    await watch.marked("10000")  # the recovery alone starts nothing
    assert watch.state() is TradingState.REDUCING

    await watch.start()
    await watch.marked("9000")

    assert watch.state() is TradingState.ACTIVE  # the peak is 9 000 now
    assert watch.account.causes == frozenset()
    await watch.marked("8100")
    assert watch.state() is TradingState.REDUCING


async def test_a_start_after_a_setback_ends_its_emergency_and_any_other_start_ends_none() -> None:
    watch = Watch()
    await watch.marked("10000")
    await watch.marked("9000")

    (over,) = alerts(await watch.start())
    await watch.commanded("STOP")

    assert (over.alert_type, over.severity, over.account) == (AlertType.EMERGENCY_STOP, Severity.INFO, "main")
    assert alerts(await watch.start()) == []


async def test_an_emergency_is_over_only_when_neither_a_halt_nor_a_setback_is_left() -> None:
    watch = Watch()
    await watch.marked("10000")
    await watch.commanded("HALT", command_id=uuid.UUID(int=1))
    await watch.commanded("HALT", command_id=uuid.UUID(int=2), symbol="BTC/USDT")
    await watch.marked("9000")

    assert alerts(await watch.commanded("RESUME", clears=(str(uuid.UUID(int=1)),))) == []  # BTC/USDT stays halted
    assert alerts(await watch.commanded("RESUME", clears=(str(uuid.UUID(int=2)),))) == []  # the drawdown stands
    (over,) = alerts(await watch.start())
    assert over.severity is Severity.INFO


async def test_losing_round_trips_in_a_row_reduce_at_exactly_their_limit() -> None:
    watch = Watch()
    for pnl in ("-1", "-1", "0.5", "-1", "-1"):
        assert await watch.traded(pnl) == []

    events = await watch.traded("-0.01")

    assert watch.state() is TradingState.REDUCING
    assert ReducingCause.LOSS_STREAK_LIMIT_IS_REACHED in watch.account.causes
    (alert,) = alerts(events)
    assert "3 round trips in a row lost" in compose(alert, "en", event_id=uuid.UUID(int=1)).body
    assert "3회 연속 손실" in compose(alert, "ko", event_id=uuid.UUID(int=1)).body
    await watch.start()
    assert await watch.traded("-1") == []
    assert watch.state() is TradingState.ACTIVE


async def test_a_position_told_again_counts_once() -> None:
    watch = Watch()
    await watch.traded("-1")

    for _ in range(5):
        watch._revision -= 1
        assert await watch.changed("0") == []

    assert watch.records.counted["main"].setbacks.losing_trips == 1


async def test_round_trips_from_before_have_no_result() -> None:
    watch = Watch()
    watch._trips, watch._pnl = 7, Decimal(-500)
    await watch.changed("0.004", opened_at=NOW)

    watch._trips, watch._pnl = 8, Decimal(-499)
    await watch.changed("0")

    assert watch.records.counted["main"].setbacks == Setbacks()  # a gain of 1, whatever was lost before
    assert watch.records.tripped["main", "BTC/USDT"].pnl_at_close == -499


async def test_a_strategy_that_runs_in_a_circle_is_halted_until_somebody_resumes_it() -> None:
    watch = Watch()
    await watch.traded("1", held_s=59)
    await watch.traded("1", held_s=60)  # it could decide: the row ends
    assert await watch.traded("1", held_s=59) == []

    events = await watch.traded("1", held_s=0)

    (halt,) = watch.account.halts
    assert (halt.scope_strategy, halt.scope_symbol) == ("ema_cross", None)
    assert "trader resume --strategy ema_cross" in halt.reason
    assert watch.state() is TradingState.ACTIVE
    assert watch.account.state_of(symbol="ETH/USDT", strategy="ema_cross") is TradingState.HALTED
    assert watch.account.state_of(symbol="BTC/USDT", strategy="rsi") is TradingState.ACTIVE
    assert len(alerts(events)) == 1
    assert await watch.traded("1", held_s=0) == []  # counted anew


async def test_another_strategy_starts_its_own_row() -> None:
    watch = Watch()
    await watch.traded("1", held_s=0)

    assert await watch.traded("1", held_s=0, strategy="rsi") == []
    assert watch.records.tripped["main", "BTC/USDT"].repetitions == 1


@pytest.mark.parametrize("present", [True, False])
def test_a_setback_of_a_halted_account_outlives_its_halt(present: bool) -> None:  # noqa: FBT001 - a case
    halt = HaltRecord(halt_id="h", account="main", halted_at=NOW)
    halted = AccountState(account="main", since=NOW, wants_active=True).halted_by(halt, now=NOW)

    after = halted.with_cause(ReducingCause.DRAWDOWN_LIMIT_IS_REACHED, present=present, reason="fell", now=NOW)
    resumed = after.resumed(["h"], persisting={}, reason="looked", issuer="alice", now=NOW)

    assert isinstance(resumed, AccountState)
    assert resumed.state is TradingState.REDUCING
    assert (ReducingCause.DRAWDOWN_LIMIT_IS_REACHED in resumed.causes) is present
