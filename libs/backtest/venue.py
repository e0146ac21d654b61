"""The exchange of a backtest: orders of one account on one symbol's candles.

Invariant: matching is the core's (`libs.trading.matching`); what is decided here is only which prices it sees.

Within a candle the price goes from the open to the worse extreme and then to the better one, because the order in which
it saw them is not recorded: where stop and target lie in the same candle, the stop was first. An order at the market
pays half the spread and the slippage. A stop that the open is already beyond sells at the open, any other at its
trigger. A resting target fills at its own price once a trade was *beyond* it; a trade at the price itself may have been
filled by others, who were there first. Any quantity fills: what these candles show of volume says nothing of the book.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from libs.backtest.costs import Costs, Prices
from libs.trading.instruments import Instrument
from libs.trading.market import Quote, Side
from libs.trading.matching import Incoming, OrderBook, TimeInForce
from libs.trading.matching import Quote as BookQuote
from libs.trading.matching import Side as BookSide
from libs.trading.money import EXACT

_OWNER: Final = "backtest"
_ENDLESS_LOTS: Final = 10**15


class FillKind(StrEnum):
    """Why something was bought or sold."""

    ENTRY = "entry"
    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"
    STRATEGY = "strategy"
    TIME = "time"
    LIQUIDATION = "liquidation"


class Execution(NamedTuple):
    """A fill.

    Attributes:
        fee: In base asset for a purchase, in quote asset for a sale.
        arrival_price: Where the market was when it was decided; the trigger of a stop, the price of a target.
    """

    kind: FillKind
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    arrival_price: float


class _Protection(NamedTuple):
    """An order list that protects a position: a stop and a target."""

    quantity: Decimal
    stop_ticks: int
    target_ticks: int


class Venue:
    """Fills one account's orders.

    Args:
        instrument: The symbol's rules.
        costs: What a fill costs.
    """

    def __init__(self, instrument: Instrument, costs: Costs) -> None:
        self._instrument = instrument
        self._costs = costs
        self._prices = Prices.of(costs)
        self._tick = float(instrument.price_tick)
        self._book = OrderBook(depth=_NoDepth(), quote=BookQuote(1, _ENDLESS_LOTS, 2, _ENDLESS_LOTS))
        self._order_id = 0
        self._protection: _Protection | None = None

    @property
    def is_protecting(self) -> bool:
        """Whether a stop and a target stand."""
        return self._protection is not None

    def quote(self, price: float, at_ms: int) -> Quote:
        """Return the best bid and ask around a price."""
        bid, ask = self._prices.quote(self._ticks(price))
        endless = Decimal(_ENDLESS_LOTS)
        return Quote(self._instrument.symbol, self._price(bid), self._price(ask), endless, endless, at_ms)

    def buy(self, quantity: Decimal, limit: Decimal, price: float, *, decided_at: float) -> Execution | None:
        """Buy at once or not at all.

        Args:
            quantity: In base asset, on the step.
            limit: The worst price, on the tick.
            price: Where the market is.
            decided_at: Where it was when that was decided.

        Returns:
            None where the market is beyond the limit.
        """
        ask = self._prices.bought_at(self._ticks(price))
        self._book.on_quote(BookQuote(ask - 1, _ENDLESS_LOTS, ask, _ENDLESS_LOTS))
        order = Incoming(
            self._next_id(),
            _OWNER,
            BookSide.BUY,
            self._ticks_of(limit),
            self._lots_of(quantity),
            time_in_force=TimeInForce.IOC,
        )
        fills = self._book.submit(order).fills
        if not fills:
            return None
        return self._execution(FillKind.ENTRY, Side.BUY, quantity, fills[0].price, decided_at)

    def protect(self, quantity: Decimal, stop: Decimal, target: Decimal) -> None:
        """Place stop and target; what touches one cancels the other."""
        self._protection = _Protection(quantity, self._ticks_of(stop), self._ticks_of(target))

    def move_stop(self, stop: Decimal) -> None:
        """Place stop and target anew, the stop here; the market may be beyond it already when the next candle opens."""
        if self._protection is not None:
            self._protection = self._protection._replace(stop_ticks=self._ticks_of(stop))

    def unprotect(self) -> None:
        """Cancel stop and target, if they stand."""
        self._protection = None

    def sell(self, kind: FillKind, quantity: Decimal, price: float, *, decided_at: float) -> Execution:
        """Sell at the market; nothing else may be working."""
        return self._sell(kind, quantity, self._ticks(price), decided_at)

    def pass_through(self, opened: float, high: float, low: float) -> Execution | None:
        """Let the price go through a candle and return what it filled of the protection."""
        protection = self._protection
        if protection is None:
            return None
        opened_ticks = self._ticks(opened)
        if opened_ticks <= protection.stop_ticks:
            return self._stopped(protection, opened_ticks)
        if (execution := self._trade(protection, opened_ticks)) is not None:
            return execution
        if self._ticks(low) <= protection.stop_ticks:
            return self._stopped(protection, protection.stop_ticks)
        return self._trade(protection, self._ticks(high))

    def _trade(self, protection: _Protection, ticks: int) -> Execution | None:
        """Let a trade print, with the target resting in the book; it needs to be there only while one does."""
        target = protection.target_ticks
        if ticks < target:
            return None
        order_id = self._next_id()
        self._book.on_quote(BookQuote(target - 1, _ENDLESS_LOTS, target + 1, _ENDLESS_LOTS))
        self._book.submit(Incoming(order_id, _OWNER, BookSide.SELL, target, self._lots_of(protection.quantity)))
        fills = self._book.on_trade(ticks, 0)
        if not fills:
            self._book.cancel(order_id)
            return None
        self._protection = None
        return self._execution(
            FillKind.TAKE_PROFIT, Side.SELL, protection.quantity, fills[0].price, target * self._tick
        )

    def _stopped(self, protection: _Protection, ticks: int) -> Execution:
        self.unprotect()
        return self._sell(FillKind.STOP_LOSS, protection.quantity, ticks, protection.stop_ticks * self._tick)

    def _sell(self, kind: FillKind, quantity: Decimal, ticks: int, decided_at: float) -> Execution:
        bid = max(self._prices.sold_at(ticks), 1)
        self._book.on_quote(BookQuote(bid, _ENDLESS_LOTS, bid + 1, _ENDLESS_LOTS))
        order = Incoming(self._next_id(), _OWNER, BookSide.SELL, None, self._lots_of(quantity))
        [fill] = self._book.submit(order).fills
        return self._execution(kind, Side.SELL, quantity, fill.price, decided_at)

    def _execution(self, kind: FillKind, side: Side, quantity: Decimal, ticks: int, decided_at: float) -> Execution:
        price = self._price(ticks)
        received = quantity if side is Side.BUY else EXACT.multiply(quantity, price)
        return Execution(kind, side, quantity, price, self._costs.fee(received), decided_at)

    def _next_id(self) -> int:
        self._order_id += 1
        return self._order_id

    def _ticks(self, price: float) -> int:
        return round(price / self._tick)

    def _ticks_of(self, price: Decimal) -> int:
        return int(EXACT.divide_int(price, self._instrument.price_tick))

    def _lots_of(self, quantity: Decimal) -> int:
        return int(EXACT.divide_int(quantity, self._instrument.quantity_step))

    def _price(self, ticks: int) -> Decimal:
        return EXACT.multiply(self._instrument.price_tick, Decimal(ticks))


class _NoDepth:
    """No levels behind the best: it is endless already."""

    def next_price(self, side: BookSide, price: int) -> int | None:
        del side, price
        return None

    def lots(self, side: BookSide, price: int) -> int:
        del side, price
        return 0
