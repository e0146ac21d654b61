"""One symbol's order book: recorded liquidity and the clients' orders, matched by price and then time.

Invariant: after every call no client's order rests at or through the other side's best price.
"""

from bisect import insort
from collections.abc import Iterator

from libs.trading.matching.types import (
    Depth,
    Fill,
    Incoming,
    Plan,
    Quote,
    Resting,
    SelfTradePrevention,
    Side,
    TimeInForce,
)


class OrderBook:
    """Match orders against the recorded market and each other.

    Args:
        depth: The rule for the levels behind the recorded best.
        quote: The recorded best bid and ask to begin with.
    """

    def __init__(self, *, depth: Depth, quote: Quote) -> None:
        self._depth = depth
        self._quote = quote
        self._orders: dict[int, Resting] = {}
        self._levels: dict[Side, dict[int, list[Resting]]] = {Side.BUY: {}, Side.SELL: {}}
        # Sort keys of the prices with clients' orders, best first: a bid sorts by its negative.
        self._keys: dict[Side, list[int]] = {Side.BUY: [], Side.SELL: []}
        self._taken: dict[Side, dict[int, int]] = {Side.BUY: {}, Side.SELL: {}}

    @property
    def quote(self) -> Quote:
        """The recorded best bid and ask in force."""
        return self._quote

    @property
    def orders(self) -> dict[int, Resting]:
        """The clients' resting orders by id; not to be changed."""
        return self._orders

    def recorded_lots(self, side: Side, price: int) -> int:
        """Return the recorded quantity at `price` that no client has taken yet."""
        best, lots = self._recorded_best(side)
        if price != best:
            worse = price < best if side is Side.BUY else price > best
            lots = self._depth.lots(side, price) if worse else 0
        return max(0, lots - self._taken[side].get(price, 0))

    def lots_at(self, side: Side, price: int) -> int:
        """Return everything on offer at `price`: recorded quantity and clients' orders."""
        return self.recorded_lots(side, price) + sum(order.lots for order in self._levels[side].get(price, ()))

    def levels(self, side: Side) -> Iterator[tuple[int, int]]:
        """Yield price and quantity of every level on `side`, best first."""
        for price in self._prices(side):
            lots = self.lots_at(side, price)
            if lots:
                yield price, lots

    def ruled_prices(self, side: Side, first: int, last: int) -> Iterator[int]:
        """Yield the prices between two on `side` at which the rule for deeper levels has one."""
        better, worse = (max(first, last), min(first, last)) if side is Side.BUY else sorted((first, last))
        price = self._depth.next_price(side, better)
        while price is not None and (price >= worse if side is Side.BUY else price <= worse):
            yield price
            price = self._depth.next_price(side, price)

    def best(self, side: Side) -> tuple[int, int] | None:
        """Return price and quantity of the best level on `side`, or `None` where nothing is on offer."""
        return next(self.levels(side), None)

    def plan(self, order: Incoming) -> Plan:
        """Return what `order` would do, and change nothing."""
        wanted = order.lots
        amount = order.amount
        fills: list[Fill] = []
        prevented: list[int] = []
        for price, lots, maker in self._offers(order.side.opposite, order.limit):
            if amount is not None:
                wanted = amount // price
            if not wanted:
                break
            if maker is not None and maker.owner == order.owner and order.prevention is not SelfTradePrevention.NONE:
                if order.prevention is not SelfTradePrevention.EXPIRE_TAKER:
                    prevented.append(maker.order_id)
                if order.prevention is not SelfTradePrevention.EXPIRE_MAKER:
                    return Plan(tuple(fills), 0 if amount is not None else wanted, tuple(prevented), taker_expires=True)
                continue
            taken = min(wanted, lots)
            fills.append(Fill(price, taken, maker.order_id if maker else None, order.order_id))
            wanted -= taken
            if amount is not None:
                amount -= taken * price
        return Plan(tuple(fills), 0 if amount is not None else wanted or 0, tuple(prevented))

    def submit(self, order: Incoming) -> Plan:
        """Match `order`, let a remainder rest where its time in force allows, and return what happened.

        A fill-or-kill order that cannot be filled whole changes nothing and returns no fills.
        """
        plan = self.plan(order)
        if order.time_in_force is TimeInForce.FOK and plan.remaining:
            return Plan((), order.lots or 0)
        for order_id in plan.prevented:
            self.cancel(order_id)
        for fill in plan.fills:
            self._take(order.side.opposite, fill)
        may_rest = order.time_in_force is TimeInForce.GTC and not plan.taker_expires
        if plan.remaining and order.limit is not None and may_rest:
            self._rest(order, order.limit, plan.remaining)
        return plan

    def restore(self, order: Incoming) -> None:
        """Put an order back that rested here before a restart, without matching it.

        What it had taken from the recorded liquidity before it came to rest stays taken until the next quote.

        Raises:
            ValueError: It has no limit and quantity, or crosses another client's order.
        """
        if order.limit is None or order.lots is None:
            raise ValueError("only a limit order with a quantity can rest")
        other = order.side.opposite
        for price, lots, maker in tuple(self._offers(other, order.limit)):
            if maker is not None:
                raise ValueError(f"order {order.order_id} would cross order {maker.order_id}")
            self._taken[other][price] = self._taken[other].get(price, 0) + lots
        self._rest(order, order.limit, order.lots)

    def cancel(self, order_id: int) -> int:
        """Remove a resting order and return its open lots.

        Raises:
            KeyError: No such order rests here.
        """
        order = self._orders.pop(order_id)
        self._remove(order)
        return order.lots

    def on_quote(self, quote: Quote) -> list[Fill]:
        """Take the next recorded quote and return the fills of the resting orders that it reaches."""
        self._quote = quote
        self._taken[Side.BUY].clear()
        self._taken[Side.SELL].clear()
        if not self._orders:
            return []
        return [*self._fill_through(Side.BUY, quote.ask), *self._fill_through(Side.SELL, quote.bid)]

    def on_trade(self, price: int, lots: int) -> list[Fill]:
        """Take a recorded trade and return the fills of the resting orders that it reaches."""
        if not self._orders:
            return []
        fills = [*self._fill_through(Side.BUY, price + 1), *self._fill_through(Side.SELL, price - 1)]
        for side in Side:
            fills += self._fill_queue(side, price, lots)
        return fills

    def _fill_through(self, side: Side, price: int) -> list[Fill]:
        """Fill every resting order on `side` whose price is `price` or better for the other side."""
        fills = []
        keys = self._keys[side]
        while keys and (-keys[0] >= price if side is Side.BUY else keys[0] <= price):
            level = self._levels[side][abs(keys[0])]
            order = level[0]
            self.cancel(order.order_id)
            fills.append(Fill(order.price, order.lots, order.order_id, None))
        return fills

    def _fill_queue(self, side: Side, price: int, lots: int) -> list[Fill]:
        fills = []
        filled = 0
        for order in tuple(self._levels[side].get(price, ())):
            reached = min(order.lots, max(0, lots - order.ahead_lots - filled))
            order.ahead_lots = max(0, order.ahead_lots - lots)
            if reached:
                filled += reached
                fills.append(Fill(price, reached, order.order_id, None))
                self._reduce(order, reached)
        return fills

    def _offers(self, side: Side, limit: int | None) -> Iterator[tuple[int, int, Resting | None]]:
        """Yield what a taker meets on `side`, in price-time order, as price, lots and the client's order if any."""
        for price in self._prices(side):
            if limit is not None and (price < limit if side is Side.BUY else price > limit):
                return
            recorded = self.recorded_lots(side, price)
            passed = 0
            for order in self._levels[side].get(price, ()):
                ahead = min(order.ahead_lots, recorded)
                if ahead > passed:
                    yield price, ahead - passed, None
                    passed = ahead
                yield price, order.lots, order
            if recorded > passed:
                yield price, recorded - passed, None

    def _prices(self, side: Side) -> Iterator[int]:
        """Yield every price that may hold quantity on `side`, best first."""
        sign = -1 if side is Side.BUY else 1
        keys = tuple(self._keys[side])
        position = 0
        recorded: int | None = self._recorded_best(side)[0]
        while recorded is not None:
            while position < len(keys) and keys[position] <= sign * recorded:
                if keys[position] != sign * recorded:
                    yield sign * keys[position]
                position += 1
            yield recorded
            recorded = self._depth.next_price(side, recorded)
        for key in keys[position:]:
            yield sign * key

    def _recorded_best(self, side: Side) -> tuple[int, int]:
        quote = self._quote
        return (quote.bid, quote.bid_lots) if side is Side.BUY else (quote.ask, quote.ask_lots)

    def _take(self, side: Side, fill: Fill) -> None:
        if fill.maker is not None:
            self._reduce(self._orders[fill.maker], fill.lots)
            return
        taken = self._taken[side]
        taken[fill.price] = taken.get(fill.price, 0) + fill.lots
        for order in self._levels[side].get(fill.price, ()):
            order.ahead_lots = max(0, order.ahead_lots - fill.lots)

    def _rest(self, order: Incoming, price: int, lots: int) -> None:
        ahead = self.recorded_lots(order.side, price) if order.queue_lots is None else order.queue_lots
        resting = Resting(order.order_id, order.owner, order.side, price, lots, ahead)
        self._orders[order.order_id] = resting
        level = self._levels[order.side].setdefault(price, [])
        if not level:
            insort(self._keys[order.side], -price if order.side is Side.BUY else price)
        level.append(resting)

    def _reduce(self, order: Resting, lots: int) -> None:
        order.lots -= lots
        if not order.lots:
            self.cancel(order.order_id)

    def _remove(self, order: Resting) -> None:
        level = self._levels[order.side][order.price]
        level.remove(order)
        if not level:
            del self._levels[order.side][order.price]
            self._keys[order.side].remove(-order.price if order.side is Side.BUY else order.price)
