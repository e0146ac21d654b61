"""How a trailing stop follows the market.

Invariant: what it has seen moves only in the order's favour: up for a sale, down for a purchase.

A trailing stop without a stop price follows from its acceptance on, beginning at the last trade; one with a stop price
from the first trade that reaches it. It triggers when a trade lies the given number of basis points on the wrong side
of the best trade since (https://developers.binance.com/docs/binance-spot-api-docs/faqs/trailing-stop-faq).
"""

from libs.trading.matching import Side
from services.paper_exchange.venue.orders import NOT_YET, NewOrder, Order

_WHOLE = 10_000


def trigger_price(new: NewOrder, best_price: int) -> int:
    """Return the first price, coming from `best_price`, at which the stop triggers."""
    if new.side is Side.SELL:
        return best_price * (_WHOLE - new.trailing_delta) // _WHOLE
    return -(-best_price * (_WHOLE + new.trailing_delta) // _WHOLE)


def begin(order: Order, price: int, *, at_ms: int) -> None:
    """Let an order follow the market from a trade at `price` on."""
    order.trailing_ms, order.best_price = at_ms, price


def follow(order: Order, price: int, *, at_ms: int) -> bool:
    """Show an order a trade, and return whether it triggers."""
    new = order.request
    if order.trailing_ms == NOT_YET:
        if stop_is_reached(new, price):
            begin(order, price, at_ms=at_ms)
        return False
    if new.side is Side.SELL:
        order.best_price = max(order.best_price, price)
        return price <= trigger_price(new, order.best_price)
    order.best_price = min(order.best_price, price)
    return price >= trigger_price(new, order.best_price)


def stop_is_reached(new: NewOrder, price: int) -> bool:
    """Return whether a trade at `price` reaches the stop price."""
    return price <= new.stop_price if new.triggers_below else price >= new.stop_price
