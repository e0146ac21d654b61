"""What may be traded and in which sizes: the exchange's filters, checked before it has to refuse.

Invariant: an order without violations passes the filters of Binance: what it is by itself (PRICE_FILTER,
PERCENT_PRICE_BY_SIDE, LOT_SIZE, MARKET_LOT_SIZE, NOTIONAL), and with what stands beside it (MAX_POSITION,
MAX_NUM_ORDERS, MAX_NUM_ALGO_ORDERS, MAX_NUM_ORDER_LISTS), as far as the caller knows that.
Source: Binance Spot API, "Filters". A bound or step of 0 is switched off there, and so it is here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias

from libs.trading.market import OrderType, Side
from libs.trading.money import EXACT, is_multiple, is_positive, plain, round_down


class Filter(StrEnum):
    """The exchange's own names of its filters."""

    PRICE_FILTER = "PRICE_FILTER"
    PERCENT_PRICE_BY_SIDE = "PERCENT_PRICE_BY_SIDE"
    LOT_SIZE = "LOT_SIZE"
    MARKET_LOT_SIZE = "MARKET_LOT_SIZE"
    NOTIONAL = "NOTIONAL"
    MAX_POSITION = "MAX_POSITION"
    MAX_NUM_ORDERS = "MAX_NUM_ORDERS"
    MAX_NUM_ALGO_ORDERS = "MAX_NUM_ALGO_ORDERS"
    MAX_NUM_ORDER_LISTS = "MAX_NUM_ORDER_LISTS"


@dataclass(frozen=True, slots=True)
class FilterViolation:
    """One filter that an order would fail, with what it wants and what the order has."""

    filter: Filter
    expected: str
    found: str


Violations: TypeAlias = list[FilterViolation]

_ZERO = Decimal(0)
_WITHOUT_LIMIT: Final = frozenset({OrderType.STOP_LOSS, OrderType.TAKE_PROFIT})
"""Trade at the market once their trigger is reached, which is their only price."""

