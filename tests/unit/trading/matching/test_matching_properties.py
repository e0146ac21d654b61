"""What must hold whatever clients and the market do."""

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from libs.trading.matching import (
    Fill,
    Incoming,
    OrderBook,
    Quote,
    SeededDepth,
    SelfTradePrevention,
    Side,
    TimeInForce,
)

PRICES = strategies.integers(min_value=960, max_value=1_040)
LOTS = strategies.integers(min_value=1, max_value=30)
OWNERS = strategies.tuples(strategies.sampled_from(("a", "b")), strategies.sampled_from(SelfTradePrevention))


class AnyMarket(RuleBasedStateMachine):
    """Clients and the recorded market act in any order."""

    def __init__(self) -> None:
        super().__init__()
        depth = SeededDepth(seed=3, spacing=7, typical_lots=10, price_max=2_000)
        self.book = OrderBook(depth=depth, quote=Quote(1_000, 5, 1_001, 5))
        self.wanted: dict[int, int] = {}
        self.filled: dict[int, int] = {}
        self.gone: dict[int, int] = {}
        self.limits: dict[int, tuple[Side, int | None]] = {}
        self.next_id = 1

    @rule(
        side=strategies.sampled_from(Side),
        price=strategies.none() | PRICES,
        lots=LOTS,
        time_in_force=strategies.sampled_from(TimeInForce),
        owner=OWNERS,
        part_lots=strategies.just(0) | LOTS,
    )
    def submit(self, *, side, price, lots, time_in_force, owner, part_lots):
        owner, prevention = owner
        order_id, self.next_id = self.next_id, self.next_id + 1
        self.wanted[order_id], self.filled[order_id] = lots, 0
        self.limits[order_id] = side, price
        queue = {price: [order.order_id for order in self.resting(side.opposite, price)] for price in range(950, 1_050)}
        order = Incoming(order_id, owner, side, price, lots, None, time_in_force, prevention, part_lots)

        plan = self.book.submit(order)

        self.take(plan.fills)
        for match in plan.prevented:
            self.gone[match.maker] += match.maker_lots
        prices = [fill.price for fill in plan.fills]
        assert prices == sorted(prices, reverse=side is Side.SELL), "best price first"
        for fill_price, expected in queue.items():
            here = (fill for fill in plan.fills if fill.price == fill_price and fill.maker is not None)
            makers = list(dict.fromkeys(fill.maker for fill in here))  # an iceberg trades in parts
            kept_apart = {match.maker for match in plan.prevented}
            standing = [maker for maker in expected if maker not in kept_apart]
            assert makers == standing[: len(makers)], "the earlier order first"
        if time_in_force is TimeInForce.FOK:
            assert self.filled[order_id] in (0, lots), "all or nothing"
        rests = order_id in self.book.orders
        self.gone[order_id] = plan.prevented_lots if rests else lots - self.filled[order_id]
        if rests and part_lots:
            assert self.book.orders[order_id].lots <= part_lots, "no more than a part is shown"

    @rule(pick=strategies.integers(min_value=0))
    def cancel(self, pick):
        if self.book.orders:
            order_id = sorted(self.book.orders)[pick % len(self.book.orders)]
            self.gone[order_id] += self.book.cancel(order_id)

    @rule(bid=PRICES, spread=strategies.integers(min_value=1, max_value=5), bid_lots=LOTS, ask_lots=LOTS)
    def quote(self, bid, spread, bid_lots, ask_lots):
        self.take(self.book.on_quote(Quote(bid, bid_lots, bid + spread, ask_lots)))

    @rule(price=PRICES, lots=LOTS)
    def trade(self, price, lots):
        self.take(self.book.on_trade(price, lots))

    @invariant()
    def book_is_never_crossed(self):
        bid, ask = self.book.best(Side.BUY), self.book.best(Side.SELL)
        if bid is not None and ask is not None:
            assert bid[0] < ask[0]

    @invariant()
    def every_lot_is_filled_resting_or_gone(self):
        for order_id, lots in self.wanted.items():
            resting = self.book.orders[order_id].open_lots if order_id in self.book.orders else 0
            assert lots == self.filled[order_id] + resting + self.gone[order_id]

    @invariant()
    def levels_hold_exactly_the_orders_and_the_recorded_quantity(self):
        for side in Side:
            for price, lots in list(self.book.levels(side))[:5]:
                clients = sum(order.lots for order in self.resting(side, price))
                assert lots == self.book.recorded_lots(side, price) + clients

    def resting(self, side: Side, price: int):
        orders = (order for order in self.book.orders.values() if order.side is side and order.price == price)
        return sorted(orders, key=lambda order: order.turn)

    def take(self, fills: tuple[Fill, ...] | list[Fill]) -> None:
        for fill in fills:
            assert fill.lots > 0
            for order_id in (fill.maker, fill.taker):
                if order_id is None:
                    continue
                self.filled[order_id] += fill.lots
                side, limit = self.limits[order_id]
                if limit is not None:
                    assert fill.price <= limit if side is Side.BUY else fill.price >= limit


TestAnyMarket = pytest.mark.sweep(AnyMarket.TestCase)
TestAnyMarket.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
