"""Where orders meet the market: acceptance, matching, stops, settlement and closing.

Invariant: an order locks exactly what it may still have to give; a closed one locks nothing.
"""

from collections.abc import Mapping

from libs.trading.matching import Fill, Incoming, OrderBook, Place, Plan, SelfTradePrevention, Side, TimeInForce
from services.paper_exchange.market.history import History
from services.paper_exchange.market.reel import TapeEvent
from services.paper_exchange.venue.audience import Audience
from services.paper_exchange.venue.changes import Changes
from services.paper_exchange.venue.desk import Desk
from services.paper_exchange.venue.ledger import Ledger
from services.paper_exchange.venue.orders import NO_LIST, AccountFill, NewOrder, Order, OrderList
from services.paper_exchange.venue.rules import commission_on
from services.paper_exchange.venue.stops import Stops

_EXPIRY_REASONS = {
    TimeInForce.IOC: "UNFILLED_IOC_QUANTITY_EXPIRED",
    TimeInForce.FOK: "UNFILLED_FOK_ORDER_EXPIRED",
}


class Floor:
    """Let orders trade, and note in `changes` what comes of it.

    Args:
        books: One order book for each symbol.
        history: Numbers and remembers the trades.
        desk: Knows the orders.
        ledger: Knows the balances.
        audience: Is told what happens.
        counters: The last order, list and execution ids given out.
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
        self._books = books
        self._history = history
        self._desk = desk
        self._ledger = ledger
        self._audience = audience
        self._stops = Stops(books)
        self.changes = Changes(books=books, desk=desk, ledger=ledger, audience=audience, counters=counters)
        self.counters = counters
        self.now_ms = 0

    def restore(self, queue: Mapping[int, int]) -> None:
        """Put the desk's open orders back where they were before a restart."""
        for order in self._desk.open_orders():
            if order.is_working:
                place = Place(queue.get(order.order_id, 0), order.remaining, 0)
                self._books[order.symbol].restore(self._incoming(order), place)
            else:
                self._stops.add(order)

    def accept(self, account: str, new: NewOrder, *, locked: int, list_id: int = NO_LIST) -> Order:
        """Take an order in whose `locked` funds are held already, and report it as new."""
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
        )
        if not new.is_stop:
            order.working_ms = self.now_ms
        self._desk.add(order)
        self._report(order, "NEW")
        if new.is_stop:
            self._stops.add(order)
        return order

    def work(self, order: Order) -> None:
        """Let an accepted order trade and rest as its type says."""
        book = self._books[order.symbol]
        plan = book.submit(self._incoming(order))
        for prevented in map(self._desk.order, (match.maker for match in plan.prevented)):
            self._audience.on_levels(order.symbol, book, prevented.side, (prevented.request.price,))
            self._expire(prevented, "EXPIRED_IN_MATCH", "")
        if order.request.kind == "MARKET" and order.request.quote_units:
            order.lots = sum(fill.lots for fill in plan.fills)
        for fill in plan.fills:
            self._settle(order.symbol, fill, order.side)
        if order.remaining or not order.lots:
            self._dispose(order, plan)
        if order.order_id in book.orders:
            self.changes.note_queue((order.order_id,))
            self._audience.on_levels(order.symbol, book, order.side, (order.request.price,))
        self._run_stops(order.symbol, [fill.price for fill in plan.fills])

    def plan(self, account: str, new: NewOrder) -> Plan:
        """Return what an order would do to the book."""
        return self._books[new.rules.symbol].plan(_incoming(new, order_id=0, owner=account, lots=new.lots))

    def fills_of(self, order: Order) -> list[AccountFill]:
        """Return the order's fills that are not in the journal yet."""
        return [fill for fill in self.changes.fills if fill.order_id == order.order_id]

    def on_tape_event(self, event: TapeEvent) -> None:
        """Let the recorded market meet the clients' orders."""
        symbol = event.symbol
        book = self._books[symbol]
        if event.quote is not None:
            before = book.quote
            fills = book.on_quote(event.quote)
            self._audience.on_quote(symbol, book, before)
            self._settle_makers(symbol, fills)
            return
        trade = self._history.tape_trade(symbol, event.ordinal)
        self._note_queue_at(symbol, trade.price)
        fills = book.on_trade(trade.price, trade.lots)
        self._audience.on_trade(symbol, trade)
        self._settle_makers(symbol, fills)
        self._run_stops(symbol, [trade.price])

    def cancel(self, order: Order, cancel_id: str) -> None:
        """Cancel an open order; as a leg of a list it takes the other leg along."""
        for leg in self._family(order):
            if leg.is_open:
                self._leave_book(leg)
                self._close(leg, "CANCELED", "CANCELED", cancel_id=cancel_id)
        self._finish_list(order)

    def open_list(self, order_list: OrderList) -> None:
        """Note a new list and tell its account."""
        self._desk.add_list(order_list)
        self.changes.report_list(order_list, at_ms=self.now_ms)

    def _incoming(self, order: Order) -> Incoming:
        return _incoming(order.request, order_id=order.order_id, owner=order.account, lots=order.remaining)

    def _dispose(self, order: Order, plan: Plan) -> None:
        """Expire what neither traded nor rests."""
        if plan.prevented_lots:
            self._expire(order, "EXPIRED_IN_MATCH", "")
        elif not order.request.price:
            self._expire(order, "EXPIRED", "INSUFFICIENT_LIQUIDITY")
        elif order.request.time_in_force in _EXPIRY_REASONS:
            self._expire(order, "EXPIRED", _EXPIRY_REASONS[order.request.time_in_force])

    def _settle_makers(self, symbol: str, fills: list[Fill]) -> None:
        for fill in fills:
            if fill.maker is not None:
                self._settle(symbol, fill, self._desk.order(fill.maker).side.opposite)
        self._run_stops(symbol, [fill.price for fill in fills])

    def _settle(self, symbol: str, fill: Fill, taker_side: Side) -> None:
        """Move the money of one trade, report it to each client in it, and print it."""
        trade = self._history.add_client_trade(
            symbol, at_ms=self.now_ms, price=fill.price, lots=fill.lots, buyer_is_maker=taker_side is Side.SELL
        )
        for order_id, is_maker in ((fill.maker, True), (fill.taker, False)):
            if order_id is not None:
                self._execute(self._desk.order(order_id), fill, trade.trade_id, is_maker=is_maker)
        self._audience.on_trade(symbol, trade)
        self._audience.on_levels(symbol, self._books[symbol], taker_side.opposite, (fill.price,))
        self._note_queue_at(symbol, fill.price)

    def _execute(self, order: Order, fill: Fill, trade_id: int, *, is_maker: bool) -> None:
        rules = order.request.rules
        self._release_siblings(order)
        order.executed += fill.lots
        order.spent += fill.price * fill.lots
        order.updated_ms = self.now_ms
        cost, base = rules.notional(fill.price, fill.lots), rules.base_units(fill.lots)
        received, given = (base, cost) if order.side is Side.BUY else (cost, base)
        commission = commission_on(received)
        self._ledger.pay(order.account, order.gives, given)
        self._ledger.credit(order.account, order.receives, received - commission)
        order.locked -= given
        if order.side is Side.BUY and order.request.price:
            self._release(order, rules.notional(order.request.price, order.remaining))
        order.status = "PARTIALLY_FILLED" if order.remaining else "FILLED"
        account_fill = AccountFill(
            trade_id=trade_id,
            order_id=order.order_id,
            client_id=order.request.client_id,
            list_id=order.list_id,
            account=order.account,
            symbol=order.symbol,
            side=order.side,
            price=fill.price,
            lots=fill.lots,
            commission=commission,
            commission_asset=order.receives,
            is_maker=is_maker,
            at_ms=self.now_ms,
            place_ms=self._history.place_ms,
        )
        self.changes.fills.append(account_fill)
        self._desk.add_fill(account_fill)
        self._report(order, "TRADE", fill=account_fill)
        if not order.remaining:
            self._release(order, 0)
            self._desk.close(order)
            self._finish_list(order)

    def _release(self, order: Order, needed: int) -> None:
        """Give back what the order locks beyond `needed`."""
        if order.locked == needed:
            return
        self._ledger.unlock(order.account, order.gives, order.locked - needed)
        order.locked = needed

    def _expire(self, order: Order, status: str, reason: str) -> None:
        self._release_siblings(order)
        order.expiry_reason = reason
        self._leave_book(order)
        self._close(order, status, "EXPIRED")
        self._finish_list(order)

    def _close(self, order: Order, status: str, execution: str, *, cancel_id: str = "") -> None:
        order.status = status
        order.updated_ms = self.now_ms
        self._release(order, 0)
        self._desk.close(order)
        self._stops.discard(order)
        self._report(order, execution, cancel_id=cancel_id)

    def _leave_book(self, order: Order) -> None:
        book = self._books[order.symbol]
        if order.order_id in book.orders:
            book.cancel(order.order_id)
            self._audience.on_levels(order.symbol, book, order.side, (order.request.price,))

    def _family(self, order: Order) -> list[Order]:
        order_list = self._desk.list_of(order)
        return [order] if order_list is None else self._desk.legs(order_list)

    def _release_siblings(self, order: Order) -> None:
        """Expire the other leg of a list, and let `order` take over the funds that both shared."""
        for sibling in self._family(order):
            if sibling is not order and sibling.is_open:
                if sibling.locked:
                    order.locked, sibling.locked = order.locked + sibling.locked, 0
                self._leave_book(sibling)
                sibling.expiry_reason = "OCO_TRIGGER"
                self._close(sibling, "EXPIRED", "EXPIRED")

    def _finish_list(self, order: Order) -> None:
        order_list = self._desk.list_of(order)
        if order_list is None or order_list.done or any(leg.is_open for leg in self._desk.legs(order_list)):
            return
        order_list.done = True
        self.changes.report_list(order_list, at_ms=self.now_ms)

    def _run_stops(self, symbol: str, prices: list[int]) -> None:
        """Trigger the stops that trades at `prices` reach, oldest first."""
        for order in self._stops.reached(symbol, prices):
            if order.is_open and not order.is_working:  # the trigger of another may have closed it
                self._trigger(order)

    def _trigger(self, order: Order) -> None:
        self._release_siblings(order)
        self._stops.discard(order)
        if not self._fund_triggered(order):
            self._expire(order, "EXPIRED", "REJECTED")
            return
        order.working_ms = order.updated_ms = self.now_ms
        self._report(order, "NEW")
        self.work(order)

    def _fund_triggered(self, order: Order) -> bool:
        """Lock what the order needs now that it works; a buy at market may cost more than its stop price said."""
        rules, request = order.request.rules, order.request
        if order.side is Side.SELL:
            needed = rules.base_units(order.lots)
        elif request.price:
            needed = rules.notional(request.price, order.lots)
        else:
            plan = self._books[order.symbol].plan(self._incoming(order))
            needed = sum(rules.notional(fill.price, fill.lots) for fill in plan.fills)
        missing = needed - order.locked
        if missing > self._ledger.balance(order.account, order.gives).free:
            return False
        if missing > 0:
            self._ledger.lock(order.account, order.gives, missing)
        else:
            self._ledger.unlock(order.account, order.gives, -missing)
        order.locked = needed
        return True

    def _report(self, order: Order, execution: str, *, fill: AccountFill | None = None, cancel_id: str = "") -> None:
        self.changes.report(order, execution, at_ms=self.now_ms, fill=fill, cancel_id=cancel_id)

    def _note_queue_at(self, symbol: str, price: int) -> None:
        orders = self._books[symbol].orders.values()
        self.changes.note_queue(order.order_id for order in orders if order.price == price)


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
        prevention=SelfTradePrevention(request.prevention),
    )
