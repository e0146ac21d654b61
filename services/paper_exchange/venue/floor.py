"""Where orders meet the market: acceptance, matching and stops.

Invariant: an order locks exactly what it may still have to give; a closed one locks nothing.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from libs.trading.matching import Fill, Incoming, OrderBook, Plan, SelfTradePrevention, Side, TimeInForce
from services.paper_exchange.market.history import History
from services.paper_exchange.market.reel import TapeEvent
from services.paper_exchange.venue.audience import Audience
from services.paper_exchange.venue.changes import Changes
from services.paper_exchange.venue.closing import Closing
from services.paper_exchange.venue.desk import Desk
from services.paper_exchange.venue.floor_state import FloorState
from services.paper_exchange.venue.ledger import Ledger
from services.paper_exchange.venue.orders import NO_LIST, PENDING, AccountFill, NewOrder, Order, Prevented
from services.paper_exchange.venue.records import place_of
from services.paper_exchange.venue.settlement import Settlement
from services.paper_exchange.venue.stops import Stops
from services.paper_exchange.venue.trailing import begin

_EXPIRY_REASONS = {
    TimeInForce.IOC: "UNFILLED_IOC_QUANTITY_EXPIRED",
    TimeInForce.FOK: "UNFILLED_FOK_ORDER_EXPIRED",
}
_OUT_OF_RANGE = "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"
# No account here belongs to a trade group, and within one account a transfer is a decrement (Binance's STP FAQ).
_PREVENTION = {mode.value: mode for mode in SelfTradePrevention} | {"TRANSFER": SelfTradePrevention.DECREMENT}


class Floor:
    """Let orders trade, and note in `changes` what comes of it.

    Args:
        books: One order book for each symbol.
        history: Numbers and remembers the trades.
        desk: Knows the orders.
        ledger: Knows the balances.
        audience: Is told what happens.
        counters: The last order, list, execution and prevented match ids given out.
    """

    def __init__(
        self,
        *,
        books: Mapping[str, OrderBook],
        history: History,
        desk: Desk,
        ledger: Ledger,
        audience: Audience,
        counters: dict[str, int],
    ) -> None:
        self.books = books
        self._history = history
        self._desk = desk
        self._ledger = ledger
        self._audience = audience
        self._stops = Stops(books)
        self.changes = Changes(books=books, desk=desk, ledger=ledger, audience=audience, counters=counters)
        self.counters = counters
        self._state = FloorState(
            books=books,
            history=history,
            desk=desk,
            ledger=ledger,
            audience=audience,
            changes=self.changes,
            stops=self._stops,
            counters=counters,
        )
        self._closing = Closing(self._state)
        self._settlement = Settlement(self._state, self._closing)

    @property
    def now_ms(self) -> int:
        """Exchange time."""
        return self._state.now_ms

    @now_ms.setter
    def now_ms(self, now_ms: int) -> None:
        self._state.now_ms = now_ms

    def restore(self, queue: Mapping[int, Mapping[str, Any]]) -> None:
        """Put the desk's open orders back where they were before a restart."""
        resting = []
        for order in self._desk.open_orders():
            if order.is_working:
                resting.append((order, place_of(queue.get(order.order_id, {}), order.remaining)))
            elif not order.is_pending:
                self._stops.add(order)
        for order, place in sorted(resting, key=lambda each: each[1].turn):
            self.books[order.symbol].restore(self._incoming(order), place)

    def accept(self, account: str, new: NewOrder, *, locked: int, list_id: int = NO_LIST) -> Order:
        """Take an order in whose `locked` funds are held already, and report it as new."""
        order = self._take_in(account, new, list_id=list_id, locked=locked)
        self.activate(order)
        return order

    def accept_pending(self, account: str, new: NewOrder, *, list_id: int) -> Order:
        """Take an order in that waits for the working order of its list, and report it as pending."""
        order = self._take_in(account, new, list_id=list_id, status=PENDING)
        self._state.report(order, "NEW")
        return order

    def activate(self, order: Order) -> None:
        """Let an order that was taken in begin: a stop to wait for the market, any other to work; report it as new."""
        new = order.request
        order.status = "NEW"
        order.updated_ms = self.now_ms
        if not new.is_stop:
            order.working_ms = self.now_ms
        elif new.trailing_delta and not new.stop_price:
            begin(order, self._history.last_trade(order.symbol).price, at_ms=self.now_ms)
        self._state.report(order, "NEW")
        if new.is_stop:
            self._stops.add(order)

    def _take_in(self, account: str, new: NewOrder, *, list_id: int, locked: int = 0, status: str = "NEW") -> Order:
        self.counters["order"] += 1
        order = Order(
            order_id=self.counters["order"],
            account=account,
            request=new,
            lots=new.lots,
            created_ms=self.now_ms,
            updated_ms=self.now_ms,
            list_id=list_id,
            locked=locked,
            status=status,
        )
        self._desk.add(order)
        return order

    def work(self, order: Order, *, lots_max: int | None = None) -> None:
        """Let an accepted order trade and rest as its type says, or trade `lots_max` at most and expire."""
        book = self.books[order.symbol]
        incoming = self._incoming(order)
        if lots_max is not None:
            incoming = replace(incoming, lots=lots_max, time_in_force=TimeInForce.IOC)
        plan = book.submit(incoming)
        if order.request.kind == "MARKET" and order.request.quote_units:
            order.lots = sum(fill.lots for fill in plan.fills) + plan.prevented_lots
        for step in plan.steps:
            if isinstance(step, Fill):
                self._settlement.settle(order.symbol, step, order.side)
            else:
                self._settlement.prevent(order, step)
        if order.order_id in book.orders:
            self._state.show_levels(order.symbol, order.side, order.request.price)
        elif order.is_open:
            limited = order.request.price > 0
            reason = _EXPIRY_REASONS[order.request.time_in_force] if limited else "INSUFFICIENT_LIQUIDITY"
            self._closing.expire(order, reason if lots_max is None else _OUT_OF_RANGE)
        self._run_stops(order.symbol, [fill.price for fill in plan.fills])

    def plan(self, account: str, new: NewOrder) -> Plan:
        """Return what an order would do to the book."""
        return self.books[new.rules.symbol].plan(_incoming(new, order_id=0, owner=account, lots=new.lots))

    def fills_of(self, order: Order) -> list[AccountFill]:
        """Return the order's fills that are not in the journal yet."""
        return [fill for fill in self.changes.fills if fill.order_id == order.order_id]

    def prevented_of(self, order: Order) -> list[Prevented]:
        """Return the matches as a taker that the order was kept from and that are not in the journal yet."""
        return [match for match in self.changes.prevented if match.taker_id == order.order_id]

    def on_tape_event(self, event: TapeEvent) -> None:
        """Let the recorded market meet the clients' orders."""
        symbol = event.symbol
        book = self.books[symbol]
        if event.quote is not None:
            before = book.quote
            fills = book.on_quote(event.quote)
            self._audience.on_quote(symbol, book, before)
            self._settle_makers(symbol, fills)
            return
        trade = self._history.tape_trade(symbol, event.ordinal)
        if book.orders:
            for side in Side:
                self.changes.note_queue(order.order_id for order in book.queue(side, trade.price))
        fills = book.on_trade(trade.price, trade.lots)
        self._audience.on_trade(symbol, trade)
        self._settle_makers(symbol, fills)
        self._run_stops(symbol, [trade.price])

    @property
    def due(self) -> deque[Order]:
        """The working orders that have filled and whose pending orders are to be placed."""
        return self._state.due

    def fund(self, order: Order, needed: int) -> None:
        """Let an order hold back what it needs, no more and no less.

        Raises:
            ApiError: There is not enough.
        """
        if needed > order.locked:
            self._ledger.lock(order.account, order.gives, needed - order.locked)
            order.locked = needed
        else:
            self._state.release(order, needed)

    def reject(self, order: Order) -> None:
        """End an order that cannot be placed when it is its turn, and the others that waited with it."""
        self._closing.expire(order, "REJECTED")

    def cancel(self, order: Order, cancel_id: str) -> None:
        """Cancel an open order, and with it the whole list that it is in."""
        self._closing.cancel(order, cancel_id)

    def _incoming(self, order: Order) -> Incoming:
        return _incoming(order.request, order_id=order.order_id, owner=order.account, lots=order.remaining)

    def _settle_makers(self, symbol: str, fills: Sequence[Fill]) -> None:
        for fill in fills:
            if fill.maker is not None:
                self._settlement.settle(symbol, fill, self._desk.order(fill.maker).side.opposite)
        self._run_stops(symbol, [fill.price for fill in fills])

    def _run_stops(self, symbol: str, prices: Sequence[int]) -> None:
        """Trigger the stops that trades at `prices` reach, oldest first."""
        triggered, moved = self._stops.follow(symbol, prices, at_ms=self.now_ms)
        for order in moved:
            self.changes.note(order)
        triggered += self._stops.reached(symbol, prices)
        for order in sorted(triggered, key=lambda order: order.order_id):
            if order.is_open and not order.is_working:  # the trigger of another may have closed it
                self._trigger(order)

    def _trigger(self, order: Order) -> None:
        self._closing.release_siblings(order)
        self._stops.discard(order)
        if not self._fund_triggered(order):
            self.reject(order)
            return
        order.working_ms = order.updated_ms = self.now_ms
        self._state.report(order, "NEW")
        self.work(order)

    def _fund_triggered(self, order: Order) -> bool:
        """Lock what the order needs now that it works; a buy at market may cost more than its stop price said."""
        if order.request.price or order.side is Side.SELL:
            needed = order.needed
        else:
            plan = self.books[order.symbol].plan(self._incoming(order))
            needed = sum(order.request.rules.notional(fill.price, fill.lots) for fill in plan.fills)
        if needed - order.locked > self._ledger.balance(order.account, order.gives).free:
            return False
        self.fund(order, needed)
        return True


def _incoming(request: NewOrder, *, order_id: int, owner: str, lots: int) -> Incoming:
    by_amount = request.kind == "MARKET" and request.quote_units > 0
    return Incoming(
        order_id=order_id,
        owner=owner,
        side=request.side,
        limit=request.price or None,
        lots=None if by_amount else lots,
        amount=request.quote_units // request.rules.notional_factor if by_amount else None,
        time_in_force=request.time_in_force,
        prevention=_PREVENTION[request.prevention],
        part_lots=request.iceberg_lots,
    )