_TRIGGERED: Final = _WITHOUT_LIMIT | {OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT}
"""What MAX_NUM_ALGO_ORDERS counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What an account has of a symbol beside a new order.

    Attributes:
        held: Free and locked, in base asset.
        buying: The quantities of its open purchases, in base asset.
        orders: How many of its orders are open; `triggered` of them wait for a price.
        lists: How many of its order lists are open.
    """

    held: Decimal = _ZERO
    buying: Decimal = _ZERO
    orders: int = 0
    triggered: int = 0
    lists: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A spot symbol and the rules of its orders; prices in quote, quantities in base, notionals in quote.

    Attributes:
        notional_min_binds_market: Whether `notional_min` holds for market orders; `notional_max_binds_market` likewise.
        position_max: In base asset; None, as of the three counts: unlimited.
        orders_max: Open orders of an account; `triggered_max` of those that wait for a price, `lists_max` of lists.
    """

    symbol: str
    base: str
    quote: str
    price_tick: Decimal
    price_min: Decimal
    price_max: Decimal
    quantity_step: Decimal
    quantity_min: Decimal
    quantity_max: Decimal
    market_quantity_step: Decimal
    market_quantity_min: Decimal
    market_quantity_max: Decimal
    notional_min: Decimal
    notional_max: Decimal | None = None
    bid_multiplier_up: Decimal | None = None
    bid_multiplier_down: Decimal | None = None
    ask_multiplier_up: Decimal | None = None
    ask_multiplier_down: Decimal | None = None
    notional_min_binds_market: bool = True
    notional_max_binds_market: bool = False
    position_max: Decimal | None = None
    orders_max: int | None = None
    triggered_max: int | None = None
    lists_max: int | None = None
    oco_allowed: bool = True
    trading: bool = True

    def floor_quantity(self, quantity: Decimal) -> Decimal:
        """Return the greatest quantity up to `quantity` that one limit order can carry; 0 if that is none."""
        if self.quantity_max > 0:
            quantity = min(quantity, self.quantity_max)
        return round_down(quantity, self.quantity_step)

    def floor_market_quantity(self, quantity: Decimal) -> Decimal:
        """Return the greatest quantity up to `quantity` that one market order can carry; 0 if that is none."""
        if self.market_quantity_max > 0:
            quantity = min(quantity, self.market_quantity_max)
        # Where both filters have a step, one is a multiple of the other on every symbol of the exchange.
        step = max(self.quantity_step, self.market_quantity_step)
        return round_down(self.floor_quantity(quantity), step)

    def violations(
        self,
        order_type: OrderType,
        side: Side,
        quantity: Decimal,
        price: Decimal | None,
        reference_price: Decimal | None,
        *,
        stop_price: Decimal | None = None,
    ) -> tuple[FilterViolation, ...]:
        """Return every filter that this order would fail.

        Args:
            order_type: Its type.
            side: Its side.
            quantity: In base asset.
            price: The limit price, or the trigger of an order that has no limit (STOP_LOSS, TAKE_PROFIT). None for
                MARKET.
            reference_price: What the exchange measures against: its reference price, else the average of the last
                minutes, else the last price. Without one, what depends on it is a violation.
            stop_price: The trigger of an order that has a limit as well.
        """
        if not quantity.is_finite():
            return (FilterViolation(Filter.LOT_SIZE, "a finite quantity", str(quantity)),)
        found: Violations = []
        if order_type is OrderType.MARKET:
            self._lot_size(quantity, found)
            self._market_lot_size(quantity, found)
            self._notional(quantity, None, reference_price, found)
            return tuple(found)
        if not is_positive(price):
            return (FilterViolation(Filter.PRICE_FILTER, "a price above zero", str(price)),)
        self._price_filter(price, found)
        if stop_price is not None:
            self._price_filter(stop_price, found)
        if order_type not in _WITHOUT_LIMIT:  # the trigger itself may lie anywhere
            self._percent_price(side, price, reference_price, found)
        self._lot_size(quantity, found)
        self._notional(quantity, price, reference_price, found, is_limited=order_type not in _WITHOUT_LIMIT)
        return tuple(found)

    def crowding(
        self, order_types: Sequence[OrderType], side: Side, quantity: Decimal, beside: Beside
    ) -> tuple[FilterViolation, ...]:
        """Return every filter that one new order, or one new list, would fail because of what stands beside it.

        Args:
            order_types: Of the new order, or of all orders of the list.
            side: Of the new order, or of the list's first.
            quantity: What the new order, or the list's first, trades, in base asset.
            beside: What the account has of the symbol.
        """
        found: Violations = []
        if self.position_max is not None and side is Side.BUY:
            coming = EXACT.add(EXACT.add(beside.held, beside.buying), quantity)
            _bounds(Filter.MAX_POSITION, coming, _ZERO, self.position_max, found)
        _count(Filter.MAX_NUM_ORDERS, beside.orders, len(order_types), self.orders_max, found)
        triggered = sum(order_type in _TRIGGERED for order_type in order_types)
        _count(Filter.MAX_NUM_ALGO_ORDERS, beside.triggered, triggered, self.triggered_max, found)
        _count(Filter.MAX_NUM_ORDER_LISTS, beside.lists, int(len(order_types) > 1), self.lists_max, found)
        return tuple(found)

    def _price_filter(self, price: Decimal, found: Violations) -> None:
        if not is_positive(price):
            found.append(FilterViolation(Filter.PRICE_FILTER, "a price above zero", str(price)))
            return
        _bounds(Filter.PRICE_FILTER, price, self.price_min, self.price_max, found)
        _step(Filter.PRICE_FILTER, price, self.price_tick, found)

    def _lot_size(self, quantity: Decimal, found: Violations) -> None:
        if quantity <= 0:
            found.append(FilterViolation(Filter.LOT_SIZE, "above 0", plain(quantity)))
        _bounds(Filter.LOT_SIZE, quantity, self.quantity_min, self.quantity_max, found)
        _step(Filter.LOT_SIZE, quantity, self.quantity_step, found)

    def _market_lot_size(self, quantity: Decimal, found: Violations) -> None:
        _bounds(Filter.MARKET_LOT_SIZE, quantity, self.market_quantity_min, self.market_quantity_max, found)
        _step(Filter.MARKET_LOT_SIZE, quantity, self.market_quantity_step, found)

    def _percent_price(self, side: Side, price: Decimal, reference_price: Decimal | None, found: Violations) -> None:
        up, down = (
            (self.bid_multiplier_up, self.bid_multiplier_down)
            if side is Side.BUY
            else (self.ask_multiplier_up, self.ask_multiplier_down)
        )
        if up is None and down is None:
            return
        if not is_positive(reference_price):
            found.append(FilterViolation(Filter.PERCENT_PRICE_BY_SIDE, "a reference price", str(reference_price)))
            return
        lowest = EXACT.multiply(reference_price, down) if down is not None else _ZERO
        highest = EXACT.multiply(reference_price, up) if up is not None else _ZERO
        _bounds(Filter.PERCENT_PRICE_BY_SIDE, price, lowest, highest, found)

    def _notional(
        self,
        quantity: Decimal,
        price: Decimal | None,
        reference_price: Decimal | None,
        found: Violations,
        *,
        is_limited: bool = False,
    ) -> None:
        measure = price if price is not None else reference_price
        if not is_positive(measure):
            found.append(FilterViolation(Filter.NOTIONAL, "a reference price", str(measure)))
            return
        notional = EXACT.multiply(measure, quantity)
        lowest = self.notional_min if price is not None or self.notional_min_binds_market else _ZERO
        binds = is_limited or self.notional_max_binds_market
        highest = self.notional_max if self.notional_max is not None and binds else _ZERO
        _bounds(Filter.NOTIONAL, notional, lowest, highest, found)


def _bounds(name: Filter, value: Decimal, lowest: Decimal, highest: Decimal, found: Violations) -> None:
    if lowest > 0 and value < lowest:
        found.append(FilterViolation(name, f"at least {plain(lowest)}", plain(value)))
    if highest > 0 and value > highest:
        found.append(FilterViolation(name, f"at most {plain(highest)}", plain(value)))


def _step(name: Filter, value: Decimal, step: Decimal, found: Violations) -> None:
    if step > 0 and not is_multiple(value, step):
        found.append(FilterViolation(name, f"a multiple of {plain(step)}", plain(value)))


def _count(name: Filter, known: int, new: int, most: int | None, found: Violations) -> None:
    if most is not None and new > 0 and known + new > most:
        found.append(FilterViolation(name, f"at most {most}", str(known + new)))
