"""The clients' resting orders, by price and then by time.

Invariant: an order stands in exactly one queue, behind everyone whose turn came before its own.
"""

from bisect import insort
from collections.abc import Sequence

from libs.trading.matching.types import Resting, Side


class Queues:
    """A queue of orders at every price, and the prices best first."""

    def __init__(self) -> None:
        self.orders: dict[int, Resting] = {}
        self._levels: dict[Side, dict[int, list[Resting]]] = {Side.BUY: {}, Side.SELL: {}}
        # Sort keys of the prices with orders, best first: a bid sorts by its negative.
        self._keys: dict[Side, list[int]] = {Side.BUY: [], Side.SELL: []}
        self._turn = 0

    def add(self, order: Resting) -> None:
        """Put an order at the end of its price's queue; one that had its turn already keeps it."""
        self._turn = max(self._turn + 1, order.turn)
        order.turn = order.turn or self._turn
        self.orders[order.order_id] = order
        level = self._levels[order.side].setdefault(order.price, [])
        if not level:
            insort(self._keys[order.side], -order.price if order.side is Side.BUY else order.price)
        level.append(order)

    def remove(self, order: Resting) -> None:
        """Take an order out."""
        del self.orders[order.order_id]
        level = self._levels[order.side][order.price]
        level.remove(order)
        if not level:
            del self._levels[order.side][order.price]
            self._keys[order.side].remove(-order.price if order.side is Side.BUY else order.price)

    def refill(self, order: Resting, ahead_lots: int) -> None:
        """Show the next part of an iceberg whose last one has traded, at the end of the queue."""
        order.lots = min(order.part_lots, order.hidden_lots)
        order.hidden_lots -= order.lots
        order.ahead_lots = ahead_lots
        self._turn += 1
        order.turn = self._turn
        level = self._levels[order.side][order.price]
        level.remove(order)
        self.cap_ahead(order.side, order.price, ahead_lots)
        level.append(order)

    def cap_ahead(self, side: Side, price: int, recorded_lots: int) -> None:
        """Let no order at a price stand behind more than is recorded there, so that none waits longer than a later one.

        The recorded quantity shrinks without trades when others cancel.
        """
        for order in self.at(side, price):
            order.ahead_lots = min(order.ahead_lots, recorded_lots)

    def at(self, side: Side, price: int) -> Sequence[Resting]:
        """Return the orders at a price, the first one first; not to be changed."""
        return self._levels[side].get(price, ())

    def prices(self, side: Side) -> list[int]:
        """Return the prices with orders, best first."""
        return [-key for key in self._keys[side]] if side is Side.BUY else self._keys[side].copy()

    def first_through(self, side: Side, price: int) -> Resting | None:
        """Return the first order on `side` that stands at `price` or better for the other side."""
        keys = self._keys[side]
        if not keys or not (-keys[0] >= price if side is Side.BUY else keys[0] <= price):
            return None
        return self._levels[side][abs(keys[0])][0]
