"""When a price may be believed: the latest bids and the looks taken at them.

A mark is the bid of a fresh quote whose book is not crossed. It is confirmed when a look at least a second earlier, at
an older quote, agrees: it lies within the jump limit, or it had left the last confirmed price in the same direction.
So a single wrong tick never confirms anything, and a crash is confirmed by its second look however fast it falls.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

QUOTE_AGE_MAX: Final = timedelta(seconds=5)
SECOND_LOOK_AFTER: Final = timedelta(seconds=1)
FIRST_LOOK_AGE_MAX: Final = timedelta(seconds=10)
_LOOKS_MAX: Final = 16
"""Looks are taken about once a second; more often is tolerated."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A believable bid; `confirmed` when a second look agreed."""

    bid: Decimal
    confirmed: bool


@dataclass(frozen=True, slots=True)
class _Look:
    bid: Decimal
    quoted_at: datetime
    looked_at: datetime


class QuoteBoard:
    """The latest believable quote of each symbol, and what the last looks at it showed.

    Attributes:
        jump_rate_max: A second look that differs by more confirms nothing.
    """

    def __init__(self, *, jump_rate_max: Decimal) -> None:
        self.jump_rate_max = jump_rate_max
        self._latest: dict[str, tuple[Decimal, datetime]] = {}
        self._looks: dict[str, deque[_Look]] = {}
        self._confirmed: dict[str, Decimal] = {}

    def observe(self, symbol: str, *, bid: Decimal, ask: Decimal, at: datetime) -> None:
        """Take note of a quote; a crossed book and a quote of the past are ignored."""
        latest = self._latest.get(symbol)
        if bid < ask and (latest is None or at >= latest[1]):
            self._latest[symbol] = (bid, at)

    def look(self, now: datetime) -> Mapping[str, Mark]:
        """Return the mark of every symbol that has a fresh quote."""
        marks = {}
        for symbol, (bid, quoted_at) in self._latest.items():
            if now - quoted_at > QUOTE_AGE_MAX:
                continue
            looks = self._looks.setdefault(symbol, deque(maxlen=_LOOKS_MAX))
            confirmed = self._is_confirmed(symbol, bid, quoted_at, now)
            looks.append(_Look(bid, quoted_at, now))
            if confirmed:
                self._confirmed[symbol] = bid
            marks[symbol] = Mark(bid, confirmed)
        return marks

    def _is_confirmed(self, symbol: str, bid: Decimal, quoted_at: datetime, now: datetime) -> bool:
        first = next(
            (look for look in reversed(self._looks[symbol]) if now - look.looked_at >= SECOND_LOOK_AFTER), None
        )
        if first is None or now - first.looked_at > FIRST_LOOK_AGE_MAX or first.quoted_at >= quoted_at:
            return False
        if abs(bid - first.bid) <= self.jump_rate_max * first.bid:
            return True
        confirmed = self._confirmed.get(symbol)
        return confirmed is not None and (bid <= first.bid < confirmed or bid >= first.bid > confirmed)
