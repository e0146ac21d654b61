"""What may be sent now: the trading state, the halts heard of, and the latch, whichever says less.

Invariant: a halt takes hold here the moment the first of its paths is heard, and only a trading state that no longer
names it lets go.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.events import TradingStateChanged
from libs.common.control.halts import HaltRecord, LatchView
from libs.trading.risk import Role, TradingState, may_send

LATCH_AGE_S_MAX: Final = 1.0
"""An older look at the latch says nothing about now."""


@dataclass(slots=True)
class _Heard:
    halt: HaltRecord
    in_state: bool = False


@dataclass(slots=True)
class Brake:
    """Holds what is known of each account's trading state; unknown means REDUCING."""

    clock: Clock
    _states: dict[str, TradingStateChanged] = field(default_factory=dict)
    _heard: dict[str, _Heard] = field(default_factory=dict)
    _latch: LatchView = field(default_factory=lambda: LatchView(file_readable=False))
    _latch_at_s: float = float("-inf")

    def on_state(self, change: TradingStateChanged) -> None:
        """Take the risk manager's word on an account."""
        known = self._states.get(change.account)
        if known is not None and known.revision > change.revision:
            return
        self._states[change.account] = change
        for halt_id, heard in list(self._heard.items()):
            if heard.halt.account not in (None, change.account):
                continue
            if halt_id in change.halts:
                heard.in_state = True
            elif heard.in_state:
                del self._heard[halt_id]

    def on_halt(self, halt: HaltRecord) -> bool:
        """Take a halt at once; False: it was known."""
        if halt.halt_id in self._heard:
            return False
        self._heard[halt.halt_id] = _Heard(halt)
        return True

    def on_latch(self, view: LatchView) -> tuple[HaltRecord, ...]:
        """Take a look at the latch and return the halts in it that are new."""
        self._latch = view
        self._latch_at_s = self.clock.monotonic_s()
        return tuple(record for record in view.records if record.halt_id not in self._heard)

    def state(self, account: str) -> TradingState:
        """Return the account's trading state, HALTED as soon as a halt of all of it is heard of."""
        if any(heard.halt.covers_account and heard.halt.stops(account) for heard in self._heard.values()):
            return TradingState.HALTED
        if any(record.covers_account and record.stops(account) for record in self._latch.records):
            return TradingState.HALTED
        known = self._states.get(account)
        return TradingState(known.state.value) if known is not None else TradingState.REDUCING

    def halt_epoch(self, account: str) -> int:
        """Return how many halts the account has seen."""
        known = self._states.get(account)
        return known.halt_epoch if known is not None else 0

    def objection(self, role: Role, account: str, *, symbol: str, strategy: str) -> str | None:
        """Return why an order of this role must not be sent now, or None."""
        state = self.state(account)
        if not may_send(role, state):
            return state.value
        if role is not Role.ENTRY:
            return None
        if self.clock.monotonic_s() - self._latch_at_s > LATCH_AGE_S_MAX or not self._latch.file_readable:
            return "HALT_LATCH_UNREADABLE"
        halts = [*(heard.halt for heard in self._heard.values()), *self._latch.records]
        if any(halt.stops(account, symbol=symbol, strategy=strategy) for halt in halts):
            return "HALTED_IN_PART"
        known = self._states.get(account)
        if known is not None and (symbol in known.symbols_halted or strategy in known.strategies_halted):
            return "HALTED_IN_PART"
        return None

    @property
    def states(self) -> Mapping[str, TradingStateChanged]:
        """Return what the risk manager last said of each account."""
        return self._states
