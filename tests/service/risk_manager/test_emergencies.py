from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.common.contracts.event import Event
from libs.common.contracts.events import AccountReconciled, AlertRaised, HeartbeatSent, MessageDeadLettered
from libs.common.contracts.vocabulary import AlertType, Severity, StopTrigger, TradingState
from services.risk_manager.domain.audit_progress import AuditProgress
from services.risk_manager.domain.crashes import CrashCounter
from services.risk_manager.domain.observed_market import ObservedMarket
from services.risk_manager.domain.resuming import OpenDifference
from services.risk_manager.service.emergencies import EmergencyWatch
from services.risk_manager.service.losses import LossGuard
from services.risk_manager.service.persisting import PersistingCauses
from services.risk_manager.service.ports import RiskRecords
from tests.service.risk_manager.builders import (
    NOW,
    FakeRecords,
    a_clock,
    a_configuration,
    a_mark,
    a_status,
    an_active_account,
    enveloped,
)
from tests.service.risk_manager.test_losses import Watch


class FakeReconciliation:
    """What differs, as told."""

    def __init__(self) -> None:
        self.found: list[OpenDifference] = []

    async def differences(self, account: str) -> Sequence[OpenDifference]:
        return [each for each in self.found if account == "main"]


class Station:
    """An emergency watch over fakes; the account is ACTIVE."""

    def __init__(self) -> None:
        watch = Watch()
        self.records: FakeRecords = watch.records
        self.governor = watch.governor
        self.clock = a_clock()
        configuration = a_configuration()
        self.market = ObservedMarket(started_at_s=self.clock.monotonic_s(), clock_skew_ms_max=lambda: 500)
        self.audit = AuditProgress(started_at_s=self.clock.monotonic_s())
        self.losses = LossGuard(configuration=configuration, governor=self.governor)
        self.events: list[Event] = []
        self.watch = EmergencyWatch(
            configuration=configuration,
            governor=self.governor,
            losses=self.losses,
            market=self.market,
            audit=self.audit,
            apply=self.apply,
            clock=self.clock,
        )
        self.books = FakeReconciliation()
        self.conditions = PersistingCauses(
            configuration=configuration, market=self.market, audit=self.audit, books=self.books, clock=self.clock
        )
        self.governor.known["main"] = an_active_account(self.records)

    async def apply(self, work: Callable[[RiskRecords], Awaitable[Sequence[Event]]]) -> None:
        async def run() -> Sequence[Event]:
            return await work(self.records)

        self.events += await self.records.transact(run())

    async def wait(
        self, seconds: float, *, reachable: bool | None = True, is_marked: bool = True, is_reconciled: bool = True
    ) -> None:
        """Let time pass with a status, a mark and a reconciliation at its end."""
        self.clock.advance(seconds)
        if reachable is not None:
            self.market.hear(a_status(reachable=reachable), now_s=self.clock.monotonic_s())
        if is_marked:
            self.losses.marked_at["main"] = self.clock.now()
        if reachable and is_reconciled:
            await self.reconciled(self.clock.now())
        await self.watch.look()

    async def reconciled(self, began_at: datetime) -> None:
        event = AccountReconciled(occurred_at=self.clock.now(), account="main", began_at=began_at)
        await self.watch.on_reconciled(enveloped(event))

    def state(self) -> TradingState:
        return self.governor.known["main"].state

    def alerts(self) -> list[tuple[AlertType, Severity]]:
        return [(event.alert_type, event.severity) for event in self.events if isinstance(event, AlertRaised)]


@pytest.mark.parametrize("reachable", [False, None])
async def test_an_exchange_out_of_reach_reduces_at_exactly_thirty_seconds_and_lifts_by_itself(
    reachable: bool | None,  # noqa: FBT001 - a parameter of the test
) -> None:
    station = Station()

    await station.wait(29.9, reachable=reachable)
    assert station.state() is TradingState.ACTIVE
    await station.wait(0.1, reachable=reachable)
    assert station.state() is TradingState.REDUCING
    await station.wait(1, reachable=reachable)
    await station.wait(1)

    assert station.state() is TradingState.ACTIVE
    assert station.alerts() == [
        (AlertType.API_CONNECTION_LOST, Severity.CRITICAL),
        (AlertType.API_CONNECTION_LOST, Severity.INFO),
    ]


