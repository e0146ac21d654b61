"""Binance's symbol filters, in the order in which they are checked.

What they mean: https://developers.binance.com/docs/binance-spot-api-docs/filters; what an order that breaks one is
told: .../errors.

Invariant: an order that passes here breaks no filter that exchangeInfo shows.
"""

from collections.abc import Iterable

from libs.trading.matching import Side
from services.paper_exchange.venue.errors import ApiError, filter_failure, rejected, would_trigger, wrong_relationship
from services.paper_exchange.venue.ledger import Balance
from services.paper_exchange.venue.orders import NO_LIST, NewOrder, Order
from services.paper_exchange.venue.rules import SELF_TRADE_MODES
from services.paper_exchange.venue.trailing import stop_is_reached

_MISPLACED = {
    (Side.BUY, "limit"): -1165,
    (Side.SELL, "limit"): -1166,
    (Side.BUY, "stop loss"): -1196,
    (Side.SELL, "stop loss"): -1197,
    (Side.BUY, "take profit"): -1198,
    (Side.SELL, "take profit"): -1199,
}


def check_prices(new: NewOrder, *, average_price: int) -> None:
    """Check an order's prices, in ticks, and what else does not depend on its quantity.

    Raises:
        ApiError: A filter fails.
    """
    rules = new.rules
    price_max = rules.price_max_units // rules.tick_units
    for price in (new.price, new.stop_price):
        if price > price_max:
            raise filter_failure("PRICE_FILTER")
    _check_trailing(new)
    if new.price:
        too_high = new.price > average_price * rules.price_multiplier_up
        if too_high or new.price * rules.price_divisor_down < average_price:
            raise filter_failure("PERCENT_PRICE_BY_SIDE")
    if new.prevention not in SELF_TRADE_MODES:
        raise ApiError(-1013, "This symbol does not allow the specified self-trade prevention mode.")


def check_trigger(new: NewOrder, *, last_price: int) -> None:
    """Check that the market has not reached an order's stop price.

    Raises:
        ApiError: It has.
    """
    if new.stop_price and stop_is_reached(new, last_price):
        raise would_trigger()


def check_size(new: NewOrder, *, average_price: int) -> None:
    """Check an order's quantity and what it is worth.

    Raises:
        ApiError: A filter fails.
    """
    rules = new.rules
    if new.lots > rules.lots_max:
        raise filter_failure("LOT_SIZE")
    if new.kind == "MARKET" and new.lots > rules.market_lots_max:
        raise filter_failure("MARKET_LOT_SIZE")
    if new.iceberg_lots > new.lots:
        raise rejected("IcebergQty exceeds QTY.")
    if new.iceberg_lots * rules.iceberg_parts_max < new.lots and new.iceberg_lots:
        raise filter_failure("ICEBERG_PARTS")
    amount = new.quote_units or rules.notional(new.price or new.stop_price or average_price, new.lots)
    if amount < rules.notional_min_units or (new.price and amount > rules.notional_max_units):
        raise filter_failure("NOTIONAL")


def _check_trailing(new: NewOrder) -> None:
    rules = new.rules
    if new.trailing_delta and not rules.trailing_delta_min <= new.trailing_delta <= rules.trailing_delta_max:
        raise filter_failure("TRAILING_DELTA")


def check_position(new: NewOrder, held: Balance, open_orders: Iterable[Order]) -> None:
    """Check what the account would own of the base asset if all its purchases traded.

    Raises:
        ApiError: Too much.
    """
    rules = new.rules
    if rules.position_max_units is None or new.side is Side.SELL:
        return
    coming = sum(order.lots for order in open_orders if order.side is Side.BUY) + new.lots
    if held.free + held.locked + rules.base_units(coming) > rules.position_max_units:
        raise filter_failure("MAX_POSITION")


def check_counts(news: Iterable[NewOrder], open_orders: Iterable[Order]) -> None:
    """Check how many orders the account would have on the symbol.

    Raises:
        ApiError: Too many orders, stops, icebergs or lists.
    """
    news = tuple(news)
    rules = news[0].rules
    known = tuple(open_orders)
    if len(known) + len(news) > rules.orders_max:
        raise filter_failure("MAX_NUM_ORDERS")
    new_stops = sum(new.is_stop for new in news)
    if new_stops and new_stops + sum(order.request.is_stop for order in known) > rules.stops_max:
        raise filter_failure("MAX_NUM_ALGO_ORDERS")
    new_icebergs = sum(new.iceberg_lots > 0 for new in news)
    if new_icebergs and new_icebergs + sum(order.request.iceberg_lots > 0 for order in known) > rules.icebergs_max:
        raise filter_failure("MAX_NUM_ICEBERG_ORDERS")
    if len(news) > 1 and len({order.list_id for order in known} - {NO_LIST}) >= rules.lists_max:
        raise filter_failure("MAX_NUM_ORDER_LISTS")


def check_pair(above: NewOrder, below: NewOrder) -> None:
    """Check that the two legs of an OCO are of types that combine, and lie on their sides of each other.

    Raises:
        ApiError: The types do not combine, or the prices are on the wrong side.
    """
    kinds = {new.kind for new in (above, below)}
    if kinds & {"LIMIT", "MARKET"}:
        raise ApiError(-1158, "Order type not supported in OCO.")
    if kinds == {"LIMIT_MAKER"}:
        raise ApiError(-1168, "At least one OCO order must be contingent.")
    for leg, place in sorted(((above, "above"), (below, "below")), key=lambda each: each[0].is_stop):
        _check_leg_place(leg, place)
    if 0 < _list_price(above) <= _list_price(below):
        raise wrong_relationship()


def check_pair_place(legs: Iterable[NewOrder], *, last_price: int) -> None:
    """Check that the market lies between the two legs of an OCO.

    Raises:
        ApiError: It does not.
    """
    for leg in legs:
        price = _list_price(leg)
        is_above = leg.kind.startswith("STOP_LOSS") == (leg.side is Side.BUY)
        if 0 < price <= last_price if is_above else price >= last_price:
            raise wrong_relationship()


def _check_leg_place(leg: NewOrder, place: str) -> None:
    """Check that a limit or a take profit is on the good side of the market, and a stop loss on the bad one."""
    purpose = "limit" if leg.kind == "LIMIT_MAKER" else "take profit" if leg.kind.startswith("TAKE") else "stop loss"
    buys = leg.side is Side.BUY
    right = "above" if (purpose == "stop loss") == buys else "below"
    if place != right:
        code = _MISPLACED[leg.side, purpose]
        raise ApiError(code, f"A {purpose} order in a {leg.side.value.lower()} OCO must be {right}.")


def _list_price(leg: NewOrder) -> int:
    """Return the price at which a leg must be beyond the market; 0 for a trailing stop without a stop price."""
    return leg.price if leg.kind in {"LIMIT_MAKER", "TAKE_PROFIT_LIMIT"} else leg.stop_price
