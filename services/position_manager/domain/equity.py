"""What an account is worth, and what the daily loss is measured against.

Equity is account-wide and covers what the system trades with: the quote balance of the first start plus all PnL since,
realised and unrealised, fees included. Coins that were there before are not the system's: they are in no equity, and
nothing sells them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final

from libs.trading.money import exact
from libs.trading.positions import unrealised_pnl
from services.position_manager.domain.ledger import ZERO, Booking, Holding
from services.position_manager.domain.marks import Mark

PEAK_WINDOW: Final = timedelta(hours=24)
MINUTE: Final = timedelta(minutes=1)
BASELINE_MARK_AGE_MAX: Final = timedelta(seconds=60)
"""An older last mark before midnight means that we were down: then the closing candle decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Valuation:
    """An account marked to the bid at one moment; `confirmed` when every open position's mark is."""

    equity: Decimal
    confirmed: bool
    realised_pnl: Decimal
    unrealised_pnl: Decimal
    fees: Decimal
    quote_free: Decimal
    positions_open: int
    bids: Mapping[str, Decimal]


@dataclass(slots=True, kw_only=True)
class AccountBook:
    """The committed ledger of one account in memory, so that a mark costs no query.

    It changes only after a commit: a transaction that is rolled back leaves no trace in it.

    Attributes:
        account: Whose it is.
        opened_at: The exchange's time of the balances that the ledger began with; fills up to then are in them already.
        quote_asset: The currency that everything is counted in.
        opening_quote: The quote balance before the first fill.
        quote_balance: The quote balance now, free and locked together.
        holdings: Positions by symbol, flat ones included: their PnL counts.
        locked: Quote currency that working buy orders keep, by client order id.
    """

    account: str
    opened_at: datetime
    quote_asset: str
    opening_quote: Decimal
    quote_balance: Decimal
    holdings: dict[str, Holding] = field(default_factory=dict)
    locked: dict[str, Decimal] = field(default_factory=dict)

    def committed(self, booking: Booking) -> None:
        """Take over a fill."""
        self.holdings[booking.holding.symbol] = booking.holding
        with exact():
            if self.had(booking):
                self.opening_quote -= booking.quote_change
            else:
                self.quote_balance += booking.quote_change

    def had(self, booking: Booking) -> bool:
        """Whether the balances that the ledger began with contained this fill already.

        So a ledger that is rebuilt from the topic ends where the lost one was: the opening is what was there before.
        """
        return self.held_at_opening(booking.fill.occurred_at)

    def held_at_opening(self, moment: datetime) -> bool:
        """Whether the balances that the ledger began with contained what happened at a moment."""
        return moment <= self.opened_at

    def moved(self, changes: Mapping[str, Decimal], *, in_opening: bool) -> None:
        """Take over what moved balances without an order: it makes nobody richer."""
        with exact():
            change = changes.get(self.quote_asset, ZERO)
            if in_opening:
                self.opening_quote -= change
            else:
                self.quote_balance += change

    def lock(self, client_order_id: str, amount: Decimal) -> None:
        """Take over what a buy order keeps locked; 0 when it has ended."""
        if amount:
            self.locked[client_order_id] = amount
        else:
            self.locked.pop(client_order_id, None)

    def exposure(self, marks: Mapping[str, Mark]) -> Decimal:
        """Return what is held of open positions, at the bid."""
        with exact():
            return sum(
                (
                    holding.position.quantity * marks[symbol].bid
                    for symbol, holding in self.holdings.items()
                    if holding.is_open and symbol in marks
                ),
                ZERO,
            )

    def value(self, marks: Mapping[str, Mark]) -> Valuation | None:
        """Return the account's worth; None while an open position has no believable price.

        Dust without a price counts at its cost: it must not keep a whole account from being marked.
        """
        confirmed = True
        positions_open = 0
        realised = unrealised = fees = ZERO
        bids: dict[str, Decimal] = {}
        with exact():
            for symbol, holding in self.holdings.items():
                realised += holding.net_pnl
                fees += holding.position.fees_quote
                mark = marks.get(symbol)
                if holding.is_open:
                    if mark is None:
                        return None
                    positions_open += 1
                    confirmed = confirmed and mark.confirmed
                if mark is not None and holding.position.quantity:
                    unrealised += unrealised_pnl(holding.position, mark.bid)
                    bids[symbol] = mark.bid
            locked = sum(self.locked.values(), ZERO)
            return Valuation(
                equity=self.opening_quote + realised + unrealised,
                confirmed=confirmed,
                realised_pnl=realised,
                unrealised_pnl=unrealised,
                fees=fees,
                quote_free=max(self.quote_balance - locked, ZERO),
                positions_open=positions_open,
                bids=bids,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The equity that a UTC day's loss counts from; written once.

    Attributes:
        source: `mark` (the last confirmed one at or before midnight), `candle` (we were down: positions of midnight at
            the last closing price), or `opening` (the installation's first mark).
    """

    day: date
    equity: Decimal
    source: str
    marked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What earlier marks leave behind for the next one.

    Attributes:
        baseline: The newest day's; None before the first confirmed mark.
        confirmed_at: Moment of the last confirmed mark, `confirmed_equity` its worth.
        highs: (minute, highest confirmed equity) of the last 24 hours, only those that can still become the peak:
            falling from oldest to newest.
    """

    baseline: Baseline | None = None
    confirmed_at: datetime | None = None
    confirmed_equity: Decimal | None = None
    highs: tuple[tuple[datetime, Decimal], ...] = ()

    def following(self, at: datetime, valuation: Valuation, baseline: Baseline) -> "History":
        """Return the history after a mark; one that is not confirmed leaves no trace but the day's baseline."""
        history = replace(self, baseline=baseline)
        return history.with_confirmed(at, valuation.equity) if valuation.confirmed else history

    def with_confirmed(self, at: datetime, equity: Decimal) -> "History":
        """Return the history after a confirmed mark."""
        highs = falling((*self.highs, (minute_of(at), equity)), at)
        return replace(self, confirmed_at=at, confirmed_equity=equity, highs=highs)

    def peak(self, at: datetime, baseline: Baseline) -> Decimal:
        """Return the highest confirmed equity of the last 24 hours, the day's baseline included."""
        return max([baseline.equity, *(high for _, high in falling(self.highs, at))])

    def baseline_from_mark(self, day: date) -> Baseline | None:
        """Return the day's baseline if a mark close enough to its midnight gives it.

        Returns:
            None where there is none: the system was down, or this is its first mark.
        """
        midnight = midnight_of(day)
        if self.confirmed_at is None or self.confirmed_equity is None:
            return None
        if not midnight - BASELINE_MARK_AGE_MAX <= self.confirmed_at <= midnight:
            return None
        return Baseline(day=day, equity=self.confirmed_equity, source="mark", marked_at=self.confirmed_at)

    def needs_closing_prices(self, day: date) -> bool:
        """Whether only the closing candle can give the day's baseline: there were marks before, but not at midnight."""
        known = self.baseline is not None and self.baseline.day < day
        return known and self.baseline_from_mark(day) is None


def midnight_of(day: date) -> datetime:
    """Return the start of a UTC day."""
    return datetime.combine(day, time(), UTC)


def minute_of(moment: datetime) -> datetime:
    """Return the start of the minute."""
    return moment.replace(second=0, microsecond=0)


def falling(highs: Iterable[tuple[datetime, Decimal]], at: datetime) -> tuple[tuple[datetime, Decimal], ...]:
    """Return those of the last 24 hours' highs, oldest first, that no later one reaches; one a minute.

    A minute leaves when its last moment is a day old: the window is never shorter than 24 hours.
    """
    kept: list[tuple[datetime, Decimal]] = []
    for minute, high in highs:
        if minute + MINUTE + PEAK_WINDOW <= at:
            continue
        while kept and kept[-1][1] <= high:
            kept.pop()
        if not kept or kept[-1][0] != minute:
            kept.append((minute, high))
    return tuple(kept)
