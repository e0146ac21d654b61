"""What may be traded and in which sizes: the exchange's filters, checked before it has to refuse.

Invariant: an order without violations passes the static filters of Binance (PRICE_FILTER, PERCENT_PRICE_BY_SIDE,
LOT_SIZE, MARKET_LOT_SIZE, NOTIONAL); filters that count open orders belong to whoever counts them.
Source: Binance Spot API, "Filters". A bound or step of 0 is switched off there, and so it is here.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from libs.trading.market import OrderType, Side
from libs.trading.money import EXACT, is_multiple, is_positive, plain, round_down


class Filter(StrEnum):
    """The exchange's own names of its filters."""

    PRICE_FILTER = "PRICE_FILTER"
    PERCENT_PRICE_BY_SIDE = "PERCENT_PRICE_BY_SIDE"
    LOT_SIZE = "LOT_SIZE"
    MARKET_LOT_SIZE = "MARKET_LOT_SIZE"
    NOTIONAL = "NOTIONAL"


@dataclass(frozen=True, slots=True)
class FilterViolation:
    """One filter that an order would fail, with what it wants and what the order has."""

    filter: Filter
    expected: str
    found: str


Violations: TypeAlias = list[FilterViolation]

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A spot symbol and the rules of its orders; prices in quote, quantities in base, notionals in quote."""

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
    ) -> tuple[FilterViolation, ...]:
        """Return every filter that this order would fail.

        Args:
            order_type: Its type.
            side: Its side.
            quantity: In base asset.
            price: The limit price, or the trigger of an order that has no limit (STOP_LOSS, TAKE_PROFIT); an order
                with both is asked about twice. None for MARKET.
            reference_price: What the exchange measures against: its reference price, else the average of the last
                minutes, else the last price. Without one, what depends on it is a violation.
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
        self._percent_price(side, price, reference_price, found)
        self._lot_size(quantity, found)
        self._notional(quantity, price, reference_price, found)
        return tuple(found)

    def _price_filter(self, price: Decimal, found: Violations) -> None:
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
        self, quantity: Decimal, price: Decimal | None, reference_price: Decimal | None, found: Violations
    ) -> None:
        measure = price if price is not None else reference_price
        if not is_positive(measure):
            found.append(FilterViolation(Filter.NOTIONAL, "a reference price", str(measure)))
            return
        notional = EXACT.multiply(measure, quantity)
        # The exchange bounds market orders from below (applyMinToMarket) but not from above (applyMaxToMarket).
        highest = self.notional_max if self.notional_max is not None and price is not None else _ZERO
        _bounds(Filter.NOTIONAL, notional, self.notional_min, highest, found)


def _bounds(name: Filter, value: Decimal, lowest: Decimal, highest: Decimal, found: Violations) -> None:
    if lowest > 0 and value < lowest:
        found.append(FilterViolation(name, f"at least {plain(lowest)}", plain(value)))
    if highest > 0 and value > highest:
        found.append(FilterViolation(name, f"at most {plain(highest)}", plain(value)))


def _step(name: Filter, value: Decimal, step: Decimal, found: Violations) -> None:
    if step > 0 and not is_multiple(value, step):
        found.append(FilterViolation(name, f"a multiple of {plain(step)}", plain(value)))
