"""How the trading state of an account changes.

Invariant: every halt stays until a RESUME names it, and a RESUME never leads further than REDUCING.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from libs.common.contracts.events import TradingStateChanged
from libs.common.contracts.vocabulary import StopTrigger, TradingState
from libs.common.control.halts import HaltRecord
from services.risk_manager.domain.telling import told


class ReducingCause(StrEnum):
    """What keeps an account from entering although nobody stopped it; each lifts by itself, setbacks by a start."""

    API_CONNECTION_LOST = "API_CONNECTION_LOST"
    EQUITY_IS_STALE = "EQUITY_IS_STALE"
    LIVE_TRADING_IS_NOT_ARMED = "LIVE_TRADING_IS_NOT_ARMED"
    DRAWDOWN_LIMIT_IS_REACHED = "DRAWDOWN_LIMIT_IS_REACHED"
    LOSS_STREAK_LIMIT_IS_REACHED = "LOSS_STREAK_LIMIT_IS_REACHED"


SETBACKS: Final = frozenset({ReducingCause.DRAWDOWN_LIMIT_IS_REACHED, ReducingCause.LOSS_STREAK_LIMIT_IS_REACHED})
"""What a person must look into: nothing but their START lifts it."""


class TransitionRefusal(StrEnum):
    """Why a command cannot change the state."""

    ACCOUNT_IS_HALTED = "ACCOUNT_IS_HALTED"
    LIVE_TRADING_IS_NOT_ARMED = "LIVE_TRADING_IS_NOT_ARMED"
    NOTHING_IS_HALTED = "NOTHING_IS_HALTED"
    NO_HALT_IS_NAMED = "NO_HALT_IS_NAMED"
    HALT_IS_UNKNOWN = "HALT_IS_UNKNOWN"
    REASON_IS_MISSING = "REASON_IS_MISSING"
    CAUSE_PERSISTS = "CAUSE_PERSISTS"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """What an account may do, and why.

    Attributes:
        wants_active: Whether somebody started it and nobody stopped it since.
        causes: What reduces it for the moment.
        halts: What is latched, oldest first.
        halt_epoch: Number of halts so far; approvals given under an older one are void.
        revision: Rises by one with every change.
        since: When it last changed.
        trigger: The emergency behind the last change, if one was; reason and issuer likewise.
    """

    account: str
    since: datetime
    wants_active: bool = False
    causes: frozenset[ReducingCause] = frozenset()
    halts: tuple[HaltRecord, ...] = ()
    halt_epoch: int = 0
    revision: int = 1
    trigger: StopTrigger | None = None
    reason: str = ""
    issuer: str = ""

    @property
    def state(self) -> TradingState:
        """The account's state; see `state_of` for a symbol's."""
        if any(halt.covers_account for halt in self.halts):
            return TradingState.HALTED
        return TradingState.ACTIVE if self.wants_active and not self.causes else TradingState.REDUCING

    @property
    def needs_somebody(self) -> bool:
        """Whether a halt or a setback stands, which only a person's RESUME or START settles."""
        return bool(self.halts) or not SETBACKS.isdisjoint(self.causes)

    def state_of(self, *, symbol: str, strategy: str) -> TradingState:
        """Return the state that holds for orders of a symbol and strategy: halts of a part count."""
        if any(halt.stops(self.account, symbol=symbol, strategy=strategy) for halt in self.halts):
            return TradingState.HALTED
        return self.state

    def halted_by(self, halt: HaltRecord, *, now: datetime) -> "AccountState":
        """Return the state with one more halt; a known one changes nothing."""
        if any(known.halt_id == halt.halt_id for known in self.halts):
            return self
        return self._changed(
            now,
            halts=(*self.halts, halt),
            halt_epoch=self.halt_epoch + 1,
            wants_active=self.wants_active and not halt.covers_account,
            trigger=halt.trigger,
            reason=halt.reason,
            issuer=halt.issuer,
        )

    def resumed(
        self,
        clears: Collection[str],
        *,
        persisting: Mapping[StopTrigger, str],
        reason: str,
        issuer: str,
        now: datetime,
    ) -> "AccountState | tuple[TransitionRefusal, str]":
        """Return the state without the named halts, or why it must stay.

        Args:
            clears: The halts that the person has looked into.
            persisting: Emergencies whose cause is still there, with what was found.
            reason: Why it is safe to go on.
            issuer: Who says so.
            now: The moment of the change.
        """
        known = {halt.halt_id: halt for halt in self.halts}
        if not known:
            return TransitionRefusal.NOTHING_IS_HALTED, ""
        if not reason.strip():
            return TransitionRefusal.REASON_IS_MISSING, ""
        if not clears:
            return TransitionRefusal.NO_HALT_IS_NAMED, f"latched: {told(known)}"
        if unknown := sorted(set(clears) - known.keys()):
            return TransitionRefusal.HALT_IS_UNKNOWN, f"{told(unknown)}; latched: {told(known)}"
        for halt_id in clears:
            if (found := persisting.get(known[halt_id].trigger)) is not None:
                return TransitionRefusal.CAUSE_PERSISTS, f"{known[halt_id].trigger}: {found}"
        remaining = tuple(halt for halt in self.halts if halt.halt_id not in clears)
        return self._changed(now, halts=remaining, trigger=None, reason=reason, issuer=issuer)

    def started(self, *, reason: str, issuer: str, now: datetime) -> "AccountState | tuple[TransitionRefusal, str]":
        """Return the state in which entries are wanted, or why they cannot be."""
        if self.state is TradingState.HALTED:
            return TransitionRefusal.ACCOUNT_IS_HALTED, "resume it first"
        if ReducingCause.LIVE_TRADING_IS_NOT_ARMED in self.causes:
            return TransitionRefusal.LIVE_TRADING_IS_NOT_ARMED, f"TRADER_LIVE_ARMED must name {self.account}"
        if self.wants_active:
            return self
        causes = self.causes - SETBACKS
        return self._changed(now, wants_active=True, causes=causes, trigger=None, reason=reason, issuer=issuer)

    def stopped(self, *, reason: str, issuer: str, now: datetime) -> "AccountState":
        """Return the state in which no entry is wanted."""
        if not self.wants_active:
            return self
        return self._changed(now, wants_active=False, trigger=None, reason=reason, issuer=issuer)

    def with_cause(self, cause: ReducingCause, *, present: bool, reason: str, now: datetime) -> "AccountState":
        """Return the state with a cause set or lifted. While the account is halted, the halt stays its explanation.

        A setback also ends the wish to be active, so that only somebody's START brings it back.
        """
        causes = self.causes | {cause} if present else self.causes - {cause}
        if causes == self.causes:
            return self
        wants_active = self.wants_active and not (present and cause in SETBACKS)
        if self.state is TradingState.HALTED:
            return replace(self, revision=self.revision + 1, causes=causes, wants_active=wants_active)
        trigger = StopTrigger.API_CONNECTION_LOST if present and cause is ReducingCause.API_CONNECTION_LOST else None
        return self._changed(
            now, causes=causes, wants_active=wants_active, trigger=trigger, reason=reason, issuer="risk_manager"
        )

    def announced(self, *, previous: TradingState | None) -> TradingStateChanged:
        """Return the event that tells the others."""
        return TradingStateChanged(
            occurred_at=self.since,
            account=self.account,
            state=self.state,
            previous=previous,
            halt_epoch=self.halt_epoch,
            revision=self.revision,
            trigger=self.trigger,
            reason=self.reason,
            issuer=self.issuer,
            halts=tuple(halt.halt_id for halt in self.halts),
            symbols_halted=_distinct(halt.scope_symbol for halt in self.halts if halt.scope_strategy is None),
            strategies_halted=_distinct(halt.scope_strategy for halt in self.halts if halt.scope_symbol is None),
        )

    def _changed(self, now: datetime, **changes: object) -> "AccountState":
        return replace(self, revision=self.revision + 1, since=now, **changes)  # type: ignore[arg-type]  # by name


def _distinct(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value is not None))
