"""What comes of an order or a list at once, and the rule that may bound it.

Invariant: what is here is in the journal before anybody is told.
"""

from collections.abc import Callable
from typing import NamedTuple

from services.paper_exchange.venue.orders import AccountFill, NewOrder, Order, OrderList, Prevented

ExecutionRule = Callable[[str, NewOrder], int | None]
"""Says how many lots of an account's order may trade at most before the rest expires; None: all of them may."""


class Placed(NamedTuple):
    """An order that was accepted, and what came of it at once."""

    order: Order
    fills: list[AccountFill]
    prevented: list[Prevented]


class PlacedList(NamedTuple):
    """An order list as it was accepted, before a pending order was placed, and what its first order traded at once."""

    order_list: OrderList
    orders: list[Order]
    fills: list[AccountFill]
