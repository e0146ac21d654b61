"""Binance's symbol filters, in the order in which they are checked.

Invariant: an order that passes here breaks no filter that exchangeInfo shows.
"""

from collections.abc import Iterable

from libs.trading.matching import Side
from services.paper_exchange.venue.errors import ApiError, filter_failure, rejected
from services.paper_exchange.venue.orders import NO_LIST, NewOrder, Order
from services.paper_exchange.venue.rules import SELF_TRADE_MODES


def check_filters(new: NewOrder, *, average_price: int, last_price: int) -> None:
    """Check what depends on the order and the market only; prices in ticks.

    Raises:
        ApiError: A filter fails.
    """
    rules = new.rules
    price_max = rules.price_max_units // rules.tick_units
    for price in (new.price, new.stop_price):
        if price > price_max:
            raise filter_failure("PRICE_FILTER")
    if new.lots > rules.lots_max:
        raise filter_failure("LOT_SIZE")
    if new.kind == "MARKET" and new.lots > rules.market_lots_max:
        raise filter_failure("MARKET_LOT_SIZE")
    for price in (new.price, new.stop_price):
        too_high = price > average_price * rules.price_multiplier_up
        if price and (too_high or price * rules.price_divisor_down < average_price):
            raise filter_failure("PERCENT_PRICE_BY_SIDE")
    amount = new.quote_units or rules.notional(new.price or new.stop_price or average_price, new.lots)
    if amount < rules.notional_min_units or (new.price and amount > rules.notional_max_units):
        raise filter_failure("NOTIONAL")
    if new.prevention not in (*SELF_TRADE_MODES, "NONE"):
        raise ApiError(-1013, "This symbol does not allow the specified self-trade prevention mode.")
    if new.is_stop and stop_is_reached(new, last_price):
        raise rejected("Stop price would trigger immediately.")


def stop_is_reached(new: NewOrder, price: int) -> bool:
    """Return whether a trade at `price` triggers the stop."""
    return price <= new.stop_price if new.triggers_below else price >= new.stop_price


def check_counts(news: Iterable[NewOrder], open_orders: Iterable[Order]) -> None:
    """Check how many orders the account would have on the symbol.

    Raises:
        ApiError: Too many orders, stops or lists.
    """
    news = tuple(news)
    rules = news[0].rules
    known = tuple(open_orders)
    if len(known) + len(news) > rules.orders_max:
        raise filter_failure("MAX_NUM_ORDERS")
    stops = sum(order.request.is_stop for order in known) + sum(new.is_stop for new in news)
    if stops > rules.stops_max and any(new.is_stop for new in news):
        raise filter_failure("MAX_NUM_ALGO_ORDERS")
    lists = len({order.list_id for order in known} - {NO_LIST})
    if len(news) > 1 and lists >= rules.lists_max:
        raise filter_failure("MAX_NUM_ORDER_LISTS")


def check_list_prices(above: NewOrder, below: NewOrder, *, last_price: int) -> None:
    """Check that the two legs of an OCO lie on their sides of the market.

    Raises:
        ApiError: The types do not combine, or the prices are on the wrong side.
    """
    kinds = {new.kind for new in (above, below)}
    if kinds & {"LIMIT", "MARKET"}:
        raise ApiError(-1158, "Order type not supported in OCO.")
    if kinds == {"LIMIT_MAKER"}:
        raise ApiError(-1168, "At least one OCO order must be contingent.")
    if above.side is Side.BUY and above.kind == "LIMIT_MAKER":
        raise ApiError(-1165, "Limit order in a buy OCO must be below.")
    if below.side is Side.SELL and below.kind == "LIMIT_MAKER":
        raise ApiError(-1166, "Limit order in a sell OCO must be above.")
    high, low = above.stop_price or above.price, below.stop_price or below.price
    wrong_way = (above.is_stop and above.triggers_below) or (below.is_stop and not below.triggers_below)
    if wrong_way or not low < last_price < high:
        raise rejected("The relationship of the prices for the orders is not correct.")
