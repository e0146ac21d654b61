"""How orders and lists end.

Invariant: an order that has ended locks nothing, rests nowhere and waits for nothing.
"""

from services.paper_exchange.venue.floor_state import FloorState
from services.paper_exchange.venue.orders import Order


class Closing:
    """End orders, and with a leg of a list its other leg.

    Args:
        floor: What the parts of the floor share.
    """

    def __init__(self, floor: FloorState) -> None:
        self._floor = floor

    def cancel(self, order: Order, cancel_id: str) -> None:
        """Cancel an open order; as a leg of a list it takes the other leg along."""
        for leg in self._family(order):
            if leg.is_open:
                self._end(leg, "CANCELED", "CANCELED", cancel_id=cancel_id)
        self.finish_list(order)

    def expire(self, order: Order, reason: str) -> None:
        """End an order that can or may not trade on."""
        self.release_siblings(order)
        order.expiry_reason = reason
        self._end(order, "EXPIRED", "EXPIRED")
        self.finish_list(order)

    def complete(self, order: Order) -> None:
        """Forget an order of which nothing is left; its last report has gone out."""
        self._floor.release(order, 0)
        self._floor.desk.close(order)
        self.finish_list(order)

    def release_siblings(self, order: Order) -> None:
        """Expire the other leg of a list, and let `order` take over the funds that both shared."""
        for sibling in self._family(order):
            if sibling is not order and sibling.is_open:
                order.locked, sibling.locked = order.locked + sibling.locked, 0
                sibling.expiry_reason = "OCO_TRIGGER"
                self._end(sibling, "EXPIRED", "EXPIRED")

    def finish_list(self, order: Order) -> None:
        """Note that a list is done once none of its legs is open."""
        floor = self._floor
        order_list = floor.desk.list_of(order)
        if order_list is None or order_list.done or any(leg.is_open for leg in floor.desk.legs(order_list)):
            return
        order_list.done = True
        floor.changes.report_list(order_list, at_ms=floor.now_ms)

    def _end(self, order: Order, status: str, execution: str, *, cancel_id: str = "") -> None:
        floor = self._floor
        book = floor.books[order.symbol]
        if order.order_id in book.orders:
            book.cancel(order.order_id)
            floor.show_levels(order.symbol, order.side, order.request.price)
        order.status = status
        order.updated_ms = floor.now_ms
        floor.release(order, 0)
        floor.desk.close(order)
        floor.stops.discard(order)
        floor.report(order, execution, cancel_id=cancel_id)

    def _family(self, order: Order) -> list[Order]:
        order_list = self._floor.desk.list_of(order)
        return [order] if order_list is None else self._floor.desk.legs(order_list)
