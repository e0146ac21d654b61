"""Mark every account to the bid once a second, keep the day's baseline and the peak, and wish for time exits."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial

import structlog

from libs.common.clock import Clock
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import EquityMarked, QuoteChanged, SignalGenerated, TradingStateChanged
from libs.common.contracts.vocabulary import Role, Side, TradingState
from libs.common.observability import metrics
from libs.trading.money import exact
from services.position_manager.domain.equity import AccountBook, Baseline, History, Valuation, midnight_of
from services.position_manager.domain.exits import time_exit_id
from services.position_manager.domain.marks import Mark, QuoteBoard
from services.position_manager.service.accounts import Accounts, Apply
from services.position_manager.service.ports import Exchange, Holdings, Ledger, Snapshot

_log = structlog.get_logger(__name__)


class EquityMarker:
    """Says what each account is worth; says nothing while it cannot know, so that stale equity is seen as stale."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        board: QuoteBoard,
        exchange: Exchange,
        clock: Clock,
        exit_after_s: int | None,
    ) -> None:
        self._accounts = accounts
        self._board = board
        self._exchange = exchange
        self._clock = clock
        self._exit_after = _duration(exit_after_s)
        self._halted: set[str] = set()
        self._wished: dict[tuple[str, str], str] = {}
        self._closing_baselines: dict[str, Baseline] = {}

    def configure(self, *, exit_after_s: int | None, jump_rate_max: Decimal) -> None:
        """Work with new values from the next mark on."""
        self._exit_after = _duration(exit_after_s)
        self._board.jump_rate_max = jump_rate_max

    async def on_quote(self, envelope: Envelope[QuoteChanged]) -> None:
        """Take note of a quote."""
        quote = envelope.event
        self._board.observe(quote.symbol, bid=quote.bid, ask=quote.ask, at=quote.occurred_at)

    async def on_trading_state(self, envelope: Envelope[TradingStateChanged]) -> None:
        """Take note of the trading state: HALTED allows no exits."""
        change = envelope.event
        if change.state is TradingState.HALTED:
            self._halted.add(change.account)
        else:
            self._halted.discard(change.account)

    async def prepare_day(self, apply: Apply) -> None:
        """Find the baselines of accounts that did not live through midnight, from the closing candle.

        Raises:
            RetryableError: The exchange does not answer; no account in need is marked meanwhile.
        """
        day = self._clock.now().date()
        for account, history in self._accounts.histories.items():
            if history.needs_closing_prices(day) and self._closing_baseline(account, day) is None:
                self._closing_baselines[account] = await self._at_closing_prices(account, day, apply)

    async def mark(self, ledger: Ledger) -> Sequence[Event]:
        """Return the mark of every account whose worth is known, and the exits that are due."""
        now = self._clock.now()
        marks = self._board.look(now)
        events: list[Event] = []
        for book in self._accounts.books.values():
            events += await self._mark_account(book, marks, now, ledger)
        return events

    async def _mark_account(
        self, book: AccountBook, marks: Mapping[str, Mark], now: datetime, ledger: Ledger
    ) -> list[Event]:
        valuation = book.value(marks)
        if valuation is None:
            return []
        before = self._accounts.histories[book.account]
        baseline = self._baseline(book.account, before, valuation, now)
        if baseline is None or baseline.equity <= 0:
            return []
        history = before.following(now, valuation, baseline)
        snapshot = Snapshot(
            account=book.account,
            at=now,
            valuation=valuation,
            baseline=baseline,
            peak_24h=history.peak(now, baseline),
        )
        if baseline is not before.baseline:
            await ledger.save_baseline(book.account, baseline)
            await ledger.forget_ended_orders()  # once a day is often enough
        await ledger.save_mark(snapshot)
        ledger.after_commit(lambda: self._accounts.histories.update({book.account: history}))
        ledger.after_commit(partial(_show, snapshot, book.exposure(marks)))
        return [equity_marked(snapshot), *self._due_exits(book, marks, now, ledger)]

    def _baseline(self, account: str, history: History, valuation: Valuation, now: datetime) -> Baseline | None:
        day = now.date()
        if history.baseline is not None and history.baseline.day >= day:
            return history.baseline
        if history.baseline is not None:
            return history.baseline_from_mark(day) or self._closing_baseline(account, day)
        if not valuation.confirmed:
            return None
        return Baseline(day=day, equity=valuation.equity, source="opening", marked_at=now)

    def _closing_baseline(self, account: str, day: date) -> Baseline | None:
        baseline = self._closing_baselines.get(account)
        return baseline if baseline is not None and baseline.day == day else None

    async def _at_closing_prices(self, account: str, day: date, apply: Apply) -> Baseline:
        midnight = midnight_of(day)
        found: list[Holdings] = []
        await apply(partial(_read_holdings, account, midnight, found))
        worth = found[-1].worth
        for symbol, quantity in found[-1].quantities.items():
            price = await self._exchange.closing_price(symbol, midnight)
            with exact():
                worth += quantity * price
        _log.info("Took the day's baseline from the closing candle", account=account, day=str(day), equity=str(worth))
        return Baseline(day=day, equity=worth, source="candle", marked_at=midnight)

    def _due_exits(
        self, book: AccountBook, marks: Mapping[str, Mark], now: datetime, ledger: Ledger
    ) -> list[SignalGenerated]:
        if self._exit_after is None or book.account in self._halted:
            return []
        due = []
        for symbol, holding in book.holdings.items():
            signal_id = time_exit_id(holding, now, self._exit_after)
            if signal_id is None or signal_id == self._wished.get((book.account, symbol)):
                continue
            wish = {(book.account, symbol): signal_id}
            ledger.after_commit(partial(self._wished.update, wish))
            due.append(
                SignalGenerated(
                    occurred_at=now,
                    signal_id=signal_id,
                    strategy=holding.strategy or "time-exit",
                    symbol=symbol,
                    side=Side.SELL,
                    role=Role.EXIT,
                    account=book.account,
                    reference_price=marks[symbol].bid,
                    bid=marks[symbol].bid,
                    reasons=(f"open for {self._exit_after.total_seconds():g} s or longer",),
                )
            )
        return due


