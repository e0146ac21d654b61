"""What the parts of the floor share.

Invariant: all of them see the same orders, balances and time.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from libs.trading.matching import OrderBook, Side
from services.paper_exchange.market.history import History
from services.paper_exchange.venue.audience import Audience
from services.paper_exchange.venue.changes import Changes
from services.paper_exchange.venue.desk import Desk
from services.paper_exchange.venue.ledger import Ledger
from services.paper_exchange.venue.orders import AccountFill, Order, Prevented
from services.paper_exchange.venue.stops import Stops


@dataclass(slots=True)
class FloorState:
    """Books, orders, balances and time.

    Args:
        books: One order book for each symbol.
        history: Numbers and remembers the trades.
        desk: Knows the orders.
        ledger: Knows the balances.
        audience: Is told what happens.
        changes: Is told what the journal has to know.
        stops: The orders that wait for the market.
        counters: The last order, list, execution and prevented match ids given out.
        now_ms: Exchange time.
        due: The working orders that have filled and whose pending orders are not placed yet; empty between operations.
    """

    books: Mapping[str, OrderBook]
    history: History
    desk: Desk
    ledger: Ledger
    audience: Audience
    changes: Changes
    stops: Stops
    counters: dict[str, int]
    now_ms: int = 0
    due: deque[Order] = field(default_factory=deque)

    def report(
        self,
        order: Order,
        execution: str,
        *,
        fill: AccountFill | None = None,
        cancel_id: str = "",
        prevented: Prevented | None = None,
    ) -> None:
        """Note a step in an order's life and tell its account."""
        self.changes.report(order, execution, at_ms=self.now_ms, fill=fill, cancel_id=cancel_id, prevented=prevented)

    def show_levels(self, symbol: str, side: Side, price: int) -> None:
        """Tell that clients changed what is on offer at a price, and note who moved in its queue."""
        book = self.books[symbol]
        self.audience.on_levels(symbol, book, side, (price,))
        self.changes.note_queue(order.order_id for order in book.queue(side, price))

    def release(self, order: Order, needed: int) -> None:
        """Give back what an order locks beyond `needed`."""
        if order.locked != needed:
            self.ledger.unlock(order.account, order.gives, order.locked - needed)
            order.locked = needed
