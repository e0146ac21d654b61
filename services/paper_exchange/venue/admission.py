"""Whether an order may come in, and what it has to hold back.

Invariant: an order that is refused changes nothing.
"""

from collections.abc import Callable, Sequence

from libs.trading.matching import Side
from services.paper_exchange.market.history import History
from services.paper_exchange.venue.desk import Desk
from services.paper_exchange.venue.errors import ApiError, insufficient_balance, rejected
from services.paper_exchange.venue.filters import check_counts, check_filters, check_list_prices, check_position
from services.paper_exchange.venue.floor import Floor
from services.paper_exchange.venue.ledger import Ledger
from services.paper_exchange.venue.listing import Listing
from services.paper_exchange.venue.orders import NewOrder, Order
from services.paper_exchange.venue.trailing import trigger_price


class Admission:
    """Check new orders as Binance does.

    Args:
        floor: Knows what an order would do.
        history: Knows the last price.
        desk: Knows what is open.
        ledger: Knows who can pay.
        listing: Knows what trades.
        is_halted: Whether trading is suspended.
        average_price: The average price that filters are measured by.
    """

    def __init__(
        self,
        *,
        floor: Floor,
        history: History,
        desk: Desk,
        ledger: Ledger,
        listing: Listing,
        is_halted: Callable[[], bool],
        average_price: Callable[[str], int],
    ) -> None:
        self._floor = floor
        self._history = history
        self._desk = desk
        self._ledger = ledger
        self._listing = listing
        self._is_halted = is_halted
        self._average_price = average_price

    def admit(self, account: str, new: NewOrder) -> int:
        """Check an order and its funds, and return what it has to hold back, in 1e-8 units.

        Raises:
            ApiError: It is refused.
        """
        new = self._listing.as_ruled(new)
        open_orders = self._desk.open_orders(account, new.rules.symbol)
        self._check(account, new, open_orders)
        check_counts((new,), open_orders)
        return self._funded(account, new, self._funds_of(account, new))

    def admit_list(self, account: str, client_id: str, above: NewOrder, below: NewOrder) -> int:
        """Check two orders of which one cancels the other, and return what both have to hold back together.

        Raises:
            ApiError: One of them is refused.
        """
        above, below = self._listing.as_ruled(above), self._listing.as_ruled(below)
        symbol = above.rules.symbol
        check_list_prices(above, below, last_price=self._history.last_trade(symbol).price)
        if self._desk.has_open_list(account, client_id) or above.client_id == below.client_id:
            raise rejected("Duplicate order sent.")
        open_orders = self._desk.open_orders(account, symbol)
        for leg in (above, below):
            self._check(account, leg, open_orders)
        check_counts((above, below), open_orders)
        return self._funded(account, above, max(self._funds_of(account, leg) for leg in (above, below)))

    def _check(self, account: str, new: NewOrder, open_orders: Sequence[Order]) -> None:
        symbol = new.rules.symbol
        if self._is_halted() or symbol in self._listing.closed:
            raise ApiError(-1013, "Market is closed.")
        last_price = self._history.last_trade(symbol).price
        check_filters(new, average_price=self._average_price(symbol), last_price=last_price)
        check_position(new, self._ledger.balance(account, new.rules.base), open_orders)
        known = self._desk.find(account, symbol, order_id=None, client_id=new.client_id)
        if known is not None and known.is_open:
            raise rejected("Duplicate order sent.")
        if new.kind == "LIMIT_MAKER" and self._crosses(new):
            raise rejected("Order would immediately match and take.")

    def _crosses(self, new: NewOrder) -> bool:
        best = self._floor.books[new.rules.symbol].best(new.side.opposite)
        return best is not None and (best[0] <= new.price if new.side is Side.BUY else best[0] >= new.price)

    def _funded(self, account: str, new: NewOrder, needed: int) -> int:
        if self._ledger.balance(account, new.gives).free < needed:
            raise insufficient_balance()
        return needed

    def _funds_of(self, account: str, new: NewOrder) -> int:
        """Return what the order may have to give, in 1e-8 units."""
        rules = new.rules
        if new.kind != "MARKET":
            if new.side is Side.SELL:
                return rules.base_units(new.lots)
            return rules.notional(new.price or new.stop_price or self._first_trigger(new), new.lots)
        if new.side is Side.SELL and new.lots:
            return rules.base_units(new.lots)
        plan = self._floor.plan(account, new)
        if new.quote_units and not plan.fills and not plan.prevented:
            raise rejected("Order book liquidity is less than symbol minimum quantity.")
        if new.side is Side.SELL:
            return rules.base_units(sum(fill.lots for fill in plan.fills))
        return new.quote_units or sum(rules.notional(fill.price, fill.lots) for fill in plan.fills)

    def _first_trigger(self, new: NewOrder) -> int:
        """Return where a trailing stop would trigger if the market never went its way."""
        return trigger_price(new, self._history.last_trade(new.rules.symbol).price)