async def test_a_lost_exchange_that_is_back_lifts_only_after_a_reconciliation_that_began_since() -> None:
    station = Station()
    await station.wait(30, reachable=False)
    await station.reconciled(station.clock.now())  # it was under way when the connection was lost
    await station.wait(1, is_reconciled=False)
    await station.wait(20, is_reconciled=False)
    assert station.state() is TradingState.REDUCING

    await station.wait(1)

    assert station.state() is TradingState.ACTIVE


async def test_a_connection_that_is_lost_again_needs_another_reconciliation() -> None:
    station = Station()
    await station.wait(30, reachable=False)
    await station.wait(1, is_reconciled=False)
    await station.wait(30, reachable=False)
    await station.reconciled(station.clock.now() - timedelta(seconds=29))
    await station.wait(1, is_reconciled=False)

    assert station.state() is TradingState.REDUCING


async def test_an_exchange_out_of_reach_for_ten_minutes_halts_once_and_for_good() -> None:
    station = Station()

    for _ in range(3):
        await station.wait(300, reachable=False)
    await station.wait(1)

    assert station.state() is TradingState.HALTED
    (halt,) = station.governor.known["main"].halts
    assert halt.trigger is StopTrigger.API_CONNECTION_LOST


async def test_a_halt_stays_its_own_explanation_while_causes_beneath_it_come_and_go() -> None:
    station = Station()
    for _ in range(2):
        await station.wait(300, reachable=False, is_marked=False)
    halted = station.governor.known["main"]

    await station.wait(1)

    found = station.governor.known["main"]
    assert (found.reason, found.trigger, found.issuer, found.since) == (
        "the exchange has been out of reach for 600 s",
        StopTrigger.API_CONNECTION_LOST,
        halted.issuer,
        halted.since,
    )
    assert not found.causes
    assert found.revision > halted.revision


async def test_stale_equity_reduces_after_thirty_seconds_and_lifts_with_the_next_mark() -> None:
    station = Station()

    await station.wait(30, is_marked=False)
    assert station.state() is TradingState.ACTIVE
    await station.wait(0.1, is_marked=False)
    assert station.state() is TradingState.REDUCING
    await station.wait(1)

    assert station.state() is TradingState.ACTIVE


async def test_silence_before_this_process_took_over_does_not_count() -> None:
    station = Station()
    station.clock.advance(60)
    station.watch.begin()

    await station.wait(1, is_marked=False)

    assert station.state() is TradingState.ACTIVE


@pytest.mark.parametrize(("topic", "state"), [("fills", TradingState.HALTED), ("signals", TradingState.ACTIVE)])
async def test_poison_on_a_topic_about_money_halts(topic: str, state: TradingState) -> None:
    station = Station()
    letter = MessageDeadLettered(
        occurred_at=NOW, component="trade_executor", topic=topic, partition=0, offset=5, value_bytes=1, reason="bad"
    )

    for _ in range(2):
        await station.apply(lambda records: station.watch.on_dead_letter(enveloped(letter), records))

    assert station.state() is state
    assert len(station.governor.known["main"].halts) == (state is TradingState.HALTED)


async def test_poison_halts_once_a_topic_while_that_halt_stands() -> None:
    station = Station()
    letters = [
        MessageDeadLettered(
            occurred_at=NOW, component="order", topic=topic, partition=0, offset=offset, value_bytes=1, reason="bad"
        )
        for offset in (5, 6)
        for topic in ("fills", "orders.approved")
    ]

    for letter in letters:
        await station.apply(lambda records, letter=letter: station.watch.on_dead_letter(enveloped(letter), records))  # type: ignore[misc]  # the letter is bound

    assert [halt.halt_id for halt in station.governor.known["main"].halts] == [
        "poison-fills-0-5",
        "poison-orders.approved-0-5",
    ]


