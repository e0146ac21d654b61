"""The exchange: every command first lets the market catch up with the clock, then acts, then writes the journal.

Invariant: nothing is answered or sent before the journal has it; between two commands the market is exactly where the
clock puts it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from libs.common.clock import Clock, epoch_ms
from libs.common.errors import ConfigurationError
from libs.trading.matching import OrderBook, SeededDepth, Side
from services.paper_exchange.journal import Journal, State
from services.paper_exchange.market.history import History
from services.paper_exchange.market.tape import Tape
from services.paper_exchange.market.timeline import Segment, Timeline
from services.paper_exchange.venue.audience import Audience
from services.paper_exchange.venue.desk import Desk
from services.paper_exchange.venue.errors import ApiError, insufficient_balance, rejected, unknown_order
from services.paper_exchange.venue.filters import check_counts, check_filters, check_list_prices
from services.paper_exchange.venue.floor import Floor
from services.paper_exchange.venue.ledger import Ledger
from services.paper_exchange.venue.orders import AccountFill, NewOrder, Order, OrderList
from services.paper_exchange.venue.restore import restore_state
from services.paper_exchange.venue.rules import LISTED, text_of

STALL_MS_MAX = 5_000
_DEPTH_LEVELS_PER_PRICE = 50_000
_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Opening:
    """What an account owns at the very first start."""

    account: str
    asset: str
    units: int


class Venue:
    """Accounts, order books and the market of one exchange.

    Args:
        clock: Exchange time.
        tape: The market.
        speed: Market time per exchange time; 0 stands still.
        journal: The record, which also says what was before.
        audience: Is told what happens.
        openings: The balances at the very first start.
        seed: Selects the quantities of the deep book.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        tape: Tape,
        speed: Fraction,
        journal: Journal,
        audience: Audience,
        openings: Sequence[Opening],
        seed: int,
    ) -> None:
        self._clock = clock
        self._tape = tape
        self._journal = journal
        self._audience = audience
        self._speed = speed
        self.desk = Desk()
        self.ledger = Ledger()
        self.now_ms = epoch_ms(clock.now())
        state = journal.state
        if state is not None and state.identity != tape.identity:
            raise ConfigurationError(
                where="the paper exchange's data directory",
                expected=f"a journal of the market {tape.identity!r}",
                found=f"one of {state.identity!r}",
                hint="start with the market it was begun with, or with an empty directory",
            )
        place_ms = state.place_ms if state else 0
        segments = [_segment_of(record) for record in state.segments] if state else []
        self.timeline = Timeline([*segments, Segment(self.now_ms, place_ms, speed)])
        self.history = History(tape=tape, timeline=self.timeline, place_ms=place_ms)
        self.books = {symbol: self._open_book(symbol, place_ms, seed) for symbol in tape.symbols}
        self._floor = Floor(
            books=self.books,
            history=self.history,
            desk=self.desk,
            ledger=self.ledger,
            audience=audience,
            counters={name: state.counters[name] if state else 0 for name in ("order", "list", "execution")},
        )
        self._floor.now_ms = self.now_ms
        if state is None:
            self._begin(openings)
        else:
            self._continue(state)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that trade here."""
        return self._tape.symbols

    @property
    def is_halted(self) -> bool:
        """Whether trading is suspended."""
        return self._tape.is_halted(self.history.place_ms)

    def advance(self) -> int:
        """Let the market catch up with the clock and return exchange time.

        After a stall (a stopped process, a suspended machine) the market does not jump: it resumes where it stood.
        """
        now_ms = max(self.now_ms, epoch_ms(self._clock.now()))
        if now_ms - self.now_ms > STALL_MS_MAX:
            segment = Segment(now_ms, self.history.place_ms, self._speed)
            self.timeline.resume(segment)
            self._write([_segment_record(segment)])
        self.now_ms = now_ms
        self._audience.on_time(now_ms)
        until_ms = self.timeline.place_at(now_ms)
        if until_ms > self.history.place_ms:
            for event in self._tape.events(self.history.place_ms, until_ms):
                self.history.place_ms = event.at_ms
                self._floor.now_ms = self.timeline.wall_at(event.at_ms)
                self._floor.on_tape_event(event)
            self.history.place_ms = until_ms
            self._floor.now_ms = now_ms
            self._commit()
        self._floor.now_ms = now_ms
        return now_ms

    def quiet_ms(self, most_ms: int) -> int:
        """Return how long from now on nothing will happen on the tape, `most_ms` at most."""
        ends_ms = self.timeline.place_at(self.now_ms + most_ms)
        event = next(iter(self._tape.events(self.history.place_ms, ends_ms)), None)
        return most_ms if event is None else max(0, self.timeline.wall_at(event.at_ms) - self.now_ms)

    def average_price(self, symbol: str) -> int:
        """Return the average price of the last minutes in ticks."""
        minutes = LISTED[symbol].average_minutes
        summary = self.history.candle(symbol, self.now_ms - minutes * _MINUTE_MS, self.now_ms + 1).summary
        return round(Fraction(summary.notional, summary.lots)) if summary.lots else summary.close

    def check(self, account: str, new: NewOrder) -> None:
        """Do everything that placing an order does short of accepting it.

        Raises:
            ApiError: The order would be refused.
        """
        self.advance()
        self._admit(account, new)

    def place(self, account: str, new: NewOrder) -> tuple[Order, list[AccountFill]]:
        """Accept an order and let it trade.

        Raises:
            ApiError: The order is refused.
        """
        self.advance()
        gives, locked = self._admit(account, new)
        self.ledger.lock(account, gives, locked)
        order = self._floor.accept(account, new, locked=locked)
        if not new.is_stop:
            self._floor.work(order)
        fills = self._floor.fills_of(order)
        self._commit()
        return order, fills

    def place_oco(self, account: str, client_id: str, above: NewOrder, below: NewOrder) -> OrderList:
        """Accept two orders of which one cancels the other.

        Raises:
            ApiError: One of them is refused.
        """
        self.advance()
        symbol = above.rules.symbol
        last_price = self.history.last_trade(symbol).price
        check_list_prices(above, below, last_price=last_price)
        if self.desk.has_open_list(account, client_id) or above.client_id == below.client_id:
            raise rejected("Duplicate order sent.")
        for leg in (above, below):
            self._check(account, leg)
        check_counts((above, below), self.desk.open_orders(account, symbol))
        locked = max(self._funds_of(account, leg) for leg in (above, below))
        gives = above.rules.quote if above.side is Side.BUY else above.rules.base
        self.ledger.lock(account, gives, locked)
        self._floor.counters["list"] += 1
        list_id = self._floor.counters["list"]
        # The stop's report comes first, as on Binance; the first leg holds the funds of both.
        legs = sorted((above, below), key=lambda leg: not leg.is_stop)
        orders = [self._floor.accept(account, legs[0], locked=locked, list_id=list_id)]
        orders.append(self._floor.accept(account, legs[1], locked=0, list_id=list_id))
        order_list = OrderList(list_id, account, symbol, client_id, tuple(o.order_id for o in orders), self.now_ms)
        self._floor.open_list(order_list)
        for order in orders:
            if not order.request.is_stop:
                self._floor.work(order)
        self._commit()
        return order_list

    def cancel(self, account: str, order: Order, cancel_id: str) -> list[Order]:
        """Cancel an open order, with its list if it is a leg, and return what was cancelled.

        Raises:
            ApiError: It is not open any more.
        """
        self.advance()
        if not order.is_open or order.account != account:
            raise unknown_order()
        order_list = self.desk.list_of(order)
        legs = [order] if order_list is None else self.desk.legs(order_list)
        still_open = [leg for leg in legs if leg.is_open]
        self._floor.cancel(order, cancel_id)
        self._commit()
        return still_open

    def close(self) -> None:
        """Bring the journal up to the present and release it."""
        self.advance()
        self._journal.mark(self.history.place_ms)
        self._journal.close()

    def _open_book(self, symbol: str, place_ms: int, seed: int) -> OrderBook:
        # The rule's scale comes from the tape's beginning, so that it is the same after every restart.
        reference = self._tape.quote_at(symbol, 0)
        first = self._tape.count_until(symbol, 0)
        sample = self._tape.summary(symbol, first, first + 1_000)
        typical_lots = max(1, 20 * sample.lots // sample.count) if sample else 1
        depth = SeededDepth(
            seed=seed,
            spacing=max(1, reference.bid // _DEPTH_LEVELS_PER_PRICE),
            typical_lots=typical_lots,
            price_max=reference.bid * 10,
        )
        return OrderBook(depth=depth, quote=self._tape.quote_at(symbol, place_ms))

    def _begin(self, openings: Sequence[Opening]) -> None:
        changes: list[dict[str, Any]] = [{"type": "market", "identity": self._tape.identity}]
        changes.append(_segment_record(self.timeline.segments[-1]))
        for opening in openings:
            self.ledger.set(opening.account, opening.asset, free=opening.units, locked=0)
            changes.append(
                {
                    "type": "transfer",
                    "account": opening.account,
                    "asset": opening.asset,
                    "amount": text_of(opening.units),
                }
            )
        changes += self._floor.changes.collect(at_ms=self.now_ms)
        self._journal.begin(changes, at_ms=self.now_ms, place_ms=self.history.place_ms, counters=self._counters())

    def _continue(self, state: State) -> None:
        restore_state(state, desk=self.desk, ledger=self.ledger, history=self.history)
        self._floor.restore(state.queue)
        self._floor.changes.collect(at_ms=self.now_ms)
        self._write([_segment_record(self.timeline.segments[-1])])

    def _commit(self) -> None:
        changes = self._floor.changes.collect(at_ms=self.now_ms)
        if changes:
            self._write(changes)
        else:
            self._journal.mark(self.history.place_ms)
        self._audience.flush()

    def _write(self, changes: Sequence[dict[str, Any]]) -> None:
        self._journal.append(
            changes,
            self._snapshot,
            at_ms=self.now_ms,
            place_ms=self.history.place_ms,
            counters=self._counters(),
        )

    def _counters(self) -> dict[str, Any]:
        return self._floor.counters | {"client_trades": self.history.client_trade_counts}

    def _snapshot(self) -> list[dict[str, Any]]:
        """Return the complete state as changes."""
        return [
            {"type": "market", "identity": self._tape.identity},
            *(_segment_record(segment) for segment in self.timeline.segments),
            *self._floor.changes.snapshot(),
        ]

    def _check(self, account: str, new: NewOrder) -> None:
        if self.is_halted:
            raise ApiError(-1013, "Market is closed.")
        symbol = new.rules.symbol
        check_filters(new, average_price=self.average_price(symbol), last_price=self.history.last_trade(symbol).price)
        known = self.desk.find(account, symbol, order_id=None, client_id=new.client_id)
        if known is not None and known.is_open:
            raise rejected("Duplicate order sent.")
        if new.kind == "LIMIT_MAKER" and self._crosses(new):
            raise rejected("Order would immediately match and take.")

    def _crosses(self, new: NewOrder) -> bool:
        best = self.books[new.rules.symbol].best(new.side.opposite)
        return best is not None and (best[0] <= new.price if new.side is Side.BUY else best[0] >= new.price)

    def _admit(self, account: str, new: NewOrder) -> tuple[str, int]:
        """Check an order and its funds, and return what it has to hold back, as asset and units."""
        self._check(account, new)
        check_counts((new,), self.desk.open_orders(account, new.rules.symbol))
        needed = self._funds_of(account, new)
        gives = new.rules.quote if new.side is Side.BUY else new.rules.base
        if self.ledger.balance(account, gives).free < needed:
            raise insufficient_balance()
        return gives, needed

    def _funds_of(self, account: str, new: NewOrder) -> int:
        """Return what the order may have to give, in 1e-8 units."""
        rules = new.rules
        if new.kind != "MARKET":
            price = new.price or new.stop_price
            return rules.base_units(new.lots) if new.side is Side.SELL else rules.notional(price, new.lots)
        if new.side is Side.SELL and new.lots:
            return rules.base_units(new.lots)
        if new.side is Side.BUY and new.quote_units:
            return new.quote_units
        plan = self._floor.plan(account, new)
        if new.side is Side.SELL:
            return rules.base_units(sum(fill.lots for fill in plan.fills))
        return sum(rules.notional(fill.price, fill.lots) for fill in plan.fills)


def _segment_record(segment: Segment) -> dict[str, Any]:
    return {
        "type": "segment",
        "wall_ms": segment.wall_ms,
        "place_ms": segment.place_ms,
        "speed": str(segment.speed),
    }


def _segment_of(record: Mapping[str, Any]) -> Segment:
    return Segment(record["wall_ms"], record["place_ms"], Fraction(record["speed"]))
