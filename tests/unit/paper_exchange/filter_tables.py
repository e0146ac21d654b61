"""What Binance's filter page says, row by row, for whoever checks orders: our pre-check and the paper exchange alike.

The rows know neither: numbers are Binance's notation, and a verdict is the name of a filter. The symbol is BTCUSDT as
exchangeInfo gives it, with the changes that a row needs; its market stands at 50 000, and so does its average.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

PAGE: Final = "https://developers.binance.com/docs/binance-spot-api-docs/filters"


@dataclass(frozen=True)
class AskedOrder:
    """An order, or a list of orders of one quantity, as a client asks for it.

    `price` is the limit; `target` and `stop_price` are those of the exits, which in an OTOCO wait for the entry.
    """

    kind: str = "LIMIT"
    side: str = "BUY"
    quantity: str = "0.01"
    price: str = ""
    stop_price: str = ""
    time_in_force: str = "GTC"
    target: str = ""


def limit(side: str = "BUY", price: str = "50000", quantity: str = "0.01", time_in_force: str = "GTC") -> AskedOrder:
    """Return a limit order."""
    return AskedOrder("LIMIT", side, quantity, price, time_in_force=time_in_force)


def market(side: str = "BUY", quantity: str = "0.01") -> AskedOrder:
    """Return a market order."""
    return AskedOrder("MARKET", side, quantity)


def stop(trigger: str = "40000", quantity: str = "0.01", price: str = "") -> AskedOrder:
    """Return a sale that waits for its trigger, at the market or at a limit."""
    return AskedOrder("STOP_LOSS_LIMIT" if price else "STOP_LOSS", "SELL", quantity, price, trigger)


def oco(target: str = "60000", trigger: str = "40000", quantity: str = "0.01") -> AskedOrder:
    """Return a sale at a target or at a stop, whichever comes first."""
    return AskedOrder("OCO", "SELL", quantity, stop_price=trigger, target=target)


def otoco(price: str = "50000", target: str = "60000", trigger: str = "40000", quantity: str = "0.01") -> AskedOrder:
    """Return a purchase, all or nothing, with the sale that follows it."""
    return AskedOrder("OTOCO", "BUY", quantity, price, trigger, "FOK", target)


class Row(NamedTuple):
    """One sentence of the page with the order just within and the order just beyond it."""

    source: str
    within: AskedOrder
    beyond: AskedOrder
    filter: str
    limits: Mapping[str, int | None] = {}


@dataclass(frozen=True)
class CrowdedRow:
    """One sentence that counts: so many orders may stand, and one more may not."""

    source: str
    order: AskedOrder
    count: int
    filter: str
    limits: Mapping[str, int | None] = field(default_factory=dict)


ROWS: Final = (
    Row(
        "PRICE_FILTER: price % tickSize == 0",
        limit(price="49999.99"),
        limit(price="49999.995"),
        "PRICE_FILTER",
    ),
    Row("PRICE_FILTER: price >= minPrice", stop("0.01", "500"), stop("0.009", "500"), "PRICE_FILTER"),
    Row(
        "PRICE_FILTER: price <= maxPrice",
        limit("SELL", "1000000", "0.001"),
        limit("SELL", "1000000.01", "0.001"),
        "PRICE_FILTER",
        {"price_multiplier_up": 25},
    ),
    Row("PRICE_FILTER: the same for stopPrice", stop("39999.99"), stop("39999.995"), "PRICE_FILTER"),
    Row("PRICE_FILTER: the same for a leg", oco("60000.01"), oco("60000.001"), "PRICE_FILTER"),
    Row(
        "PERCENT_PRICE_BY_SIDE: buy, price <= average * bidMultiplierUp",
        limit(price="250000"),
        limit(price="250000.01"),
        "PERCENT_PRICE_BY_SIDE",
    ),
    Row(
        "PERCENT_PRICE_BY_SIDE: buy, price >= average * bidMultiplierDown",
        limit(price="10000"),
        limit(price="9999.99"),
        "PERCENT_PRICE_BY_SIDE",
    ),
    Row(
        "PERCENT_PRICE_BY_SIDE: sell, price <= average * askMultiplierUp",
        oco("250000"),
        oco("250000.01"),
        "PERCENT_PRICE_BY_SIDE",
    ),
    Row(
        "PERCENT_PRICE_BY_SIDE: sell, price >= average * askMultiplierDown",
        limit("SELL", "10000"),
        limit("SELL", "9999.99"),
        "PERCENT_PRICE_BY_SIDE",
    ),
    Row(
        "PERCENT_PRICE_BY_SIDE: of the order's price, not of its stopPrice",
        stop("9000"),
        stop("9000", price="9000"),
        "PERCENT_PRICE_BY_SIDE",
    ),
    Row("LOT_SIZE: quantity % stepSize == 0", limit(quantity="0.01001"), limit(quantity="0.010005"), "LOT_SIZE"),
    Row(
        "LOT_SIZE: quantity >= minQty",
        limit(quantity="0.00001"),
        limit(quantity="0.000009"),
        "LOT_SIZE",
        {"notional_min_units": 0},
    ),
    Row(
        "LOT_SIZE: quantity <= maxQty",
        limit(price="10000", quantity="900"),
        limit(price="10000", quantity="900.00001"),
        "LOT_SIZE",
        {"lots_max_units": 900 * 10**8},
    ),
    Row("LOT_SIZE: of a market order too", market(quantity="0.01001"), market(quantity="0.010005"), "LOT_SIZE"),
    Row("NOTIONAL: of a leg that waits", otoco(quantity="0.00013"), otoco(quantity="0.00012"), "NOTIONAL"),
    Row(
        "PERCENT_PRICE_BY_SIDE: of a leg that waits",
        otoco(target="250000"),
        otoco(target="250000.01"),
        "PERCENT_PRICE_BY_SIDE",
    ),
    Row("LOT_SIZE: of a list", oco(quantity="0.01001"), oco(quantity="0.010005"), "LOT_SIZE"),
    Row(
        "MARKET_LOT_SIZE: quantity <= maxQty",
        market("SELL", "120"),
        market("SELL", "120.00001"),
        "MARKET_LOT_SIZE",
    ),
    Row(
        "MARKET_LOT_SIZE: of MARKET orders only",
        limit("SELL", quantity="120.00001", time_in_force="IOC"),
        market("SELL", "120.00001"),
        "MARKET_LOT_SIZE",
    ),
    Row(
        "NOTIONAL: price * quantity >= minNotional",
        limit(quantity="0.0001"),
        limit(price="49999.99", quantity="0.0001"),
        "NOTIONAL",
    ),
    Row(
        "NOTIONAL: price * quantity <= maxNotional",
        limit(quantity="180", time_in_force="FOK"),
        limit(quantity="180.00001", time_in_force="FOK"),
        "NOTIONAL",
    ),
    Row(
        "NOTIONAL: applyMinToMarket, at the average price",
        market(quantity="0.0001"),
        market(quantity="0.00009"),
        "NOTIONAL",
    ),
    Row(
        "NOTIONAL: applyMaxToMarket is false",
        market("SELL", "120"),
        limit("SELL", quantity="120"),
        "NOTIONAL",
        {"notional_max_units": 5_000_000 * 10**8},
    ),
    Row("NOTIONAL: of the lower leg", oco(trigger="40000", quantity="0.00013"), oco(quantity="0.00012"), "NOTIONAL"),
    Row(
        "MAX_POSITION: free + locked + open purchases, a purchase that would exceed it is refused",
        limit(quantity="50"),
        limit(quantity="50.00001"),
        "MAX_POSITION",
        {"position_max_units": 550 * 10**8},
    ),
)
"""Each is of an account that holds 500 BTC and has nothing open."""

CROWDED: Final = (
    CrowdedRow("MAX_NUM_ORDERS: orders on the book, stops included", limit(price="25000"), 200, "MAX_NUM_ORDERS"),
    CrowdedRow("MAX_NUM_ALGO_ORDERS: open STOP_LOSS and its like", stop(), 5, "MAX_NUM_ALGO_ORDERS"),
    CrowdedRow(
        "MAX_NUM_ORDER_LISTS: open order lists",
        oco(),
        3,
        "MAX_NUM_ORDER_LISTS",
        {"lists_max": 3, "stops_max": 100},
    ),
    CrowdedRow(
        "MAX_NUM_ALGO_ORDERS: stops that wait for an entry",
        replace(otoco("25000"), time_in_force="GTC"),
        5,
        "MAX_NUM_ALGO_ORDERS",
    ),
    CrowdedRow(
        "MAX_POSITION: the quantity of open purchases counts",
        limit(price="25000", quantity="10"),
        5,
        "MAX_POSITION",
        {"position_max_units": 550 * 10**8},
    ),
)
"""So many of an order may stand beside the 500 BTC, and not one more."""
