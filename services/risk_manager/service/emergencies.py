"""What stops trading without a person: a lost exchange, stale equity, a process that crashes again and again, poison.

Conditions that lift by themselves only reduce; what a person has to look into halts.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from libs.common.clock import Clock, epoch_ms
from libs.common.configuration import LiveConfiguration, SafetySection
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import AccountReconciled, AlertRaised, HeartbeatSent, MessageDeadLettered
from libs.common.contracts.fields import TEXT_CHARACTERS_MAX
from libs.common.contracts.topics import TOPICS
from libs.common.contracts.vocabulary import AlertType, Severity, StopTrigger
from services.risk_manager.domain.audit_progress import AuditProgress
from services.risk_manager.domain.crashes import CrashCounter
from services.risk_manager.domain.observed_market import ObservedMarket
from services.risk_manager.domain.trading_state import ReducingCause
from services.risk_manager.service.announcements import COMPONENT
from services.risk_manager.service.governing import Governor
from services.risk_manager.service.losses import LossGuard
from services.risk_manager.service.ports import RiskRecords

Apply = Callable[[Callable[[RiskRecords], Awaitable[Sequence[Event]]]], Awaitable[None]]
"""Runs work in a transaction of the owner: `Owner.apply`."""

_STALLED: Final = "audit-stalled"
_HALTING_TOPICS: Final = frozenset(topic.name for topic in TOPICS if topic.halts_account)


class EmergencyWatch:
    """Looks every second at what must not last, and answers poison messages and calls for a halt.

    Args:
        configuration: Thresholds and accounts.
        governor: Changes the trading state.
        losses: Knows when each account's equity was marked last.
        market: Knows for how long the exchange has been out of reach.
        audit: Knows for how long nothing has been recorded.
        apply: Runs work in a transaction of the owner.
        clock: Tells how long something has lasted.
    """

    def __init__(
        self,
        *,
        configuration: LiveConfiguration,
        governor: Governor,
        losses: LossGuard,
        market: ObservedMarket,
        audit: AuditProgress,
        apply: Apply,
        clock: Clock,
    ) -> None:
        self._accounts = configuration.current.exchange.accounts
        self._configuration = configuration
        self._governor = governor
        self._losses = losses
        self._market = market
        self._audit = audit
        self._apply = apply
        self._clock = clock
        self._started_at = clock.now()
        self._back_at: dict[str, datetime] = {}
        self._reconciled_at: dict[str, datetime] = {}
        self._crashes = CrashCounter(crashes_max=self._safety.crashes_max, window_s=self._safety.crashes_window_s)

    @property
    def _safety(self) -> SafetySection:
        return self._configuration.current.safety

    def begin(self) -> None:
        """Count every silence from now: before, this process was not the one to listen."""
        self._started_at = self._clock.now()
        self._audit.begin(now_s=self._clock.monotonic_s())

    async def on_heartbeat(self, envelope: Envelope[HeartbeatSent]) -> None:
        """Take note of a process's heartbeat."""
        now_s = self._clock.monotonic_s()
        self._crashes.hear(envelope.event, now_s=now_s)
        self._audit.hear(envelope.event, now_s=now_s)

    async def on_reconciled(self, envelope: Envelope[AccountReconciled]) -> None:
        """Take note that the books were compared with the exchange."""
        self._reconciled_at[envelope.event.account] = envelope.event.began_at

    async def on_dead_letter(self, envelope: Envelope[MessageDeadLettered], records: RiskRecords) -> Sequence[Event]:
        """Halt every account when a message about money or control could not be used; once while that halt stands."""
        letter = envelope.event
        if letter.topic not in _HALTING_TOPICS:
            return ()
        kind = f"poison-{letter.topic}-"
        events: list[Event] = []
        for account in self._accounts:
            standing = [halt.halt_id for halt in (await records.state(account)).halts if halt.halt_id.startswith(kind)]
            events += await self._governor.trip(
                StopTrigger.SYSTEM_ERROR,
                account=account,
                halt_id=standing[0] if standing else f"{kind}{letter.partition}-{letter.offset}",
                reason=f"{letter.component} cannot use {letter.topic}/{letter.partition}@{letter.offset}: "
                f"{letter.reason}"[:TEXT_CHARACTERS_MAX],
                at=letter.occurred_at,
                records=records,
            )
        return events

    async def on_alert(self, envelope: Envelope[AlertRaised], records: RiskRecords) -> Sequence[Event]:
        """Halt what another service asks to halt: a SYSTEM_ERROR whose parameter `halt` is `account` or `symbol`."""
        alert = envelope.event
        scope = alert.parameters.get("halt")
        if alert.alert_type is not AlertType.SYSTEM_ERROR or scope not in ("account", "symbol"):
            return ()
        events: list[Event] = []
        for account in self._accounts if alert.account is None else (alert.account,):
            if account in self._accounts:
                events += await self._governor.trip(
                    StopTrigger.SYSTEM_ERROR,
                    account=account,
                    halt_id=f"alert-{envelope.event_id}",
                    reason=f"{alert.component}: {alert.message}"[:TEXT_CHARACTERS_MAX],
                    at=alert.occurred_at,
                    records=records,
                    symbol=alert.symbol if scope == "symbol" else None,
                )
        return events

    async def look(self) -> None:
        """Compare every duration with its threshold."""
        now_s = self._clock.monotonic_s()
        unreachable_s = self._market.unreachable_for_s(now_s=now_s)
        self._crashes.crashes_max, self._crashes.window_s = self._safety.crashes_max, self._safety.crashes_window_s
        loops = self._crashes.crash_loops(now_s=now_s)
        stalled_s = self._audit.stalled_for_s(now_s=now_s)
        for account in self._accounts:
            await self._look_at_connection(account, unreachable_s)
            await self._look_at_equity(account)
            for component, crashes in loops.items():
                await self._halt_for_crashes(account, component, crashes)
            if stalled_s > 0 and not self._is_halted_by(account, _STALLED):
                await self._halt_for_audit(account, stalled_s)
        for component in loops:
            self._crashes.forget(component)

    async def _look_at_connection(self, account: str, unreachable_s: float) -> None:
        is_lost = self._is_out_of_view(account, unreachable_s) or unreachable_s >= self._safety.api_lost_reducing_s
        if is_lost is not self._has_cause(account, ReducingCause.API_CONNECTION_LOST):
            await self._apply(lambda records: self._connection_changed(account, records, is_lost=is_lost))
        if unreachable_s >= self._safety.api_lost_halted_s and not self._is_halted_for(
            account, StopTrigger.API_CONNECTION_LOST
        ):
            now = self._clock.now()
            lost_at = now - timedelta(seconds=unreachable_s)
            await self._apply(
                lambda records: self._governor.trip(
                    StopTrigger.API_CONNECTION_LOST,
                    account=account,
                    halt_id=f"api-connection-lost-{account}-{epoch_ms(lost_at)}",
                    reason=f"the exchange has been out of reach for {unreachable_s:.0f} s",
                    at=now,
                    records=records,
                )
            )

    def _is_out_of_view(self, account: str, unreachable_s: float) -> bool:
        """Tell whether a connection that was lost is back without our books having been compared since."""
        if not self._has_cause(account, ReducingCause.API_CONNECTION_LOST):
            self._back_at.pop(account, None)
            return False
        if unreachable_s >= self._safety.api_lost_reducing_s:
            self._back_at.pop(account, None)
            return True
        back_at = self._back_at.setdefault(account, self._clock.now())
        return self._reconciled_at.get(account, self._started_at) < back_at

    async def _connection_changed(self, account: str, records: RiskRecords, *, is_lost: bool) -> Sequence[Event]:
        reason = "the exchange is out of reach" if is_lost else "the exchange answers again"
        changed = await self._governor.set_cause(
            account, ReducingCause.API_CONNECTION_LOST, present=is_lost, reason=reason, records=records
        )
        if not changed:
            return ()
        now = self._clock.now()
        alert = AlertRaised(
            occurred_at=now,
            alert_type=AlertType.API_CONNECTION_LOST,
            severity=Severity.CRITICAL if is_lost else Severity.INFO,
            component=COMPONENT,
            subject=account,
            message=f"{account}: {reason}",
            parameters={"state": "lost" if is_lost else "recovered", "reason": reason},
            account=account,
        )
        return [*changed, alert]

    async def _look_at_equity(self, account: str) -> None:
        marked_at = self._losses.marked_at.get(account, self._started_at)
        age_s = (self._clock.now() - max(marked_at, self._started_at)).total_seconds()
        is_stale = age_s > self._configuration.of(account).safety.equity_age_s_reducing
        if is_stale is not self._has_cause(account, ReducingCause.EQUITY_IS_STALE):
            reason = f"equity is {age_s:.0f} s old" if is_stale else "equity is fresh again"
            await self._apply(
                lambda records: self._governor.set_cause(
                    account, ReducingCause.EQUITY_IS_STALE, present=is_stale, reason=reason, records=records
                )
            )

    async def _halt_for_crashes(self, account: str, component: str, crashes: int) -> None:
        reason = f"{component} restarted {crashes} times in {self._safety.crashes_window_s} s"
        await self._halt(account, f"crashes-{component}", reason)

    async def _halt_for_audit(self, account: str, stalled_s: float) -> None:
        await self._halt(account, _STALLED, f"the audit log has stood still for {stalled_s:.0f} s")

    async def _halt(self, account: str, kind: str, reason: str) -> None:
        now = self._clock.now()
        await self._apply(
            lambda records: self._governor.trip(
                StopTrigger.SYSTEM_ERROR,
                account=account,
                halt_id=f"{kind}-{epoch_ms(now)}",
                reason=reason,
                at=now,
                records=records,
            )
        )

    def _has_cause(self, account: str, cause: ReducingCause) -> bool:
        state = self._governor.known.get(account)
        return state is not None and cause in state.causes

    def _is_halted_by(self, account: str, kind: str) -> bool:
        state = self._governor.known.get(account)
        return state is not None and any(halt.halt_id.startswith(f"{kind}-") for halt in state.halts)

    def _is_halted_for(self, account: str, trigger: StopTrigger) -> bool:
        state = self._governor.known.get(account)
        return state is not None and any(halt.trigger is trigger for halt in state.halts)
