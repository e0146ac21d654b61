"""What the accounts ordered and traded: open orders, recent closed ones, lists, fills and prevented matches.

Invariant: among the open orders of an account a client order id is unique; what is kept of the closed ones is bounded.
"""

from collections import defaultdict, deque
from collections.abc import Iterator

from services.paper_exchange.venue.orders import NO_LIST, AccountFill, Order, OrderList, Prevented

CLOSED_ORDERS_MAX = 10_000
FILLS_MAX = 20_000
PREVENTED_MAX = 10_000


class Desk:
    """An index over orders, lists, fills and prevented matches."""

    def __init__(self) -> None:
        self._orders: dict[int, Order] = {}
        self._open: dict[int, Order] = {}
        self._open_of: defaultdict[tuple[str, str], dict[int, Order]] = defaultdict(dict)
        self._closed: deque[int] = deque()
        self._by_client_id: dict[tuple[str, str, str], int] = {}
        self._lists: dict[int, OrderList] = {}
        self._fills: deque[AccountFill] = deque(maxlen=FILLS_MAX)
        self._prevented: deque[Prevented] = deque(maxlen=PREVENTED_MAX)

    def add(self, order: Order) -> None:
        """Take an order in."""
        self._orders[order.order_id] = order
        self._by_client_id[order.account, order.symbol, order.request.client_id] = order.order_id
        if order.is_open:
            self._open[order.order_id] = order
            self._open_of[order.account, order.symbol][order.order_id] = order
        else:
            self._remember_closed(order)

    def close(self, order: Order) -> None:
        """Note that an order is no longer open."""
        del self._open[order.order_id]
        del self._open_of[order.account, order.symbol][order.order_id]
        self._remember_closed(order)

    def order(self, order_id: int) -> Order:
        """Return an order that is known to be there."""
        return self._orders[order_id]

    def find(self, account: str, symbol: str, *, order_id: int | None, client_id: str | None) -> Order | None:
        """Return the account's order by its id, or else the newest by its client id; both must agree where given."""
        if order_id is None:
            order_id = self._by_client_id.get((account, symbol, client_id or ""))
        order = self._orders.get(order_id) if order_id is not None else None
        if order is None or order.account != account or order.symbol != symbol:
            return None
        return order if client_id in (None, order.request.client_id) else None

    def open_orders(self, account: str | None = None, symbol: str | None = None) -> list[Order]:
        """Return open orders, oldest first."""
        if account is not None and symbol is not None:
            return list(self._open_of[account, symbol].values())
        return [
            order
            for order in self._open.values()
            if account in (None, order.account) and symbol in (None, order.symbol)
        ]

    def orders(self, account: str | None = None, symbol: str | None = None) -> list[Order]:
        """Return all known orders, oldest first."""
        return [
            self._orders[order_id]
            for order_id in sorted(self._orders)
            if account in (None, self._orders[order_id].account) and symbol in (None, self._orders[order_id].symbol)
        ]

    def add_list(self, order_list: OrderList) -> None:
        """Take an order list in."""
        self._lists[order_list.list_id] = order_list

    def list_of(self, order: Order) -> OrderList | None:
        """Return the list that an order is a leg of."""
        return None if order.list_id == NO_LIST else self._lists[order.list_id]

    def find_list(self, account: str, *, list_id: int | None, client_id: str | None) -> OrderList | None:
        """Return the account's order list by its id or its client id."""
        for order_list in reversed(self._lists.values()):
            wanted = list_id in (None, order_list.list_id) and client_id in (None, order_list.client_id)
            if wanted and order_list.account == account:
                return order_list
        return None

    def has_open_list(self, account: str, client_id: str) -> bool:
        """Return whether the account has an open list of this name."""
        return any(order_list.client_id == client_id and not order_list.done for order_list in self.lists(account))

    def lists(self, account: str | None = None) -> Iterator[OrderList]:
        """Yield order lists, oldest first."""
        return (order_list for order_list in self._lists.values() if account in (None, order_list.account))

    def legs(self, order_list: OrderList) -> list[Order]:
        """Return the orders of a list, as far as they are still known."""
        return [self._orders[order_id] for order_id in order_list.order_ids if order_id in self._orders]

    def rivals(self, order: Order) -> list[Order]:
        """Return the other legs of an order's list, of which at most one trades; a working order has none."""
        order_list = self.list_of(order)
        if order_list is None or order.order_id == order_list.working_id:
            return []
        return [
            self._orders[leg_id] for leg_id in order_list.leg_ids if leg_id != order.order_id and leg_id in self._orders
        ]

    def pending(self, order: Order) -> list[Order]:
        """Return the orders that wait for this one to fill."""
        order_list = self.list_of(order)
        if order_list is None or order.order_id != order_list.working_id:
            return []
        return [leg for leg in self.legs(order_list) if leg.is_pending]

    def add_fill(self, fill: AccountFill) -> None:
        """Take a fill in."""
        self._fills.append(fill)

    def fills(self, account: str | None = None, symbol: str | None = None) -> list[AccountFill]:
        """Return the known fills, oldest first."""
        return [fill for fill in self._fills if account in (None, fill.account) and symbol in (None, fill.symbol)]

    def add_prevented(self, prevented: Prevented) -> None:
        """Take a prevented match in."""
        self._prevented.append(prevented)

    def prevented(self, account: str | None = None, symbol: str | None = None) -> list[Prevented]:
        """Return the known prevented matches, oldest first."""
        return [
            match for match in self._prevented if account in (None, match.account) and symbol in (None, match.symbol)
        ]

    def _remember_closed(self, order: Order) -> None:
        self._closed.append(order.order_id)
        while len(self._closed) > CLOSED_ORDERS_MAX:
            forgotten = self._orders.pop(self._closed.popleft())
            key = (forgotten.account, forgotten.symbol, forgotten.request.client_id)
            if self._by_client_id.get(key) == forgotten.order_id:
                del self._by_client_id[key]
            legs = self._lists[forgotten.list_id].order_ids if forgotten.list_id in self._lists else ()
            if legs and not any(order_id in self._orders for order_id in legs):
                del self._lists[forgotten.list_id]