@pytest.mark.parametrize(
    ("changes", "halts"),
    [
        ({"parameters": {"halt": "account"}}, [None]),
        ({"parameters": {"halt": "symbol"}, "symbol": "BTC/USDT"}, ["BTC/USDT"]),
        ({"parameters": {"halt": "account"}, "account": "elsewhere"}, []),
        ({"parameters": {}}, []),
        ({"parameters": {"halt": "account"}, "alert_type": AlertType.TRADE_EXECUTED}, []),
    ],
)
async def test_another_service_can_call_for_a_halt(changes: dict[str, Any], halts: list[str | None]) -> None:
    station = Station()
    fields = {
        "occurred_at": NOW,
        "alert_type": AlertType.SYSTEM_ERROR,
        "severity": Severity.CRITICAL,
        "component": "trade_executor",
        "subject": "difference",
        "message": "the ledger differs",
        "account": "main",
    }
    alert = AlertRaised.model_validate({**fields, **changes})

    await station.apply(lambda records: station.watch.on_alert(enveloped(alert), records))

    assert [halt.scope_symbol for halt in station.governor.known["main"].halts] == halts


async def test_a_process_that_crashes_more_than_three_times_in_ten_minutes_halts() -> None:
    station = Station()
    for life in range(5):
        for _ in range(7):
            await station.watch.on_heartbeat(enveloped(a_beat(life)))
            await station.wait(1)

    assert station.state() is TradingState.HALTED
    (halt,) = station.governor.known["main"].halts
    assert halt.trigger is StopTrigger.SYSTEM_ERROR
    assert halt.reason == "notifier restarted 4 times in 600 s"


async def test_the_causes_that_persist_are_named() -> None:
    station = Station()
    await station.records.save_mark(a_mark("9700"))
    station.clock.advance(30)

    causes = await station.conditions.persisting("main", station.records)

    assert causes == {
        StopTrigger.DAILY_LOSS_EXCEEDED: "a loss of 300 of 300",
        StopTrigger.API_CONNECTION_LOST: "no exchange for 30 s",
    }


def a_beat(life: int, *, component: str = "notifier") -> HeartbeatSent:
    return HeartbeatSent(
        occurred_at=NOW,
        component=component,
        instance=f"host:{life}",
        sequence=1,
        ready=True,
        handled=0,
        loop_lag_ms=0,
        started_at=NOW + timedelta(seconds=life),
    )


def test_three_restarts_are_no_crash_loop_and_old_ones_are_forgotten() -> None:
    counter = CrashCounter(crashes_max=3, window_s=600)
    for life in range(4):
        counter.hear(a_beat(life), now_s=10 * life)
    assert counter.crash_loops(now_s=31) == {}  # the first three lives ended

    counter.hear(a_beat(4), now_s=595)
    counter.hear(a_beat(4), now_s=601)

    assert counter.crash_loops(now_s=601) == {}  # four restarts, but the first is 601 s old


def test_replicas_and_processes_that_are_taken_away_are_no_restarts() -> None:
    counter = CrashCounter(crashes_max=0, window_s=600)
    for replica in range(4):
        counter.hear(a_beat(replica), now_s=0)
    for second in range(1, 4):
        for replica in range(4):
            counter.hear(a_beat(replica), now_s=second)

    assert counter.crash_loops(now_s=3) == {}
    assert counter.crash_loops(now_s=700) == {}  # the whole stack was stopped


def test_market_data_ages_while_nothing_is_heard_until_nothing_is_known() -> None:
    market = ObservedMarket(started_at_s=0, clock_skew_ms_max=lambda: 500)
    market.hear(a_status(data_age_ms=100), now_s=1)

    assert market.facts("BTC/USDT", now_s=3).data_age_ms == 2_100
    assert market.facts("BTC/USDT", now_s=11).reachable
    assert not market.facts("BTC/USDT", now_s=11.1).reachable
    assert market.facts("ETH/USDT", now_s=1).volatility_rate is None


