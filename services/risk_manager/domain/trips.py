"""Round trips as the ledger tells them, and what an account has lost since its last start.

Invariant: a round trip counts once, and only one whose opening was heard: what was there before has no result here.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from libs.common.contracts.events import PositionChanged
from libs.trading.risk import Setbacks, repetitions_after

_NOTHING = Setbacks()


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedSetbacks:
    """What is counted of an account; `reached`: a limit was, and the next start counts anew."""

    account: str
    setbacks: Setbacks = _NOTHING
    reached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trips:
    """The round trips of an account in a symbol.

    Attributes:
        revision: Of the last position that was heard of.
        pnl_at_close: Realised PnL when it was last flat: what a round trip's own counts from.
        opened_at: When the open position opened; None while there is none.
        repetitions: Round trips of `strategy` in a row in which it decided nothing.
    """

    account: str
    symbol: str
    revision: int
    strategy: str
    round_trips: int
    pnl_at_close: Decimal
    opened_at: datetime | None
    repetitions: int = 0

    @classmethod
    def begin(cls, position: PositionChanged) -> "Trips":
        """Return what the first position that is heard of says."""
        return cls(
            account=position.account,
            symbol=position.symbol,
            revision=position.revision,
            strategy=position.strategy,
            round_trips=position.round_trips,
            pnl_at_close=position.realised_pnl if position.round_trips else Decimal(0),
            opened_at=position.opened_at,
        )

    def after(self, position: PositionChanged, *, decision_interval_s: int) -> tuple["Trips", Decimal | None]:
        """Return the trips with a newer position, and the result of the round trip that it closed, if it did."""
        moved = replace(self, revision=position.revision, strategy=position.strategy, opened_at=position.opened_at)
        if position.strategy != self.strategy:
            moved = replace(moved, repetitions=0)
        if position.round_trips <= self.round_trips:
            return moved, None
        repetitions = moved.repetitions
        if self.opened_at is not None:
            repetitions = repetitions_after(
                repetitions,
                opened_at=self.opened_at,
                closed_at=position.occurred_at,
                decision_interval_s=decision_interval_s,
            )
        closed = replace(
            moved, round_trips=position.round_trips, pnl_at_close=position.realised_pnl, repetitions=repetitions
        )
        return closed, position.realised_pnl - self.pnl_at_close
