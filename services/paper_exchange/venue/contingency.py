"""How the orders of a list begin, and how those that wait for another one of it follow.

Invariant: pending orders are placed in the same transaction as the last fill of their working order.

What a list does: the new order lists of https://developers.binance.com/docs/binance-spot-api-docs/rest-api and
.../faqs/opo. They do not say when a pending order has to be paid for; here it is when it is placed, which is what the
expiry reason REJECTED ("part of an OTO was rejected ... when trying to place it", for "lack of funds") is for.
"""

from collections.abc import Sequence
from dataclasses import replace

from services.paper_exchange.venue.admission import Admission
from services.paper_exchange.venue.desk import Desk
from services.paper_exchange.venue.errors import ApiError
from services.paper_exchange.venue.floor import Floor
from services.paper_exchange.venue.ledger import Ledger
from services.paper_exchange.venue.orders import (
    ONE_CANCELS_THE_OTHER,
    ONE_TRIGGERS_THE_OTHER,
    NewList,
    NewOrder,
    Order,
    OrderList,
)


class Contingency:
    """Begins lists, and places their pending orders when it is their turn.

    Args:
        floor: Where orders meet the market.
        admission: Says what may come in.
        desk: Knows the orders and lists.
        ledger: Holds what they need.
    """

    def __init__(self, *, floor: Floor, admission: Admission, desk: Desk, ledger: Ledger) -> None:
        self._floor = floor
        self._admission = admission
        self._desk = desk
        self._ledger = ledger

    def begin(self, account: str, new: NewList, *, lots_max: int | None = None) -> tuple[OrderList, list[Order]]:
        """Accept a list and let what does not wait work; what is due by then is not placed yet.

        Args:
            account: Whose it is.
            new: What it asks for.
            lots_max: How much its first order may trade before it expires; `None`: all of it.

        Raises:
            ApiError: One of its orders is refused.
        """
        locked = self._admission.admit_list(account, new)
        self._ledger.lock(account, new.orders[0].gives, locked)
        order_list, orders = self._take_in(account, new, locked=locked)
        for order in orders:
            if order.is_open and order.is_working:
                self._floor.work(order, lots_max=lots_max if order is orders[0] else None)
        return order_list, orders

    def place_due(self) -> None:
        """Place the pending orders whose working orders have filled, and those that become due with their trades."""
        due = self._floor.due
        while due:
            self._place(self._desk.pending(due.popleft()))

    def _take_in(self, account: str, new: NewList, *, locked: int) -> tuple[OrderList, list[Order]]:
        """Report a list's orders as new, the first one holding the funds of all that do not wait."""
        floor = self._floor
        floor.counters["list"] += 1
        list_id = floor.counters["list"]
        legs = sorted(new.legs, key=lambda leg: not leg.is_stop)  # a stop's report comes first, as on Binance
        if new.working is None:
            first, *others = legs
            orders = [floor.accept(account, first, locked=locked, list_id=list_id)]
            orders += [floor.accept(account, leg, locked=0, list_id=list_id) for leg in others]
        else:
            orders = [floor.accept(account, new.working, locked=locked, list_id=list_id)]
            orders += [floor.accept_pending(account, leg, list_id=list_id) for leg in legs]
        order_list = OrderList(
            list_id=list_id,
            account=account,
            symbol=legs[0].rules.symbol,
            client_id=new.client_id,
            order_ids=tuple(order.order_id for order in orders),
            created_ms=floor.now_ms,
            contingency=ONE_CANCELS_THE_OTHER if new.working is None else ONE_TRIGGERS_THE_OTHER,
            pays=new.pays,
        )
        self._desk.add_list(order_list)
        floor.changes.report_list(order_list, at_ms=floor.now_ms)
        return order_list, orders

    def _place(self, legs: Sequence[Order]) -> None:
        first = legs[0]
        order_list = self._desk.list_of(first)
        if order_list is not None and order_list.pays:
            _size(legs, first.locked)
        try:
            needed = self._admission.admit_pending(legs)
        except ApiError:
            self._floor.reject(first)
            return
        self._floor.fund(first, needed)
        for leg in legs:
            self._floor.activate(leg)
        for leg in legs:
            if leg.is_open and leg.is_working:
                self._floor.work(leg)


def _size(legs: Sequence[Order], units: int) -> None:
    """Give orders the quantity that their working order received, cut to what one order may have."""
    for leg in legs:
        leg.request = replace(leg.request, lots=min(_lots_max(each.request, units) for each in legs))
        leg.lots = leg.request.lots


def _lots_max(new: NewOrder, units: int) -> int:
    rules = new.rules
    whole = min(units // rules.step_units, rules.lots_max)
    return min(whole, rules.market_lots_max) if new.kind == "MARKET" else whole
