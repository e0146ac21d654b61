"""Where the stop of a position belongs that trails.

Invariant: it only rises, by the core's own rule (`libs.trading.trailing`); every move is a revision of the position.
"""

from dataclasses import replace
from decimal import Decimal

from libs.trading.trailing import TrailingStop
from services.position_manager.domain.ledger import Holding


def trailed(before: Holding, highest: Decimal, tick: Decimal) -> Holding:
    """Return a position after the price has been at `highest`; `before` itself where its stop need not move."""
    if not before.is_open or before.trailing_stop is None or before.trailing_distance is None:
        return before
    stood = TrailingStop.following(before.trailing_stop, before.trailing_distance, tick)
    stands = stood.after(highest)
    if stands is stood:
        return before
    return replace(before, trailing_stop=stands.stop, revision=before.revision + 1)
