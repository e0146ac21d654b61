"""Whether an order may come in, and what it has to hold back.

Invariant: an order that is refused changes nothing.
"""

from collections.abc import Callable, Sequence

from libs.trading.matching import Side
from services.paper_exchange.market.history import History
from services.paper_exchange.venue.desk import Desk
from services.paper_exchange.venue.errors import ApiError, insufficient_balance, rejected
from services.paper_exchange.venue.filters import (
    check_counts,
    check_pair,
    check_pair_place,
    check_position,
    check_prices,
    check_size,
    check_trigger,
)
from services.paper_exchange.venue.floor import Floor
from services.paper_exchange.venue.ledger import Ledger
from services.paper_exchange.venue.listing import Listing
from services.paper_exchange.venue.orders import NewList, NewOrder, Order
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

    def admit_list(self, account: str, new: NewList) -> int:
        """Check a list and the funds of what does not wait, and return what that has to hold back together.

        Raises:
            ApiError: One of its orders is refused.
        """
        orders = [self._listing.as_ruled(order) for order in new.orders]
        legs = orders[-len(new.legs) :]
        symbol = legs[0].rules.symbol
        if len(legs) > 1:
            check_pair(*legs)
            if new.working is None:
                check_pair_place(legs, last_price=self._last_price(symbol))
        if self._desk.has_open_list(account, new.client_id) or len({each.client_id for each in orders}) < len(orders):
            raise rejected("Duplicate order sent.")
        open_orders = self._desk.open_orders(account, symbol)
        for order in orders:
            waits = new.working is not None and order is not orders[0]
            self._check_form(account, order, open_orders, has_quantity=not (waits and new.pays))
            if not waits:
                self._check_market(order)
        check_counts(orders, open_orders)
        begins = legs if new.working is None else orders[:1]
        return self._funded(account, orders[0], max(self._funds_of(account, each) for each in begins))

    def admit_pending(self, orders: Sequence[Order]) -> int:
        """Check orders whose working order has filled, and return what they have to hold back together.

        Raises:
            ApiError: One of them cannot be placed.
        """
        first = orders[0]
        legs = [self._listing.as_ruled(order.request) for order in orders]
        if len(legs) > 1:
            check_pair_place(legs, last_price=self._last_price(first.symbol))
        for leg in legs:
            average_price = self._average_price(first.symbol)
            check_prices(leg, average_price=average_price)
            check_size(leg, average_price=average_price)
            self._check_market(leg)
        needed = max(self._funds_of(first.account, leg) for leg in legs)
        self._funded(first.account, legs[0], needed - first.locked)
        return needed

    def _check(self, account: str, new: NewOrder, open_orders: Sequence[Order]) -> None:
        self._check_form(account, new, open_orders)
        self._check_market(new)

    def _check_form(
        self, account: str, new: NewOrder, open_orders: Sequence[Order], *, has_quantity: bool = True
    ) -> None:
        """Check what holds for an order whenever it will be placed."""
        symbol = new.rules.symbol
        if self._is_halted() or symbol in self._listing.closed:
            raise ApiError(-1013, "Market is closed.")
        average_price = self._average_price(symbol)
        check_prices(new, average_price=average_price)
        if has_quantity:
            check_size(new, average_price=average_price)
        check_position(new, self._ledger.balance(account, new.rules.base), open_orders)
        known = self._desk.find(account, symbol, order_id=None, client_id=new.client_id)
        if known is not None and known.is_open:
            raise rejected("Duplicate order sent.")

    def _check_market(self, new: NewOrder) -> None:
        """Check an order that is placed now against where the market is."""
        check_trigger(new, last_price=self._last_price(new.rules.symbol))
        if new.kind == "LIMIT_MAKER" and self._crosses(new):
            raise rejected("Order would immediately match and take.")

    def _last_price(self, symbol: str) -> int:
        return self._history.last_trade(symbol).price

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
        return trigger_price(new, self._last_price(new.rules.symbol))
