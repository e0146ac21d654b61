"""Where the stop of a position belongs that trails, and the highs that it follows.

Invariant: it only rises, by the core's own rule (`libs.trading.trailing`); every move is a revision of the position.
"""

from bisect import bisect_left, bisect_right
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from libs.trading.trailing import TrailingStop
from services.position_manager.domain.ledger import Holding

HIGHS_MAX: Final = 4_096
"""Of a symbol. A market would have to fall for as many candles without a rise to exceed it: then the oldest leave."""
REACH_MAX: Final = timedelta(days=1)
REACH_MARGIN: Final = timedelta(minutes=5)
"""For what was under way when the last mark was made, and for clocks that differ."""


class High(NamedTuple):
    """How high a price has been in a decision candle."""

    closed_at: datetime
    price: Decimal


class Highs:
    """The highs of a symbol's candles that no later one reaches: falling from the oldest to the newest."""

    def __init__(self) -> None:
        self._kept: list[High] = []

    def note(self, high: High) -> None:
        """Take note of a candle; they may come in any order, and more than once."""
        kept = self._kept
        begin = bisect_left(kept, high.closed_at, key=_closed_at)
        if begin < len(kept) and kept[begin].price >= high.price:
            return
        end = bisect_right(kept, high.closed_at, key=_closed_at)
        while begin > 0 and kept[begin - 1].price <= high.price:
            begin -= 1
        kept[begin:end] = [high]
        del kept[:-HIGHS_MAX]

    def since(self, moment: datetime) -> High | None:
        """Return the highest of the candles that closed after `moment`."""
        place = bisect_right(self._kept, moment, key=_closed_at)
        return self._kept[place] if place < len(self._kept) else None


def trailed(before: Holding, highest: Decimal, tick: Decimal) -> Holding:
    """Return a position after the price has been at `highest`; `before` itself where its stop need not move."""
    if not before.is_open or before.trailing_stop is None or before.trailing_distance is None:
        return before
    stood = TrailingStop.following(before.trailing_stop, before.trailing_distance, tick)
    stands = stood.after(highest)
    if stands is stood:
        return before
    return replace(before, trailing_stop=stands.stop, revision=before.revision + 1)


def reach(now: datetime, *, trails_since: datetime | None, marked_at: datetime | None) -> timedelta:
    """Return how far back candles may matter that no position has followed yet.

    Args:
        now: The start of the process.
        trails_since: When the oldest position was opened that trails; of that, a day at most.
        marked_at: When equity was marked last: since then fills may be told late, and no stop was moved.
    """
    moments = [now]
    if trails_since is not None:
        moments.append(max(trails_since, now - REACH_MAX))
    if marked_at is not None:
        moments.append(marked_at)
    return now - min(moments) + REACH_MARGIN


def _closed_at(high: High) -> datetime:
    return high.closed_at
