"""Setbacks and repetitions: what a strategy that is not what it was, or runs in a circle, is stopped for.

A setback (a drawdown, a row of losses) reduces its account until somebody starts it again, which counts both anew. A
strategy that is thrown out of its positions before it could decide anything, again and again, is halted until somebody
resumes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from libs.common.configuration import LiveConfiguration
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import AlertRaised, EquityMarked, PositionChanged
from libs.common.contracts.fields import TEXT_CHARACTERS_MAX
from libs.common.contracts.vocabulary import AlertType, Severity, StopTrigger, TradingState
from libs.common.control.commands import option_for
from libs.common.control.halts import HaltRecord
from libs.policy import limits_of
from libs.trading.money import plain
from libs.trading.risk import (
    Refused,
    RiskLimits,
    drawdown_is_within_limit,
    execution_is_not_repeated,
    loss_streak_is_within_limit,
)
from services.risk_manager.domain.trading_state import SETBACKS, ReducingCause
from services.risk_manager.domain.trips import CountedSetbacks, Trips
from services.risk_manager.service.announcements import COMPONENT
from services.risk_manager.service.governing import Governor
from services.risk_manager.service.ports import RiskRecords


class SetbackGuard:
    """Counts what the marks and the closed positions say, and stops what must not go on by itself."""

    def __init__(self, *, configuration: LiveConfiguration, governor: Governor) -> None:
        self._configuration = configuration
        self._governor = governor

    def _limits(self, account: str) -> RiskLimits:
        return limits_of(self._configuration.of(account), equity=None)

    async def on_equity_marked(self, envelope: Envelope[EquityMarked], records: RiskRecords) -> Sequence[Event]:
        """Count a confirmed mark; a fall from the peak that reaches its limit reduces the account."""
        mark = envelope.event
        if not mark.confirmed:
            return ()
        stored = await records.setbacks(mark.account)
        counted = await self._since_start(stored, records)
        setbacks = counted.setbacks.marked(mark.equity)
        counted = replace(counted, setbacks=setbacks)
        if (refused := drawdown_is_within_limit(setbacks, mark.equity, self._limits(mark.account))) is None:
            if counted != stored:  # most marks change nothing
                await records.save_setbacks(counted)
            return ()
        setback = _Setback(
            ReducingCause.DRAWDOWN_LIMIT_IS_REACHED,
            refused,
            parameters={"drawdown": plain(setbacks.peak - mark.equity), "peak": plain(setbacks.peak)},
            at=mark.occurred_at,
        )
        return await self._reduce(counted, setback, records)

    async def on_position_changed(self, envelope: Envelope[PositionChanged], records: RiskRecords) -> Sequence[Event]:
        """Count a round trip that closed: its result, and whether its strategy had its say in it."""
        position = envelope.event
        known = await records.trips(position.account, position.symbol)
        if known is None:
            await records.save_trips(Trips.begin(position))
            return ()
        if position.revision <= known.revision:
            return ()
        interval_s = self._configuration.current.engine.trading_interval
        trips, pnl = known.after(position, decision_interval_s=interval_s)
        limits = self._limits(position.account)
        repeated = execution_is_not_repeated(trips.repetitions, limits) if pnl is not None else None
        await records.save_trips(trips if repeated is None else replace(trips, repetitions=0))
        if pnl is None:
            return ()
        events = list(await self._closed(position, pnl, records))
        if repeated is not None:
            events += await self._halt_strategy(trips, repeated, envelope, records)
        return events

    async def _closed(self, position: PositionChanged, pnl: Decimal, records: RiskRecords) -> Sequence[Event]:
        counted = await self._since_start(await records.setbacks(position.account), records)
        setbacks = counted.setbacks.closed(pnl)
        counted = replace(counted, setbacks=setbacks)
        if (refused := loss_streak_is_within_limit(setbacks, self._limits(position.account))) is None:
            await records.save_setbacks(counted)
            return ()
        setback = _Setback(
            ReducingCause.LOSS_STREAK_LIMIT_IS_REACHED,
            refused,
            parameters={"losing_trips": f"{setbacks.losing_trips}"},
            at=position.occurred_at,
        )
        return await self._reduce(counted, setback, records)

    async def _since_start(self, stored: CountedSetbacks, records: RiskRecords) -> CountedSetbacks:
        """Return what is counted; nothing where somebody started the account after a setback."""
        if stored.reached and not SETBACKS & (await records.state(stored.account)).causes:
            return CountedSetbacks(account=stored.account)
        return stored

    async def _reduce(self, counted: CountedSetbacks, setback: "_Setback", records: RiskRecords) -> Sequence[Event]:
        await records.save_setbacks(replace(counted, reached=True))
        changed = await self._governor.set_cause(
            counted.account,
            setback.cause,
            present=True,
            reason=f"{setback}; {_what_to_do(counted.account)}",
            records=records,
        )
        return [*changed, setback.alert(counted.account)] if changed else ()

    async def _halt_strategy(
        self, trips: Trips, refused: Refused, envelope: Envelope[PositionChanged], records: RiskRecords
    ) -> Sequence[Event]:
        return await self._governor.halt(
            HaltRecord(
                halt_id=f"repeated-{trips.account}-{envelope.event_id}",
                account=trips.account,
                scope_strategy=trips.strategy,
                trigger=StopTrigger.SYSTEM_ERROR,
                reason=(
                    f"{trips.strategy} runs in a circle in {trips.symbol}: {refused.observed}, {refused.limit} are "
                    f"allowed; `trader resume{option_for(trips.account)} --strategy {trips.strategy} --reason TEXT` "
                    "lets it enter"
                ),
                issuer=COMPONENT,
                halted_at=envelope.event.occurred_at,
            ),
            records,
        )


@dataclass(frozen=True, slots=True)
class _Setback:
    """A limit that was reached, as people are told of it."""

    cause: ReducingCause
    refused: Refused
    parameters: Mapping[str, str]
    at: datetime

    def __str__(self) -> str:
        return f"{self.cause}: {self.refused.observed}, {self.refused.limit} is allowed"

    def alert(self, account: str) -> AlertRaised:
        return AlertRaised(
            occurred_at=self.at,
            alert_type=AlertType.EMERGENCY_STOP,
            severity=Severity.CRITICAL,
            component=COMPONENT,
            subject=f"{account}|{self.cause}",
            message=f"{account} opens no more positions: {self}; {_what_to_do(account)}"[:TEXT_CHARACTERS_MAX],
            parameters={"state": TradingState.REDUCING.value, **self.parameters},
            account=account,
        )


def _what_to_do(account: str) -> str:
    option = option_for(account)
    return f"look at `trader performance{option}`; `trader start{option}` goes on and counts anew"
