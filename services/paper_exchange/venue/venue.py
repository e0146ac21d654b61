"""The exchange: every command first lets the market catch up with the clock, then acts, then writes the journal.

Invariant: nothing is answered or sent before the journal has it; between two commands the market is exactly where the
clock puts it.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from fractions import Fraction

from libs.common.clock import Clock, epoch_ms
from libs.common.errors import ConfigurationError
from services.paper_exchange.journal import Journal, State
from services.paper_exchange.market.history import History
from services.paper_exchange.market.tape import Market
from services.paper_exchange.market.timeline import Segment, Timeline
from services.paper_exchange.venue.admission import Admission
from services.paper_exchange.venue.audience import Audience
from services.paper_exchange.venue.books import open_book
from services.paper_exchange.venue.contingency import Contingency
from services.paper_exchange.venue.desk import Desk
from services.paper_exchange.venue.errors import unknown_order
from services.paper_exchange.venue.floor import Floor
from services.paper_exchange.venue.ledger import Ledger
from services.paper_exchange.venue.listing import Listing
from services.paper_exchange.venue.orders import NewList, NewOrder, Order
from services.paper_exchange.venue.placed import ExecutionRule, Placed, PlacedList
from services.paper_exchange.venue.recorder import Recorder
from services.paper_exchange.venue.records import Record, segment_of, transfer_record
from services.paper_exchange.venue.restore import restore_state, restore_taken
from services.paper_exchange.venue.rules import LISTED

STALL_MS_MAX = 5_000
_COUNTERS = ("order", "list", "execution", "prevented")
_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Opening:
    """What an account owns when it is new."""

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
        openings: What each account owns when it is new.
        seed: Selects the quantities of the deep book.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        tape: Market,
        speed: Fraction,
        journal: Journal,
        audience: Audience,
        openings: Sequence[Opening],
        seed: int,
    ) -> None:
        self._clock = clock
        self._tape = tape
        self._audience = audience
        self._speed = speed
        self.desk = Desk()
        self.ledger = Ledger()
        self.listing = Listing(tape.symbols)
        self.execution_rule: ExecutionRule | None = None
        self.now_ms = epoch_ms(clock.now())
        state = journal.state
        if state is not None and state.identity != tape.identity:
            raise ConfigurationError(
                where="the paper exchange's data directory",
                expected=f"a journal of the market {tape.identity!r}",
                found=f"one of {state.identity!r}",
                hint="start with the market it was begun with, or with an empty directory",
            )
        place_ms = tape.place_at_start(state.place_ms if state else 0, self.now_ms)
        segments = [segment_of(record) for record in state.segments] if state else []
        self.timeline = Timeline([*segments, Segment(self.now_ms, place_ms, speed)])
        self.history = History(tape=tape, timeline=self.timeline, place_ms=place_ms)
        self.books = {symbol: open_book(tape, symbol, place_ms=place_ms, seed=seed) for symbol in tape.symbols}
        self._floor = Floor(
            books=self.books,
            history=self.history,
            desk=self.desk,
            ledger=self.ledger,
            audience=audience,
            counters={name: state.counters.get(name, 0) if state else 0 for name in _COUNTERS},
        )
        self._admission = Admission(
            floor=self._floor,
            history=self.history,
            desk=self.desk,
            ledger=self.ledger,
            listing=self.listing,
            is_halted=lambda: self.is_halted,
            average_price=self.average_price,
        )
        self._contingency = Contingency(
            floor=self._floor, admission=self._admission, desk=self.desk, ledger=self.ledger
        )
        self._recorder = Recorder(
            journal=journal,
            changes=self._floor.changes,
            listing=self.listing,
            history=self.history,
            timeline=self.timeline,
            counters=self._floor.counters,
            identity=tape.identity,
        )
        self._floor.now_ms = self.now_ms
        if state is None:
            self._begin(openings)
        else:
            self._continue(state, openings)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that trade here."""
        return self._tape.symbols

    def status(self, symbol: str) -> str:
        """Return whether a symbol trades, in Binance's words."""
        return "HALT" if self.is_halted else self.listing.status(symbol)

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
            segment = Segment(now_ms, self._tape.place_at_start(self.history.place_ms, now_ms), self._speed)
            self.timeline.resume(segment)
            self._recorder.resume(at_ms=now_ms)
        self.now_ms = now_ms
        self._audience.on_time(now_ms)
        until_ms = self.timeline.place_at(now_ms)
        if until_ms > self.history.place_ms:
            for event in self._tape.events(self.history.place_ms, until_ms):
                self.history.place_ms = event.at_ms
                self._floor.now_ms = self.timeline.wall_at(event.at_ms)
                if event.symbol not in self.listing.closed:
                    self._floor.on_tape_event(event)
                    self._contingency.place_due()
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
        self._admission.admit(account, new)

    def place(self, account: str, new: NewOrder) -> Placed:
        """Accept an order and let it trade.

        Raises:
            ApiError: The order is refused.
        """
        self.advance()
        locked = self._admission.admit(account, new)
        self.ledger.lock(account, new.gives, locked)
        order = self._floor.accept(account, new, locked=locked)
        if not new.is_stop:
            self._floor.work(order, lots_max=self._lots_max(account, new))
        self._contingency.place_due()
        placed = Placed(order, self._floor.fills_of(order), self._floor.prevented_of(order))
        self._commit()
        return placed

    def place_list(self, account: str, new: NewList) -> PlacedList:
        """Accept an order list and let its orders trade.

        Raises:
            ApiError: One of its orders is refused.
        """
        self.advance()
        order_list, orders = self._contingency.begin(account, new, lots_max=self._lots_max(account, new.orders[0]))
        placed = PlacedList(replace(order_list), [replace(order) for order in orders], self._floor.fills_of(orders[0]))
        self._contingency.place_due()
        self._commit()
        return placed

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

    def write(self, *records: Record) -> None:
        """Write what happened besides orders, with whatever it changed, and tell the accounts."""
        self._floor.changes.others.extend(records)
        self._commit()

    def note(self, record: Record) -> None:
        """Write what changed nothing, at any moment."""
        self._recorder.note(record, at_ms=self.now_ms)

    def _lots_max(self, account: str, new: NewOrder) -> int | None:
        return None if self.execution_rule is None else self.execution_rule(account, new)

    def close(self) -> None:
        """Bring the journal up to the present and release it."""
        self.advance()
        self._recorder.close()

    def _begin(self, openings: Sequence[Opening]) -> None:
        for opening in openings:
            self.ledger.set(opening.account, opening.asset, free=opening.units, locked=0)
        self._recorder.begin([transfer_record(*astuple(opening)) for opening in openings], at_ms=self.now_ms)

    def _continue(self, state: State, openings: Sequence[Opening]) -> None:
        self.listing.restore(state.symbols.values())
        restore_state(state, desk=self.desk, ledger=self.ledger, history=self.history)
        restore_taken(state, books=self.books, tape=self._tape)
        self._floor.restore(state.queue)
        self._floor.changes.forget()
        self._recorder.resume(at_ms=self.now_ms)
        known = self.ledger.accounts()
        new = [opening for opening in openings if opening.account not in known]
        for opening in new:
            self.ledger.credit(opening.account, opening.asset, opening.units)
        if new:
            self.write(*(transfer_record(*astuple(opening)) for opening in new))

    def _commit(self) -> None:
        self._recorder.commit(at_ms=self.now_ms)
        self._audience.flush()
