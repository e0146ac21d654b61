"""Where orders meet the market: acceptance, matching, stops, settlement and closing.

Invariant: an order locks exactly what it may still have to give; a closed one locks nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from libs.trading.matching import Fill, Incoming, OrderBook, Plan, SelfTradePrevention, Side, TimeInForce
from services.paper_exchange.market.history import History
from services.paper_exchange.market.reel import TapeEvent
from services.paper_exchange.venue.audience import Audience
from services.paper_exchange.venue.desk import Desk
from services.paper_exchange.venue.filters import stop_is_reached
from services.paper_exchange.venue.ledger import Ledger
from services.paper_exchange.venue.orders import NO_LIST, AccountFill, NewOrder, Order, OrderList
from services.paper_exchange.venue.reports import account_position, execution_report, list_status
from services.paper_exchange.venue.rules import commission_on, text_of

_EXPIRY_REASONS = {
    TimeInForce.IOC: "UNFILLED_IOC_QUANTITY_EXPIRED",
    TimeInForce.FOK: "UNFILLED_FOK_ORDER_EXPIRED",
}


class Floor:
    """Let orders trade, and collect what changed for the journal and what to tell the accounts.

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
        self._orders_changed: dict[int, Order] = {}
        self._lists_changed: dict[int, OrderList] = {}
        self._fills: list[AccountFill] = []
        self._queues_changed: set[int] = set()
        self._waiting: dict[str, dict[int, Order]] = {symbol: {} for symbol in books}
        # The nearest stop prices: a trade between them triggers nothing.
        self._triggers: dict[str, tuple[int, float]] = dict.fromkeys(books, (0, float("inf")))
        self.counters = counters
        self.now_ms = 0

    def restore(self, queue: Mapping[int, int]) -> None:
        """Put the desk's open orders back where they were before a restart."""
        for order in self._desk.open_orders():
            if order.is_working:
                incoming = replace(self._incoming(order), queue_lots=queue.get(order.order_id, 0))
                self._books[order.symbol].restore(incoming)
            else:
                self._wait(order)

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
            self._wait(order)
        return order

    def work(self, order: Order) -> None:
        """Let an accepted order trade and rest as its type says."""
        book = self._books[order.symbol]
        plan = book.submit(self._incoming(order))
        for prevented in map(self._desk.order, plan.prevented):
            self._audience.on_levels(order.symbol, book, prevented.side, (prevented.request.price,))
            self._expire(prevented, "EXPIRED_IN_MATCH", "")
        if order.request.kind == "MARKET" and order.request.quote_units:
            order.lots = sum(fill.lots for fill in plan.fills)
        for fill in plan.fills:
            self._settle(order.symbol, fill, order.side)
        if order.remaining or not order.lots:
            self._dispose(order, plan)
        if order.order_id in book.orders:
            self._queues_changed.add(order.order_id)
            self._audience.on_levels(order.symbol, book, order.side, (order.request.price,))
        self._run_stops(order.symbol, [fill.price for fill in plan.fills])

    def plan(self, account: str, new: NewOrder) -> Plan:
        """Return what an order would do to the book."""
        return self._books[new.rules.symbol].plan(_incoming(new, order_id=0, owner=account, lots=new.lots))

    def fills_of(self, order: Order) -> list[AccountFill]:
        """Return the order's fills that are not in the journal yet."""
        return [fill for fill in self._fills if fill.order_id == order.order_id]

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
        if book.orders:
            self._queues_changed.update(order.order_id for order in book.orders.values() if order.price == trade.price)
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
        self._report_list(order_list)

    def collect(self) -> list[dict[str, Any]]:
        """Return what changed since the last call as journal records, and tell the accounts their balances."""
        touched = self._ledger.collect_touched()
        changes: list[dict[str, Any]] = [order.record() for order in self._orders_changed.values()]
        changes += [order_list.record() for order_list in self._lists_changed.values()]
        changes += [fill.record() for fill in self._fills]
        changes += [
            {
                "type": "balance",
                "account": account,
                "asset": asset,
                "free": text_of(balance.free),
                "locked": text_of(balance.locked),
            }
            for account, asset, balance in touched
        ]
        changes += self._queue_records()
        for account in dict.fromkeys(account for account, _, _ in touched):
            balances = {asset: balance for owner, asset, balance in touched if owner == account}
            self._audience.on_account_event(account, account_position(balances, at_ms=self.now_ms))
        self._orders_changed.clear()
        self._lists_changed.clear()
        self._fills.clear()
        self._queues_changed.clear()
        return changes

    def queue_records(self) -> list[dict[str, Any]]:
        """Return every resting order's place in its queue, for a snapshot."""
        self._queues_changed.update(order_id for book in self._books.values() for order_id in book.orders)
        records = self._queue_records()
        self._queues_changed.clear()
        return records

    def _queue_records(self) -> list[dict[str, Any]]:
        return [
            {"type": "queue", "order_id": order_id, "ahead": book.orders[order_id].ahead_lots}
            for book in self._books.values()
            for order_id in sorted(self._queues_changed & book.orders.keys())
        ]

    def _incoming(self, order: Order) -> Incoming:
        return _incoming(order.request, order_id=order.order_id, owner=order.account, lots=order.remaining)

    def _dispose(self, order: Order, plan: Plan) -> None:
        """Expire what neither traded nor rests."""
        if plan.taker_expires:
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
        self._queues_changed.update(
            order.order_id for order in self._books[symbol].orders.values() if order.price == fill.price
        )

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
        self._fills.append(account_fill)
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
        self._waiting[order.symbol].pop(order.order_id, None)
        self._set_triggers(order.symbol)
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
        self._report_list(order_list)

    def _wait(self, order: Order) -> None:
        self._waiting[order.symbol][order.order_id] = order
        self._set_triggers(order.symbol)

    def _set_triggers(self, symbol: str) -> None:
        waiting = self._waiting[symbol].values()
        below = [order.request.stop_price for order in waiting if order.request.triggers_below]
        above = [order.request.stop_price for order in waiting if not order.request.triggers_below]
        self._triggers[symbol] = (max(below, default=0), min(above, default=float("inf")))

    def _run_stops(self, symbol: str, prices: list[int]) -> None:
        """Trigger the stops that trades at `prices` reach, oldest first."""
        below, above = self._triggers[symbol]
        if not any(price <= below or price >= above for price in prices):
            return
        reached = [
            order
            for order in self._waiting[symbol].values()
            if any(stop_is_reached(order.request, price) for price in prices)
        ]
        for order in reached:
            if order.is_open and not order.is_working:  # the trigger of another may have closed it
                self._trigger(order)

    def _trigger(self, order: Order) -> None:
        self._release_siblings(order)
        del self._waiting[order.symbol][order.order_id]
        self._set_triggers(order.symbol)
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
        self._orders_changed[order.order_id] = order
        self.counters["execution"] += 1
        report = execution_report(
            order,
            execution,
            at_ms=self.now_ms,
            execution_id=self.counters["execution"],
            fill=fill,
            cancel_id=cancel_id,
        )
        self._audience.on_account_event(order.account, report)

    def _report_list(self, order_list: OrderList) -> None:
        self._lists_changed[order_list.list_id] = order_list
        report = list_status(order_list, self._desk.legs(order_list), at_ms=self.now_ms)
        self._audience.on_account_event(order_list.account, report)


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
