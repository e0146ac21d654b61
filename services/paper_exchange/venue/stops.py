"""The stops that wait for the market.

Invariant: a trade that lies between the nearest stop prices costs two comparisons, however many plain stops wait.
"""

from collections.abc import Iterable, Sequence

from services.paper_exchange.venue.orders import Order
from services.paper_exchange.venue.trailing import follow, stop_is_reached


class Stops:
    """Waiting stop orders by symbol, oldest first; trailing ones apart, because they see every trade."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self._waiting: dict[str, dict[int, Order]] = {symbol: {} for symbol in symbols}
        self._trailing: dict[str, dict[int, Order]] = {symbol: {} for symbol in self._waiting}
        self._nearest: dict[str, tuple[int, float]] = {symbol: (0, float("inf")) for symbol in self._waiting}

    def add(self, order: Order) -> None:
        """Let an order wait."""
        if order.request.trailing_delta:
            self._trailing[order.symbol][order.order_id] = order
        else:
            self._waiting[order.symbol][order.order_id] = order
            self._note_nearest(order.symbol)

    def discard(self, order: Order) -> None:
        """Let an order wait no longer, if it does."""
        self._trailing[order.symbol].pop(order.order_id, None)
        if self._waiting[order.symbol].pop(order.order_id, None) is not None:
            self._note_nearest(order.symbol)

    def reached(self, symbol: str, prices: Sequence[int]) -> list[Order]:
        """Return the plain stops that trades at `prices` trigger."""
        below, above = self._nearest[symbol]
        if not any(price <= below or price >= above for price in prices):
            return []
        return [
            order
            for order in self._waiting[symbol].values()
            if any(stop_is_reached(order.request, price) for price in prices)
        ]

    def follow(self, symbol: str, prices: Sequence[int], *, at_ms: int) -> tuple[list[Order], list[Order]]:
        """Show the trailing stops trades at `prices`; return those that trigger and those that saw something new."""
        triggered, moved = [], []
        for order in self._trailing[symbol].values():
            before = order.best_price
            if any(follow(order, price, at_ms=at_ms) for price in prices):
                triggered.append(order)
            elif order.best_price != before:
                moved.append(order)
        return triggered, moved

    def _note_nearest(self, symbol: str) -> None:
        requests = [order.request for order in self._waiting[symbol].values()]
        below = (request.stop_price for request in requests if request.triggers_below)
        above = (request.stop_price for request in requests if not request.triggers_below)
        self._nearest[symbol] = (max(below, default=0), min(above, default=float("inf")))
