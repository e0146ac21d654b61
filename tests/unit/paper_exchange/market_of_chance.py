"""A paper exchange on which accounts and the market do anything, and which is checked after everything they do.

What is cheap to check is checked after every operation: no crossed book, price-time priority, limits, all or nothing,
both sides of a trade. What needs a look at everything (balances, fees, locks, the book's quantities) is checked every
`CHECK_EVERY` operations and after every restart.
"""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import TypeVar

from libs.trading.matching import OrderBook, Quote, SeededDepth, Side, TimeInForce
from services.paper_exchange.journal import State
from services.paper_exchange.market.history import History
from services.paper_exchange.market.reel import Reel, TapeEvent
from services.paper_exchange.market.tape import Tape
from services.paper_exchange.market.timeline import Segment, Timeline
from services.paper_exchange.venue.admission import Admission
from services.paper_exchange.venue.contingency import Contingency
from services.paper_exchange.venue.desk import Desk
from services.paper_exchange.venue.errors import ApiError
from services.paper_exchange.venue.floor import Floor
from services.paper_exchange.venue.ledger import Ledger
from services.paper_exchange.venue.listing import Listing
from services.paper_exchange.venue.orders import AccountFill, NewList, NewOrder, Order
from services.paper_exchange.venue.records import Record
from services.paper_exchange.venue.restore import restore_state
from services.paper_exchange.venue.rules import SELF_TRADE_MODES, UNIT
from tests.unit.paper_exchange.paper_exchange_builders import BTC, PRICE, FakeAudience, a_recording

Choice = TypeVar("Choice")

