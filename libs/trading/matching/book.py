"""One symbol's order book: recorded liquidity and the clients' orders, matched by price and then time.

Invariant: after every call no client's order rests at or through the other side's best price.
"""

from collections import deque
from collections.abc import Iterator, Sequence

from libs.trading.matching.planning import Offer, plan_of
from libs.trading.matching.queues import Queues
from libs.trading.matching.recorded import Recorded
from libs.trading.matching.types import Depth, Fill, Incoming, Place, Plan, Quote, Resting, Side, TimeInForce


class OrderBook:
    """Match orders against the recorded market and each other.

    Args:
        depth: The rule for the levels behind the recorded best.
        quote: The recorded best bid and ask to begin with.
    """

    def __init__(self, *, depth: Depth, quote: Quote) -> None:
        self._recorded = Recorded(depth=depth, quote=quote)
        self._queues = Queues()
        self._orders = self._queues.orders

    @property
    def quote(self) -> Quote:
        """The recorded best bid and ask in force."""
        return self._recorded.quote

    @property
    def orders(self) -> dict[int, Resting]:
        """The clients' resting orders by id; not to be changed."""
        return self._orders

    @property
    def taken(self) -> dict[Side, dict[int, int]]:
        """What clients took of the recorded quantity since the last quote, by side and price; not to be changed."""
        return self._recorded.taken

    def recorded_lots(self, side: Side, price: int) -> int:
        """Return the recorded quantity at `price` that no client has taken yet."""
        return self._recorded.lots(side, price)

    def lots_at(self, side: Side, price: int) -> int:
        """Return everything on offer at `price`: recorded quantity and what clients' orders show."""
        return self._recorded.lots(side, price) + sum(order.lots for order in self._queues.at(side, price))

    def queue(self, side: Side, price: int) -> Sequence[Resting]:
        """Return the clients' orders at `price`, the first one first; not to be changed."""
        return self._queues.at(side, price)

    def levels(self, side: Side) -> Iterator[tuple[int, int]]:
        """Yield price and quantity of every level on `side`, best first."""
        for price in self._prices(side):
            lots = self.lots_at(side, price)
            if lots:
                yield price, lots

    def ruled_prices(self, side: Side, first: int, last: int) -> Iterator[int]:
        """Yield the prices between two on `side` at which the rule for deeper levels has one."""
        return self._recorded.ruled_prices(side, first, last)

    def best(self, side: Side) -> tuple[int, int] | None:
        """Return price and quantity of the best level on `side`, or `None` where nothing is on offer."""
        return next(self.levels(side), None)

    def plan(self, order: Incoming) -> Plan:
        """Return what `order` would do, and change nothing."""
        return plan_of(order, self._offers(order.side.opposite, order.limit))

    def submit(self, order: Incoming) -> Plan:
        """Match `order`, let a remainder rest where its time in force allows, and return what happened.

        A fill-or-kill order that cannot be filled whole changes nothing and returns no fills.
        """
        plan = self.plan(order)
        if order.time_in_force is TimeInForce.FOK and (plan.remaining or plan.prevented_lots):
            return Plan((), order.lots or 0)
        for step in plan.steps if plan.prevented else plan.fills:
            if isinstance(step, Fill):
                self._take(order.side.opposite, step)
            else:
                self._shrink(self._orders[step.maker], step.maker_lots)
        if plan.remaining and order.limit is not None and order.time_in_force is TimeInForce.GTC:
            self._rest(order, order.limit, plan.remaining)
        return plan

    def restore_taken(self, side: Side, price: int, lots: int) -> None:
        """Take away again what clients had taken before a restart; before any order is restored."""
        self._recorded.take(side, price, lots)

    def restore(self, order: Incoming, place: Place) -> None:
        """Put an order back where it stood before a restart, without matching it; at one price in order of turns.

        Recorded quantity that it would meet counts as taken until the next quote: it did not meet it before.

        Raises:
            ValueError: It has no limit and quantity, or crosses another client's order.
        """
        if order.limit is None or order.lots is None:
            raise ValueError("only a limit order with a quantity can rest")
        other = order.side.opposite
        for price, lots, maker in tuple(self._offers(other, order.limit)):
            if maker is not None:
                raise ValueError(f"order {order.order_id} would cross order {maker.order_id}")
            self._recorded.take(other, price, lots)
        resting = Resting(order.order_id, order.owner, order.side, order.limit, place.shown_lots, place.ahead_lots)
        resting.hidden_lots = order.lots - place.shown_lots
        resting.part_lots = order.part_lots
        resting.turn = place.turn
        self._queues.add(resting)

    def cancel(self, order_id: int) -> int:
        """Remove a resting order and return its open lots.

        Raises:
            KeyError: No such order rests here.
        """
        order = self._orders[order_id]
        self._queues.remove(order)
        return order.open_lots

    def on_quote(self, quote: Quote) -> list[Fill]:
        """Take the next recorded quote and return the fills of the resting orders that it reaches."""
        self._recorded.renew(quote)
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
        while (order := self._queues.first_through(side, price)) is not None:
            self._queues.remove(order)
            fills.append(Fill(order.price, order.open_lots, order.order_id, None))
        return fills

    def _fill_queue(self, side: Side, price: int, lots: int) -> list[Fill]:
        """Fill what a recorded trade reaches at its own price; what an iceberg shows next waits for the next trade."""
        fills = []
        filled = 0
        for order in tuple(self._queues.at(side, price)):
            reached = min(order.lots, max(0, lots - order.ahead_lots - filled))
            order.ahead_lots = max(0, order.ahead_lots - lots)
            if reached:
                filled += reached
                fills.append(Fill(price, reached, order.order_id, None))
                self._reduce(order, reached)
        return fills

    def _offers(self, side: Side, limit: int | None) -> Iterator[Offer]:
        """Yield what a taker meets on `side`, in price-time order."""
        for price in self._prices(side):
            if limit is not None and (price < limit if side is Side.BUY else price > limit):
                return
            recorded = self._recorded.lots(side, price)
            passed = 0
            icebergs: list[Resting] = []
            for order in self._queues.at(side, price):
                ahead = min(order.ahead_lots, recorded)
                if ahead > passed:
                    yield Offer(price, ahead - passed, None)
                    passed = ahead
                yield Offer(price, order.lots, order)
                if order.hidden_lots:
                    icebergs.append(order)
            if recorded > passed:
                yield Offer(price, recorded - passed, None)
            if icebergs:
                yield from _hidden(price, icebergs)

    def _prices(self, side: Side) -> Iterator[int]:
        """Yield every price that may hold quantity on `side`, best first."""
        clients = self._queues.prices(side)
        position = 0
        for recorded in self._recorded.prices(side):
            while position < len(clients) and (
                clients[position] >= recorded if side is Side.BUY else clients[position] <= recorded
            ):
                if clients[position] != recorded:
                    yield clients[position]
                position += 1
            yield recorded
        yield from clients[position:]

    def _take(self, side: Side, fill: Fill) -> None:
        if fill.maker is not None:
            self._reduce(self._orders[fill.maker], fill.lots)
            return
        self._recorded.take(side, fill.price, fill.lots)
        for order in self._queues.at(side, fill.price):
            order.ahead_lots = max(0, order.ahead_lots - fill.lots)

    def _rest(self, order: Incoming, price: int, lots: int) -> None:
        ahead = self._recorded.lots(order.side, price)
        self._queues.cap_ahead(order.side, price, ahead)
        resting = Resting(order.order_id, order.owner, order.side, price, lots, ahead)
        if 0 < order.part_lots < lots:
            resting.lots, resting.hidden_lots, resting.part_lots = (
                order.part_lots,
                lots - order.part_lots,
                order.part_lots,
            )
        self._queues.add(resting)

    def _reduce(self, order: Resting, lots: int) -> None:
        order.lots -= lots
        if order.lots:
            return
        if order.hidden_lots:
            self._queues.refill(order, self._recorded.lots(order.side, order.price))
        else:
            self._queues.remove(order)

    def _shrink(self, order: Resting, lots: int) -> None:
        """Take away what a prevented match costs a resting order: some of what it shows, or all."""
        if lots == order.open_lots:
            self._queues.remove(order)
        elif lots:
            self._reduce(order, lots)


def _hidden(price: int, icebergs: list[Resting]) -> Iterator[Offer]:
    """Yield the parts that icebergs show one after another, each time from the end of the queue."""
    waiting = deque((order, order.hidden_lots) for order in icebergs)
    while waiting:
        order, hidden = waiting.popleft()
        shown = min(order.part_lots, hidden)
        yield Offer(price, shown, order)
        if hidden > shown:
            waiting.append((order, hidden - shown))