@pytest.mark.parametrize(("skew_ms", "calm"), [(500, True), (-500, True), (501, False), (-501, False)])
def test_a_market_with_a_clock_that_differs_too_much_is_not_calm(skew_ms: int, *, calm: bool) -> None:
    market = ObservedMarket(started_at_s=0, clock_skew_ms_max=lambda: 500)
    market.hear(a_status(clock_skew_ms=skew_ms, volatility_rate=Decimal(0)), now_s=0)

    assert market.facts("BTC/USDT", now_s=0).calm is calm


def an_audit_beat(handled: int, *, instance: str = "host:1") -> HeartbeatSent:
    return a_beat(0, component="audit_recorder").model_copy(update={"handled": handled, "instance": instance})


async def beating(station: Station, seconds: int, *, handled: int | None, others: bool = True) -> None:
    """Let time pass in which the recorder's count rises, stands still (`handled`), or is not heard of (None)."""
    for _ in range(seconds):
        if others:
            await station.watch.on_heartbeat(enveloped(a_beat(0)))
        if handled is not None:
            await station.watch.on_heartbeat(enveloped(an_audit_beat(handled)))
        await station.wait(1)


@pytest.mark.parametrize("handled", [5, None])
async def test_an_audit_log_that_stands_still_while_others_beat_halts_once(handled: int | None) -> None:
    station = Station()
    await station.watch.on_heartbeat(enveloped(an_audit_beat(5)))

    await beating(station, 60, handled=handled)
    assert station.state() is TradingState.ACTIVE
    await beating(station, 20, handled=handled)

    assert station.state() is TradingState.HALTED
    (halt,) = station.governor.known["main"].halts
    assert (halt.trigger, halt.reason) == (StopTrigger.SYSTEM_ERROR, "the audit log has stood still for 61 s")
    causes = await station.conditions.persisting("main", station.records)
    assert causes[StopTrigger.SYSTEM_ERROR].startswith("the audit log has stood still for ")


async def test_an_audit_log_that_goes_on_is_no_emergency_and_can_be_resumed_from() -> None:
    station = Station()
    for count in range(90):
        await beating(station, 1, handled=count)

    assert station.state() is TradingState.ACTIVE
    assert await station.conditions.persisting("main", station.records) == {}


async def test_a_silent_broker_says_nothing_about_the_audit_log() -> None:
    station = Station()
    await beating(station, 5, handled=5)

    await beating(station, 300, handled=None, others=False)
    await beating(station, 30, handled=None)

    assert station.state() is TradingState.ACTIVE


async def test_a_restarted_recorder_counts_from_nothing_and_is_heard() -> None:
    station = Station()
    await beating(station, 5, handled=5_000)

    for count in range(90):
        await station.watch.on_heartbeat(enveloped(an_audit_beat(count, instance="host:2")))
        await beating(station, 1, handled=None)

    assert station.state() is TradingState.ACTIVE


@pytest.mark.parametrize("is_standby_first", [True, False])
async def test_an_audit_log_that_stands_still_beside_a_hot_standby_halts(
    is_standby_first: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    station = Station()
    beats = [an_audit_beat(0, instance="host:2"), an_audit_beat(5_000)]
    for _ in range(80):
        for beat in beats if is_standby_first else reversed(beats):
            await station.watch.on_heartbeat(enveloped(beat))
        await station.wait(1)

    assert station.state() is TradingState.HALTED


async def test_an_audit_log_that_goes_on_beside_many_former_recorders_is_no_emergency() -> None:
    station = Station()
    for count in range(90):
        await station.watch.on_heartbeat(enveloped(an_audit_beat(7, instance=f"former:{count}")))
        await beating(station, 1, handled=count)

    assert station.state() is TradingState.ACTIVE


async def test_the_differences_are_those_of_the_account() -> None:
    station = Station()
    difference = OpenDifference(difference_id="1", symbol=None, subject="s", expected="1", found="2")
    station.books.found = [difference]

    assert await station.conditions.differences("main") == [difference]
    assert await station.conditions.differences("second") == []
