"""Adversarial days in virtual time: the real marks, ledger, rules and latch against an accountant of its own.

The market falls, gaps, shows wrong ticks and comes back; a strategy that always wants to buy meets it around midnight.
The accountant knows only prices, approvals and fills, counts in fractions, and says what may have been lost at most.
"""

import os
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any, Final, NamedTuple

import pytest

from libs.common.clock import epoch_ms
from libs.common.configuration import LiveConfiguration, TradingConfiguration
from libs.common.contracts.event import Event
from libs.common.contracts.events import EquityMarked, SignalGenerated
from libs.common.contracts.vocabulary import Role, Side, TradingState
from libs.policy import limits_of
from libs.trading.market import Quote
from libs.trading.positions import Position
from libs.trading.risk import Approved
from services.position_manager.domain.ledger import Holding, book
from services.position_manager.domain.marks import QuoteBoard
from services.position_manager.service import EquityMarker
from services.risk_manager.domain.answers import Refusal
from services.risk_manager.domain.claims import HeldPosition
from services.risk_manager.domain.decision import Setting, decide
from services.risk_manager.domain.figures import MarketFacts, RecentOrders
from services.risk_manager.domain.limits import exposure_of
from services.risk_manager.service.governing import Governor
from services.risk_manager.service.losses import LossGuard
from services.risk_manager.service.policy import StartPolicy
from tests.service.position_manager.world import FakeExchange, FakeLedger, a_fill, an_instrument, opened
from tests.service.risk_manager.builders import OPERATORS, FakeConditions, FakeRecords, a_keeper, an_active_account
from tests.service.risk_manager.builders import enveloped as told
from tests.support.clock import FakeClock

PATHS: Final = int(os.environ.get("DAILY_LOSS_PATHS", "200"))
"""The proof is of 2,000: `DAILY_LOSS_PATHS=2000`."""

SECONDS: Final = 20
WISH_RATE: Final = 0.4
MIDNIGHT: Final = datetime(2026, 1, 6, tzinfo=UTC)
SYMBOLS: Final = ("AAA/USDT", "BBB/USDT", "CCC/USDT")
INSTRUMENTS: Final = {symbol: an_instrument(symbol.split("/")[0]) for symbol in SYMBOLS}
FEE_RATE: Final = Fraction(1, 1000)
LIMIT_RATE: Final = Fraction(3, 100)
CONFIGURATION: Final = TradingConfiguration.model_validate(
    {
        "symbols": list(SYMBOLS),
        "risk_management": {"position_size_pct": 30, "daily_loss_limit_pct": 3},
        "safety": {"duplicate_window_s": 1, "volatility_rate_max": 1, "jump_rate_max": "0.03"},
    }
)


class Lot(NamedTuple):
    """Coins with the price that they can only lose against."""

    symbol: str
    quantity: Fraction
    price: Fraction
    fee: Fraction = Fraction(0)


@dataclass
class Accountant:
    """Counts for itself; `day_start` and `peak` come of the marks that were confirmed, told by their moments alone."""

    cash: Fraction = Fraction(10_000)
    coins: dict[str, Fraction] = field(default_factory=lambda: dict.fromkeys(SYMBOLS, Fraction(0)))
    confirmed: list[tuple[datetime, Fraction]] = field(default_factory=list)
    day_starts: dict[date, Fraction] = field(default_factory=dict)
    top: Fraction = Fraction(0)

    def bought(self, symbol: str, quantity: Decimal, price: Decimal) -> Fraction:
        """Book a purchase; return its fee."""
        amount = Fraction(quantity) * Fraction(price)
        self.cash -= amount * (1 + FEE_RATE)
        self.coins[symbol] += Fraction(quantity)
        return amount * FEE_RATE

    def equity(self, bids: dict[str, Decimal]) -> Fraction:
        """Return what all of it is worth."""
        return self.cash + sum(held * Fraction(bids[symbol]) for symbol, held in self.coins.items())

    def mark(self, at: datetime, bids: dict[str, Decimal]) -> tuple[Fraction, Fraction]:
        """Take a confirmed mark; return the loss and its limit."""
        equity = self.equity(bids)
        if at.date() not in self.day_starts:
            before = [worth for moment, worth in self.confirmed if moment <= MIDNIGHT]
            self.day_starts[at.date()] = before[-1] if before and at >= MIDNIGHT else equity
        self.confirmed.append((at, equity))
        start = self.day_starts[at.date()]
        self.top = max(start, *(worth for _, worth in self.confirmed))  # a path is shorter than a day
        return self.top - equity, start * LIMIT_RATE