def equity_marked(snapshot: Snapshot) -> EquityMarked:
    """Return the event that tells others of a mark."""
    valuation = snapshot.valuation
    with exact():
        pnl_today = valuation.equity - snapshot.baseline.equity
    return EquityMarked(
        occurred_at=snapshot.at,
        account=snapshot.account,
        equity=valuation.equity,
        confirmed=valuation.confirmed,
        day=snapshot.baseline.day,
        day_start_equity=snapshot.baseline.equity,
        peak_24h=snapshot.peak_24h,
        pnl_today=pnl_today,
        realised_pnl=valuation.realised_pnl,
        unrealised_pnl=valuation.unrealised_pnl,
        quote_free=valuation.quote_free,
        positions_open=valuation.positions_open,
        marks=dict(valuation.bids),
    )


def begin_unmarked(accounts: Sequence[str]) -> None:
    """Show accounts as never marked: one that is not shown at all is missed by nobody."""
    for account in accounts:
        metrics.EQUITY_MARKED.labels(account=account)


def _show(snapshot: Snapshot, exposure: Decimal) -> None:
    account, valuation = snapshot.account, snapshot.valuation
    with exact():
        pnl_today = valuation.equity - snapshot.baseline.equity
    metrics.EQUITY.labels(account=account).set(float(valuation.equity))
    metrics.EQUITY_MARKED.labels(account=account).set(snapshot.at.timestamp())
    metrics.PNL_TODAY.labels(account=account).set(float(pnl_today))
    metrics.POSITIONS_OPEN.labels(account=account).set(valuation.positions_open)
    metrics.EXPOSURE.labels(account=account).set(float(exposure))


async def _read_holdings(account: str, moment: datetime, found: list[Holdings], ledger: Ledger) -> Sequence[Event]:
    found.append(await ledger.holdings_at(account, moment))
    return []


def _duration(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
