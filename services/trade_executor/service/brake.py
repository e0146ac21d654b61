"""What may be sent now: the trading state, the halts heard of, and the latch, whichever says less.

Invariant: a halt takes hold here the moment the first of its paths is heard, and only a trading state that no longer
names it lets go.
"""

from dataclasses import dataclass, field
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.events import TradingStateChanged
from libs.common.control.halts import HaltRecord, LatchView
from libs.trading.risk import Role, TradingState, may_send

LATCH_AGE_S_MAX: Final = 1.0
"""An older look at the latch says nothing about now."""


@dataclass(slots=True)
class Brake:
    """Holds what is known of each account's trading state; unknown means REDUCING."""

    clock: Clock
    _states: dict[str, TradingStateChanged] = field(default_factory=dict)
    _heard: dict[str, HaltRecord] = field(default_factory=dict)
    _stated: set[str] = field(default_factory=set)
    _latch: LatchView = field(default_factory=lambda: LatchView(file_readable=False))
    _latch_at_s: float = float("-inf")

    def on_state(self, change: TradingStateChanged) -> None:
        """Take the risk manager's word on an account."""
        known = self._states.get(change.account)
        if known is not None and known.revision > change.revision:
            return
        self._states[change.account] = change
        self._stated.update(change.halts)
        for halt_id, halt in list(self._heard.items()):
            if halt_id in self._stated - set(change.halts) and halt.account in (None, change.account):
                del self._heard[halt_id]

    def on_halt(self, halt: HaltRecord) -> None:
        """Take a halt at once, unless the trading state knows it already, as in force or as settled."""
        if halt.halt_id not in self._stated:
            self._heard[halt.halt_id] = halt

    def on_latch(self, view: LatchView) -> None:
        """Take a look at the latch; it holds for as long as it is there."""
        self._latch = view
        self._latch_at_s = self.clock.monotonic_s()

    def state(self, account: str) -> TradingState:
        """Return the account's trading state, HALTED as soon as a halt of all of it is heard of."""
        if any(halt.covers_account and halt.stops(account) for halt in self._halts):
            return TradingState.HALTED
        known = self._states.get(account)
        return TradingState(known.state.value) if known is not None else TradingState.REDUCING

    def objection(self, role: Role, account: str, *, symbol: str, strategy: str) -> str | None:
        """Return why an order of this role must not be sent now, or None."""
        state = self.state(account)
        if not may_send(role, state):
            return state.value
        if role is not Role.ENTRY:
            return None
        if self.clock.monotonic_s() - self._latch_at_s > LATCH_AGE_S_MAX or not self._latch.file_readable:
            return "HALT_LATCH_UNREADABLE"
        if any(halt.stops(account, symbol=symbol, strategy=strategy) for halt in self._halts):
            return "HALTED_IN_PART"
        known = self._states.get(account)
        if known is not None and (symbol in known.symbols_halted or strategy in known.strategies_halted):
            return "HALTED_IN_PART"
        return None

    def is_settled(self, halt_id: str) -> bool:
        """Tell whether the risk manager had a halt and has it no more: hearing of it again means nothing."""
        return halt_id in self._stated and not self._is_stated(halt_id)

    def is_over(self, halt_id: str) -> bool:
        """Tell whether a halt is known to hold no more; a latch that cannot be read says nothing."""
        is_readable = self._latch.file_readable and self._latch.redis_readable
        return self.is_settled(halt_id) or (is_readable and not self._is_in_force(halt_id))

    def _is_in_force(self, halt_id: str) -> bool:
        return any(halt.halt_id == halt_id for halt in self._halts) or self._is_stated(halt_id)

    def _is_stated(self, halt_id: str) -> bool:
        return any(halt_id in state.halts for state in self._states.values())

    @property
    def _halts(self) -> tuple[HaltRecord, ...]:
        return (*self._heard.values(), *self._latch.records)