class Day:
    """One path: a second is a move, a look, a mark, and wishes."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.clock = FakeClock(MIDNIGHT - timedelta(seconds=self.random.randrange(4, SECONDS)))
        self.prices = {symbol: Decimal(self.random.randrange(50, 5_000)) for symbol in SYMBOLS}
        self.shown = dict(self.prices)
        self.accountant = Accountant()
        self.in_flight: list[tuple[str, Decimal, Decimal]] = []
        self.approved_at: list[datetime] = []
        self.trades = 0
        self.events: list[Event] = []

    async def begin(self) -> "Day":
        ledger, live = FakeLedger(), LiveConfiguration(CONFIGURATION)
        self.accounts = await opened(ledger, exchange=FakeExchange(balances={"USDT": "10000"}), clock=self.clock)
        self.ledger, self.book = ledger, self.accounts.books["main"]
        self.book.opened_at = self.clock.now() - timedelta(days=1)
        self.board = QuoteBoard(jump_rate_max=CONFIGURATION.safety.jump_rate_max)
        self.marker = EquityMarker(
            accounts=self.accounts, board=self.board, exchange=FakeExchange(), clock=self.clock, exit_after_s=None
        )
        self.records = FakeRecords()
        governor = Governor(
            configuration=live,
            configuring=a_keeper(live),
            operators=lambda: OPERATORS,
            conditions=FakeConditions(),
            liquidate=_nothing,
            start=StartPolicy(),
            clock=self.clock,
        )
        self.guard = LossGuard(configuration=live, governor=governor)
        an_active_account(self.records)
        return self

    def move(self) -> None:
        """Let the adversary move every price, or only what is shown of it."""
        for symbol in SYMBOLS:
            kind = self.random.random()
            if kind < 0.08:  # a gap
                self.prices[symbol] *= 1 - Decimal(self.random.randrange(1, 30)) / 100
            elif kind < 0.5:
                self.prices[symbol] *= 1 + Decimal(self.random.randrange(-150, 120)) / 10_000
            self.prices[symbol] = self.prices[symbol].quantize(Decimal("0.01"))
            wrong = self.random.random() < 0.05
            self.shown[symbol] = self.prices[symbol] * (self.random.choice((Decimal("0.5"), 2)) if wrong else 1)
            if self.random.random() < 0.9:  # else nothing is heard of it
                bid = self.shown[symbol]
                self.board.observe(symbol, bid=bid, ask=bid + Decimal("0.01"), at=self.clock.now())

    def fill(self) -> list[Lot]:
        """Execute what was approved, at the worst price that it may pay."""
        lots = []
        for symbol, quantity, price in self.in_flight:
            self.trades += 1
            fee = self.accountant.bought(symbol, quantity, price)
            fill = a_fill(
                quantity=str(quantity),
                price=str(price),
                symbol=symbol,
                fee=str(quantity * price * Decimal("0.001")),
                trade_id=self.trades,
                at=self.clock.now(),
            )
            before = self.book.holdings.get(symbol) or Holding(account="main", position=Position(symbol=symbol))
            self.book.committed(book(before, fill, INSTRUMENTS[symbol]))
            lots.append(Lot(symbol, Fraction(quantity), Fraction(price), fee))
        self.in_flight = []
        return lots

    async def mark(self) -> EquityMarked | None:
        for event in await self.ledger.transaction(self.marker.mark):
            if isinstance(event, EquityMarked):
                await self.records.transact(self.guard.on_equity_marked(told(event), self.records))
                return event
        return None

    async def wish(self) -> None:
        """Ask for an entry in a symbol that has none."""
        symbol = self.random.choice(SYMBOLS)
        now, bid = self.clock.now(), self.shown[symbol]
        mark, positions = await self.records.mark("main"), self._held()
        setting = Setting(
            now=now,
            signal=_a_wish(symbol, bid, now),
            account="main",
            state=self.records.states["main"],
            positions=positions,
            claims=(),
            exposure=exposure_of(mark=mark, positions=positions, claims=(), recent=RecentOrders()),
            limits=limits_of(CONFIGURATION, equity=mark.equity if mark is not None else None),
            facts=CALM,
            quote=Quote(symbol, bid, bid + Decimal("0.01"), Decimal(1), Decimal(1), epoch_ms(now)),
            instrument=INSTRUMENTS[symbol],
        )
        decision = decide(setting)
        if isinstance(decision, Approved):
            assert decision.limit_price is not None
            self.approved_at.append(now)
            self.in_flight.append((symbol, decision.quantity, decision.limit_price))
        else:
            assert isinstance(decision, Refusal)

    def _held(self) -> list[HeldPosition]:
        return [
            HeldPosition(
                account="main",
                symbol=symbol,
                revision=1,
                quantity=holding.position.quantity,
                cost=holding.position.cost,
                round_trips=0,
                is_open=True,
            )
            for symbol, holding in self.book.holdings.items()
        ]


CALM: Final = MarketFacts(reachable=True, calm=True, trading=True, data_age_ms=0, volatility_rate=Decimal(0))


async def _nothing(*_: Any) -> list[Event]:
    return []


def _a_wish(symbol: str, bid: Decimal, now: datetime) -> SignalGenerated:
    return SignalGenerated(
        occurred_at=now,
        signal_id=f"{symbol} {now.isoformat()}",
        strategy="always",
        symbol=symbol,
        side=Side.BUY,
        role=Role.ENTRY,
        reference_price=bid,
        stop_loss=(bid * Decimal("0.9")).quantize(Decimal("0.01")),
        take_profit=(bid * Decimal("1.2")).quantize(Decimal("0.01")),
        quality_score=100,
    )


async def walk(seed: int) -> tuple[bool, int]:
    """Walk one path and hold it to the accountant's word; return whether its limit was reached, and its entries."""
    day = await Day(seed).begin()
    reached_at: datetime | None = None
    loss = Fraction(0)
    open_then: list[Lot] = []  # when the limit was reached, or approved before
    for _ in range(SECONDS):
        day.clock.advance(1)
        day.move()
        filled = day.fill()
        if reached_at is not None:
            open_then += filled
        mark = await day.mark()
        if mark is not None and mark.confirmed and reached_at is None:
            bids = day.prices | mark.marks  # what is held has a mark, the rest is worth nothing
            loss, limit = day.accountant.mark(day.clock.now(), bids)
            assert Fraction(mark.equity) == day.accountant.equity(bids)
            if loss >= limit:
                reached_at = day.clock.now()
                open_then = [Lot(symbol, held, Fraction(bids[symbol])) for symbol, held in day.accountant.coins.items()]
        assert (reached_at is not None) == (day.records.states["main"].state is TradingState.HALTED)
        if day.random.random() < WISH_RATE:
            await day.wish()
    if reached_at is not None:
        assert all(at < reached_at for at in day.approved_at)
        final = {symbol: Fraction(price) for symbol, price in day.prices.items()}
        leaving = sum(held * final[symbol] * FEE_RATE for symbol, held in day.accountant.coins.items())
        taken = sum(lot.fee + lot.quantity * max(lot.price - final[lot.symbol], Fraction(0)) for lot in open_then)
        assert day.accountant.top - (day.accountant.equity(day.prices) - leaving) <= loss + taken + leaving
    return reached_at is not None, len(day.approved_at)


@pytest.mark.sweep
async def test_no_path_enters_after_the_limit_or_loses_more_than_the_market_took_from_what_was_open():
    outcomes = [await walk(seed) for seed in range(PATHS)]

    reached = sum(was_reached for was_reached, _ in outcomes)
    assert PATHS / 10 < reached < PATHS  # both kinds of days were walked
    assert sum(entries for _, entries in outcomes) > PATHS
