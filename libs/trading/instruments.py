"""What may be traded and in which sizes: the exchange's filters, checked before it has to refuse.

Invariant: an order without violations passes the static filters of Binance (PRICE_FILTER, PERCENT_PRICE_BY_SIDE,
LOT_SIZE, MARKET_LOT_SIZE, NOTIONAL); filters that count open orders belong to whoever counts them.
Source: Binance Spot API, "Filters". A bound or step of 0 is switched off there, and so it is here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from libs.trading.market import OrderType, Side
from libs.trading.money import exact, is_multiple, is_positive, plain, round_down


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
        if order_type is OrderType.MARKET:
            return (
                *self._lot_size(quantity),
                *self._market_lot_size(quantity),
                *self._notional(quantity, None, reference_price),
            )
        if not is_positive(price):
            return (FilterViolation(Filter.PRICE_FILTER, "a price above zero", str(price)),)
        return (
            *self._price_filter(price),
            *self._percent_price(side, price, reference_price),
            *self._lot_size(quantity),
            *self._notional(quantity, price, reference_price),
        )

    def _price_filter(self, price: Decimal) -> Iterator[FilterViolation]:
        yield from _bounds(Filter.PRICE_FILTER, price, self.price_min, self.price_max)
        yield from _step(Filter.PRICE_FILTER, price, self.price_tick)

    def _lot_size(self, quantity: Decimal) -> Iterator[FilterViolation]:
        if quantity <= 0:
            yield FilterViolation(Filter.LOT_SIZE, "above 0", plain(quantity))
        yield from _bounds(Filter.LOT_SIZE, quantity, self.quantity_min, self.quantity_max)
        yield from _step(Filter.LOT_SIZE, quantity, self.quantity_step)

    def _market_lot_size(self, quantity: Decimal) -> Iterator[FilterViolation]:
        yield from _bounds(Filter.MARKET_LOT_SIZE, quantity, self.market_quantity_min, self.market_quantity_max)
        yield from _step(Filter.MARKET_LOT_SIZE, quantity, self.market_quantity_step)

    def _percent_price(self, side: Side, price: Decimal, reference_price: Decimal | None) -> Iterator[FilterViolation]:
        up, down = (
            (self.bid_multiplier_up, self.bid_multiplier_down)
            if side is Side.BUY
            else (self.ask_multiplier_up, self.ask_multiplier_down)
        )
        if up is None and down is None:
            return
        if not is_positive(reference_price):
            yield FilterViolation(Filter.PERCENT_PRICE_BY_SIDE, "a reference price", str(reference_price))
            return
        with exact():
            lowest = reference_price * down if down is not None else Decimal(0)
            highest = reference_price * up if up is not None else Decimal(0)
        yield from _bounds(Filter.PERCENT_PRICE_BY_SIDE, price, lowest, highest)

    def _notional(
        self, quantity: Decimal, price: Decimal | None, reference_price: Decimal | None
    ) -> Iterator[FilterViolation]:
        measure = price if price is not None else reference_price
        if not is_positive(measure):
            yield FilterViolation(Filter.NOTIONAL, "a reference price", str(measure))
            return
        with exact():
            notional = measure * quantity
        # The exchange bounds market orders from below (applyMinToMarket) but not from above (applyMaxToMarket).
        highest = self.notional_max if self.notional_max is not None and price is not None else Decimal(0)
        yield from _bounds(Filter.NOTIONAL, notional, self.notional_min, highest)


def _bounds(name: Filter, value: Decimal, lowest: Decimal, highest: Decimal) -> Iterator[FilterViolation]:
    if lowest > 0 and value < lowest:
        yield FilterViolation(name, f"at least {plain(lowest)}", plain(value))
    if highest > 0 and value > highest:
        yield FilterViolation(name, f"at most {plain(highest)}", plain(value))


def _step(name: Filter, value: Decimal, step: Decimal) -> Iterator[FilterViolation]:
    if step > 0 and not is_multiple(value, step):
        yield FilterViolation(name, f"a multiple of {plain(step)}", plain(value))
