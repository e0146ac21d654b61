"""What may be sent when.

Invariant: one table decides, for the risk manager and again at the executor's last hop.
"""

from collections.abc import Iterable
from enum import StrEnum


class TradingState(StrEnum):
    """How far trading is allowed; each state allows less than the one before."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class Role(StrEnum):
    """What an order, or a cancel of one, is for."""

    ENTRY = "ENTRY"
    PROTECTION = "PROTECTION"
    EXIT = "EXIT"
    LIQUIDATION = "LIQUIDATION"
    CANCEL = "CANCEL"


_ALWAYS = frozenset(TradingState)

# A liquidation carries its own authority (the signed command or the emergency), so no state forbids it.
_SENDABLE: dict[Role, frozenset[TradingState]] = {
    Role.ENTRY: frozenset({TradingState.ACTIVE}),
    Role.PROTECTION: _ALWAYS,
    Role.EXIT: frozenset({TradingState.ACTIVE, TradingState.REDUCING}),
    Role.LIQUIDATION: _ALWAYS,
    Role.CANCEL: _ALWAYS,
}


def may_send(role: Role, state: TradingState) -> bool:
    """Whether an order of this role may go to the exchange in this state."""
    return state in _SENDABLE[role]


def strictest(states: Iterable[TradingState]) -> TradingState:
    """Return the state that allows least, ACTIVE of none: of account, symbol and strategy the strictest holds."""
    order = tuple(TradingState)
    return max(states, key=order.index, default=TradingState.ACTIVE)
