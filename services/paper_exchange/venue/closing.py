"""How orders and lists end.

A pending order ends with its working order unless that has filled; then it is due to be placed (`contingency`).

Invariant: an order that has ended locks nothing, rests nowhere and waits for nothing.
"""

from services.paper_exchange.venue.floor_state import FloorState
from services.paper_exchange.venue.orders import Order


class Closing:
    """End orders, and with them those of their lists that depend on them.

    Args:
        floor: What the parts of the floor share.
    """

    def __init__(self, floor: FloorState) -> None:
        self._floor = floor

    def cancel(self, order: Order, cancel_id: str) -> None:
        """Cancel an open order, and with it the whole list that it is in."""
        desk = self._floor.desk
        order_list = desk.list_of(order)
        for each in [order] if order_list is None else desk.legs(order_list):
            if each.is_open:
                self._end(each, "CANCELED", "CANCELED", cancel_id=cancel_id)
        self._finish_list(order)

    def expire(self, order: Order, reason: str) -> None:
        """End an order that can or may not trade on."""
        self.release_siblings(order)
        self._expire(order, reason)
        self._expire_pending(order)
        self._finish_list(order)

    def complete(self, order: Order) -> None:
        """Forget an order of which nothing is left; its last report has gone out."""
        self._floor.release(order, 0)
        self._floor.desk.close(order)
        if order.status == "FILLED" and self._floor.desk.pending(order):
            self._floor.due.append(order)
            return
        self._expire_pending(order)
        self._finish_list(order)

    def release_siblings(self, order: Order) -> None:
        """Expire the other leg of a list, and let `order` take over the funds that both shared."""
        for sibling in self._floor.desk.rivals(order):
            if sibling.is_open:
                order.locked, sibling.locked = order.locked + sibling.locked, 0
                self._expire(sibling, "OCO_TRIGGER")

    def _expire_pending(self, order: Order) -> None:
        for pending in self._floor.desk.pending(order):
            self._expire(pending, "OTO_PHASE_ONE_EXPIRED")

    def _expire(self, order: Order, reason: str) -> None:
        order.expiry_reason = reason
        self._end(order, "EXPIRED", "EXPIRED")

    def _finish_list(self, order: Order) -> None:
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
