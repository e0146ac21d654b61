"""What orders in flight and positions claim of an account's limits.

Invariant: a claim is an absolute value taken from the last thing known of its order, and never less than what the
order may still cost; it ends only when the position that came of it is known, or when nothing came of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from libs.common.contracts.events import OrderUpdated
from libs.common.contracts.vocabulary import OrderStatus, Role, Side
from libs.trading.money import exact

_ZERO: Final = Decimal(0)
_FEES_TAKEN_RATE_MAX: Final = Decimal("0.01")
"""The exchange may take its fee out of what was bought: a position is known when it holds all but this of the fill."""

_UNKNOWN: Final = frozenset({OrderStatus.UNKNOWN, OrderStatus.QUARANTINED})
_WORKING: Final = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})


class Phase(StrEnum):
    """How far an approved order is."""

    RESERVED = "RESERVED"
    WORKING = "WORKING"
    UNKNOWN = "UNKNOWN"
    FILLED = "FILLED"
    RELEASED = "RELEASED"


_OVER: Final = frozenset({Phase.FILLED, Phase.RELEASED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one approved order claims.

    Attributes:
        notional: In the quote currency; 0 for orders that close a position.
        round_trips: Of the symbol when it was approved: tells the position that comes of it from earlier ones.
        bought_before: All that had been bought of the symbol before it and before those then open beside it; None:
            nobody knew, and round trips settle it.
        revision: Of the last order update that counted.
    """

    account: str
    intent_id: UUID
    signal_id: str
    strategy: str
    symbol: str
    side: Side
    role: Role
    phase: Phase
    notional: Decimal
    quantity: Decimal
    filled_quantity: Decimal = Decimal(0)
    filled_amount: Decimal = Decimal(0)
    revision: int = 0
    round_trips: int = 0
    bought_before: Decimal | None = None
    approved_at: datetime
    updated_at: datetime

    def after(self, update: OrderUpdated) -> "Claim":
        """Return the claim as the order's update leaves it; an older update changes nothing."""
        if update.revision <= self.revision:
            return self
        phase = self._phase_after(update)
        notional = self.notional
        if phase is Phase.FILLED and self.role is Role.ENTRY:
            notional = update.filled_amount
        elif phase is Phase.RELEASED:
            notional = Decimal(0)
        return replace(
            self,
            phase=phase,
            notional=notional,
            filled_quantity=update.filled_quantity,
            filled_amount=update.filled_amount,
            revision=update.revision,
            updated_at=update.occurred_at,
        )

    @property
    def may_have_bought(self) -> Decimal:
        """What it bought, all of it while that is open: so much of what a position bought may be its own."""
        if self.role is not Role.ENTRY:
            return Decimal(0)
        return self.filled_quantity if self.phase in _OVER else max(self.quantity, self.filled_quantity)

    def settled_by(self, position: "HeldPosition", *, others: Decimal = _ZERO) -> bool:
        """Tell whether the ledger's position contains all that this finished entry bought.

        Args:
            position: As the ledger told it last.
            others: What other entries of the symbol bought or may have bought since `bought_before`. It may count too
                much, and then an earlier claim is settled first; never too little.
        """
        if self.phase is not Phase.FILLED or position.symbol != self.symbol:
            return False
        if self.bought_before is not None and position.bought is not None:
            with exact():
                return position.bought >= self.bought_before + others + self.filled_quantity
        return position.round_trips > self.round_trips or position.quantity >= self.filled_quantity * (
            1 - _FEES_TAKEN_RATE_MAX
        )

    def released(self, *, at: datetime) -> "Claim":
        """Return the claim that claims nothing any more."""
        return replace(self, phase=Phase.RELEASED, notional=Decimal(0), updated_at=at)

    def _phase_after(self, update: OrderUpdated) -> Phase:
        if update.final:
            bought_something = self.role is Role.ENTRY and update.filled_quantity > 0
            return Phase.FILLED if bought_something else Phase.RELEASED
        if update.status in _UNKNOWN:
            return Phase.UNKNOWN
        if update.status in _WORKING:
            return Phase.WORKING
        return self.phase


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPosition:
    """A position as the ledger last told it.

    Attributes:
        bought: All that was ever bought, gross of commissions; None: a version told it that did not say.
    """

    account: str
    symbol: str
    revision: int
    quantity: Decimal
    cost: Decimal
    round_trips: int
    strategy: str = ""
    is_open: bool = False
    bought: Decimal | None = None


def bought_before(position: HeldPosition | None, claims: Iterable[Claim]) -> Decimal | None:
    """Return what was bought of a symbol before a new entry and before those that are still open beside it.

    Args:
        position: Of the symbol; None: nothing was ever bought.
        claims: The account's that are open, of the symbol.
    """
    if position is None:
        return _ZERO
    if position.bought is None:
        return None
    known = (claim.bought_before for claim in claims if claim.role is Role.ENTRY)
    return min((position.bought, *(bought for bought in known if bought is not None)))