SYMBOL = BTC.symbol
ACCOUNTS = ("main", "other", "third")
OPENING = {"USDT": 50_000_000 * UNIT, "BTC": 1_000 * UNIT}
CHECK_EVERY = 1_000
KINDS = ("LIMIT",) * 12 + ("LIMIT_MAKER",) * 2 + ("MARKET",) * 2
STOP_KINDS = ("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
REACH = 40
"""How many ticks from the market orders and recorded trades come."""


class Deaf(FakeAudience):
    """Hears what happens and forgets it."""

    def on_trade(self, symbol: str, trade: object) -> None:
        """Forget it."""

    def listens(self, account: str) -> bool:
        del account
        return False


class ChanceMarket:
    """Everything but the network and the disk of the paper exchange.

    Args:
        seed: Decides everything that happens.
        journal: Whether what happens is written down, so that the exchange can be started again.
    """

    def __init__(self, seed: int, *, journal: bool = True) -> None:
        self.chance = Random(seed)
        self.state = State(counters={"order": 0, "list": 0, "execution": 0, "prevented": 0})
        self.trades: list[tuple[int, int, int, int]] = []
        self.owned = {account: dict(OPENING) for account in ACCOUNTS}
        self.fees = dict.fromkeys(OPENING, 0)
        self.operations = 0
        self.refused = 0
        self._journal = journal
        self._depth = SeededDepth(seed=seed, spacing=7, typical_lots=400, price_max=2 * PRICE)
        prices = [PRICE + self._between(-REACH // 4, REACH // 4) for _ in range(2_000)]
        trades = [(at_ms, price, self._between(1, 1_500)) for at_ms, price in enumerate(prices, start=1)]
        self._tape = Tape.of(Reel([a_recording(trades=trades)]), identity="chance")
        self._turns: dict[int, int] = {}
        self._quote = Quote(PRICE, 500, PRICE + 1, 500)
        self._build()
        for account in ACCOUNTS:
            for asset, units in OPENING.items():
                self.ledger.set(account, asset, free=units, locked=0)

    def run(self, operations: int, *, restart_every: int | None = None) -> None:
        """Let things happen, and check them."""
        for _ in range(operations):
            self.step()
            if restart_every and self.operations % restart_every == 0:
                self.restart()

    def step(self) -> None:
        """Let one thing happen, and check it."""
        self.operations += 1
        chosen = self.chance.random()
        if chosen < 0.40:
            self._move_market()
        elif chosen < 0.48:
            self._cancel()
        elif chosen < 0.96:
            self._place(self._an_order())
        else:
            self._place_list()
        self.contingency.place_due()
        self._account_for(self.floor.changes.fills)
        self._check_spread()
        self._commit()
        if self.operations % CHECK_EVERY == 0:
            self.check_everything()

    def restart(self) -> None:
        """Forget everything and read it back from the journal, or from what a new file of it would begin with."""
        self.check_everything()
        before = self.everything()
        if not self._journal:
            self._apply_snapshot()
        self._build()
        restore_state(self.state, desk=self.desk, ledger=self.ledger, history=self.history)
        for record in self.state.taken.values():
            for side, price, lots in record["levels"]:
                self.book.restore_taken(Side(side), price, lots)
        self.floor.restore(self.state.queue)
        self.floor.changes.forget()
        assert self.everything() == before, "a restart that does not go on where it was"
        self.check_everything()
        self._apply_snapshot()

    def everything(self) -> object:
        """Return all that must survive a restart."""
        return (
            [(order.order_id, order.status, order.executed, order.locked, order) for order in self.desk.open_orders()],
            {
                account: {a: (b.free, b.locked) for a, b in self.ledger.balances(account).items()}
                for account in ACCOUNTS
            },
            {order_id: (order.place, order.open_lots) for order_id, order in self.book.orders.items()},
            {side: {price: lots for price, lots in taken.items() if lots} for side, taken in self.book.taken.items()},
            self.desk.prevented(),
            self.floor.counters,
        )

    def check_everything(self) -> None:
        """Check what needs a look at all orders and balances."""
        locked = {account: dict.fromkeys(OPENING, 0) for account in ACCOUNTS}
        for order in self.desk.open_orders():
            assert order.lots == order.executed + order.prevented + order.remaining
            if order.is_pending:
                self._check_pending(order)
            locked[order.account][order.gives] += order.locked
            resting = self.book.orders.get(order.order_id)
            assert (resting is not None) is order.is_working, "a working order rests, and no other"
            if resting is not None:
                assert (resting.open_lots, resting.price) == (order.remaining, order.request.price)
                shared = order.list_id != -1 and len(self._open_legs(order)) > 1
                assert shared or order.locked == order.needed, "an order locks what it may still have to give"
        assert len(self.book.orders) == sum(order.is_working for order in self.desk.open_orders())
        for account in ACCOUNTS:
            for asset, owned in self.owned[account].items():
                balance = self.ledger.balance(account, asset)
                assert balance.free >= 0
                assert balance.locked == locked[account][asset], "locked is the sum of the open orders"
                assert balance.free + balance.locked == owned, "only trades and their fees move a balance"

    def _check_pending(self, order: Order) -> None:
        """A pending order waits for one that is open, and holds nothing but what a list that pays it received."""
        order_list = self.desk.list_of(order)
        assert order_list is not None
        assert order_list.working_id is not None
        working = self.desk.order(order_list.working_id)
        assert working.is_open, "a pending order without a working one"
        if order_list.pays and order.order_id == order_list.leg_ids[0]:
            bought = working.executed * 1_000
            assert bought - bought // 500 <= order.locked <= bought, "received, less the commission"
        else:
            assert order.locked == 0

    def _open_legs(self, order: Order) -> list[Order]:
        order_list = self.desk.list_of(order)
        return [] if order_list is None else [leg for leg in self.desk.legs(order_list) if leg.is_open]

    def _build(self) -> None:
        self.desk, self.ledger = Desk(), Ledger()
        timeline = Timeline([Segment(0, 0, Fraction(1))])
        self.history = History(tape=self._tape, timeline=timeline, place_ms=3_000)
        self.book = OrderBook(depth=self._depth, quote=self._quote)
        self.floor = Floor(
            books={SYMBOL: self.book},
            history=self.history,
            desk=self.desk,
            ledger=self.ledger,
            audience=Deaf(),
            counters={name: self.state.counters[name] for name in ("order", "list", "execution", "prevented")},
        )
        self.floor.now_ms = self.operations
        self.admission = Admission(
            floor=self.floor,
            history=self.history,
            desk=self.desk,
            ledger=self.ledger,
            listing=Listing([SYMBOL]),
            is_halted=lambda: False,
            average_price=lambda _: PRICE,
        )
        self.contingency = Contingency(floor=self.floor, admission=self.admission, desk=self.desk, ledger=self.ledger)

    def _move_market(self) -> None:
        if self.chance.random() < 0.6:
            quote = self._quote
            bid = min(max(quote.bid + self._between(-3, 3), PRICE - REACH), PRICE + REACH)
            ask = bid + self._one_of((1, 1, 1, 2, 5))
            self._quote = Quote(bid, self._between(1, 1_500), ask, self._between(1, 1_500))
            self.state.taken.clear()  # the journal's rule: void with the next quote
            self.floor.on_tape_event(TapeEvent(0, SYMBOL, self._quote, 0))
        else:
            self.floor.on_tape_event(TapeEvent(0, SYMBOL, None, self.chance.randrange(2_000)))

    def _cancel(self) -> None:
        orders = self.desk.open_orders()
        if orders:
            self.floor.cancel(self._one_of(orders), "cancel")

    def _place(self, new: NewOrder) -> None:
        account = self._one_of(ACCOUNTS)
        try:
            locked = self.admission.admit(account, new)
        except ApiError:
            self.refused += 1
            return
        self.ledger.lock(account, new.gives, locked)
        order = self.floor.accept(account, new, locked=locked)
        if not new.is_stop:
            self.floor.work(order)
            if new.time_in_force is TimeInForce.FOK:
                assert order.executed in (0, order.lots), "all or nothing"
                assert order.prevented == 0

    def _place_list(self) -> None:
        account = self._one_of(ACCOUNTS)
        side = self._one_of((Side.BUY, Side.SELL))
        lots = self._between(50, 2_000)
        good = PRICE + (1 if side is Side.SELL else -1) * self._between(1, REACH)
        bad = PRICE - (1 if side is Side.SELL else -1) * self._between(1, REACH)
        limit = self._order("LIMIT_MAKER", side, lots, price=good)
        stop = self._order(self._one_of(("STOP_LOSS", "STOP_LOSS_LIMIT")), side, lots, stop_price=bad)
        above, below = (limit, stop) if side is Side.SELL else (stop, limit)
        legs: tuple[NewOrder, ...] = (above, below) if self.chance.random() < 0.7 else (self._one_of((limit, stop)),)
        working, pays = None, False
        if len(legs) == 1 or self.chance.random() < 0.7:
            pays = side is Side.SELL and self.chance.random() < 0.5
            working = self._order(self._one_of(KINDS[:13]), Side.BUY if pays else self._one_of(tuple(Side)), lots)
            if pays:
                legs = tuple(replace(leg, lots=0, iceberg_lots=0) for leg in legs)
        try:
            self.contingency.begin(account, NewList(f"list-{self.operations}", legs, working, pays))
        except ApiError:
            self.refused += 1

    def _an_order(self) -> NewOrder:
        side = self._one_of((Side.BUY, Side.SELL))
        lots = self._between(50, 2_000)
        if self.chance.random() < 0.08:
            kind = self._one_of(STOP_KINDS)
            delta = self._between(10, 12) if self.chance.random() < 0.3 else 0
            stop_price = 0 if delta else self._a_price()
            return self._order(kind, side, lots, stop_price=stop_price, delta=delta)
        kind = self._one_of(KINDS)
        if kind == "MARKET" and self.chance.random() < 0.5:
            return self._order(kind, side, 0, quote_units=self._between(100, 1_500) * UNIT)
        return self._order(kind, side, lots)

    def _order(
        self,
        kind: str,
        side: Side,
        lots: int,
        *,
        price: int = 0,
        stop_price: int = 0,
        quote_units: int = 0,
        delta: int = 0,
    ) -> NewOrder:
        limited = kind.endswith("LIMIT") or kind == "LIMIT_MAKER"
        may_wait = kind == "LIMIT_MAKER" or self.chance.random() < 0.8
        hides = limited and may_wait and lots > 200 and self.chance.random() < 0.2
        other = self._one_of((TimeInForce.IOC, TimeInForce.FOK))
        return NewOrder(
            rules=BTC,
            side=side,
            kind=kind,
            client_id=f"{kind}-{self.operations}",
            time_in_force=TimeInForce.GTC if may_wait or not limited else other,
            lots=lots,
            quote_units=quote_units,
            price=(price or self._a_price()) if limited else 0,
            stop_price=stop_price,
            prevention=self._one_of(SELF_TRADE_MODES),
            iceberg_lots=lots // self._between(2, 5) if hides else 0,
            trailing_delta=delta,
        )

    def _between(self, least: int, most: int) -> int:
        return least + int(self.chance.random() * (most - least + 1))

    def _one_of(self, choices: Sequence[Choice]) -> Choice:
        return choices[int(self.chance.random() * len(choices))]

    def _a_price(self) -> int:
        return self._quote.bid + self._between(-REACH, REACH)

    def _account_for(self, fills: Sequence[AccountFill]) -> None:
        """Move the money that `fills` say, check the rules of trading, and note the trades."""
        by_trade: dict[int, AccountFill] = {}
        for fill in fills:
            self.trades.append((fill.trade_id, fill.order_id, fill.price, fill.lots))
            order = self.desk.order(fill.order_id)
            if order.request.price:
                beyond = fill.price - order.request.price
                assert beyond <= 0 if fill.side is Side.BUY else beyond >= 0, "a fill beyond the limit"
            cost, base = fill.price * fill.lots * 10, fill.lots * 1_000  # of 0.01 USDT x 0.00001 BTC, in 1e-8
            owned = self.owned[fill.account]
            received, units = ("BTC", base) if fill.side is Side.BUY else ("USDT", cost)
            given, given_units = ("USDT", cost) if fill.side is Side.BUY else ("BTC", base)
            assert (fill.commission, fill.commission_asset) == ((units + 500) // 1_000, received)  # 0.1 %, half up
            owned[received] += units - fill.commission
            owned[given] -= given_units
            self.fees[received] += fill.commission
            other = by_trade.setdefault(fill.trade_id, fill)
            if other is not fill:
                assert (other.price, other.lots, other.side) == (fill.price, fill.lots, fill.side.opposite)
        if fills:
            self._check_priority(fills)

    def _check_spread(self) -> None:
        """No client's order stands where the other side offers, be it another client or the market."""
        quote, keys = self.book.quote, self.book._queues._keys
        highest = -keys[Side.BUY][0] if keys[Side.BUY] else 0
        lowest = keys[Side.SELL][0] if keys[Side.SELL] else 1 << 40
        if highest >= min(lowest, quote.ask) or lowest <= quote.bid:
            bid, ask = self.book.best(Side.BUY), self.book.best(Side.SELL)
            assert bid is None or ask is None or bid[0] < ask[0], "a crossed book"

    def _check_priority(self, fills: Sequence[AccountFill]) -> None:
        """After a maker's fill nobody who came before it at its price is left."""
        for fill in fills:
            if fill.is_maker and fill.order_id in self._turns:  # or it came to rest with the same operation
                turn = self._turns[fill.order_id]
                for resting in self.book.queue(fill.side, fill.price):
                    assert resting.turn >= turn, "a later order came first"

    def _commit(self) -> None:
        for order_id in self.floor.changes._queues:
            if order_id in self.book.orders:
                self._turns[order_id] = self.book.orders[order_id].turn
            else:
                self._turns.pop(order_id, None)
        self.floor.now_ms = self.operations
        if not self._journal:
            self.floor.changes.forget()
            return
        self._apply(self.floor.changes.collect(at_ms=self.operations, place_ms=self.history.place_ms))

    def _apply_snapshot(self) -> None:
        self.state = State()
        self._apply(self.floor.changes.snapshot(place_ms=self.history.place_ms))

    def _apply(self, changes: Sequence[Record]) -> None:
        counters = self.floor.counters | {"client_trades": self.history.client_trade_counts}
        self.state.apply({"sequence": self.operations, "place_ms": 0, "counters": counters, "changes": changes})
