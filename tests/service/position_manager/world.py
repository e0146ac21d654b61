"""Builders and hand-written fakes of the position manager's tests."""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import BalancesAdjusted, OrderFilled, OrderUpdated
from libs.common.contracts.vocabulary import OrderStatus, Role, Side
from libs.common.errors import RetryableError
from libs.trading.instruments import Instrument
from libs.trading.positions import Position
from services.position_manager.domain.equity import AccountBook, Baseline, History, falling, minute_of
from services.position_manager.domain.ledger import Booking, Holding
from services.position_manager.service import AccountBalances, Accounts, Holdings, Ledger, Snapshot
from tests.support.clock import FakeClock

EventT = TypeVar("EventT", bound=Event)

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OPENED_AT = NOON - timedelta(days=1)
ENTRY = uuid.UUID(int=1)
ZERO = Decimal(0)


def an_instrument(base: str = "BTC", *, step: str = "0.00001", notional_min: str = "5") -> Instrument:
    return Instrument(
        symbol=f"{base}/USDT",
        base=base,
        quote="USDT",
        price_tick=Decimal("0.01"),
        price_min=Decimal("0.01"),
        price_max=Decimal(1_000_000),
        quantity_step=Decimal(step),
        quantity_min=Decimal(step),
        quantity_max=Decimal(9_000),
        market_quantity_step=ZERO,
        market_quantity_min=ZERO,
        market_quantity_max=ZERO,
        notional_min=Decimal(notional_min),
    )


INSTRUMENTS: Mapping[str, Instrument] = {"BTC/USDT": an_instrument("BTC"), "ETH/USDT": an_instrument("ETH")}


def a_fill(
    side: Side = Side.BUY,
    quantity: str = "0.1",
    price: str = "50000",
    *,
    symbol: str = "BTC/USDT",
    fee: str = "0",
    fee_asset: str = "USDT",
    trade_id: int = 1,
    at: datetime = NOON,
    **changes: Any,
) -> OrderFilled:
    fields: dict[str, Any] = {
        "occurred_at": at,
        "intent_id": ENTRY if side is Side.BUY else uuid.UUID(int=2),
        "account": "main",
        "symbol": symbol,
        "trade_id": trade_id,
        "exchange_order_id": "7",
        "client_order_id": "ctE-abcdef-1",
        "strategy": "ema_cross",
        "side": side,
        "role": Role.ENTRY if side is Side.BUY else Role.EXIT,
        "quantity": Decimal(quantity),
        "price": Decimal(price),
        "commission": Decimal(fee),
        "commission_asset": fee_asset,
    }
    return OrderFilled(**(fields | changes))


def an_order(**changes: Any) -> OrderUpdated:
    fields: dict[str, Any] = {
        "occurred_at": NOON,
        "intent_id": ENTRY,
        "revision": 1,
        "account": "main",
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "role": Role.ENTRY,
        "client_order_id": "ctE-abcdef-1",
        "order_type": "LIMIT",
        "status": OrderStatus.ACCEPTED,
        "quantity": Decimal("0.1"),
        "price": Decimal(50_000),
        "filled_quantity": ZERO,
        "filled_amount": ZERO,
    }
    return OrderUpdated(**(fields | changes))


def enveloped(event: EventT) -> Envelope[EventT]:
    return Envelope(event=event, event_id=uuid.uuid5(uuid.NAMESPACE_OID, repr(event)), recorded_at=event.occurred_at)


class FakeExchange:
    """Answers from what a test put in; `away` makes it silent."""

    def __init__(self, *, balances: Mapping[str, str] | None = None, closes: Mapping[str, str] | None = None) -> None:
        held = {"USDT": "10000", "BTC": "0.05"} if balances is None else balances
        self._balances = {asset: Decimal(quantity) for asset, quantity in held.items()}
        self._closes = {symbol: Decimal(price) for symbol, price in (closes or {}).items()}
        self.away = False

    async def balances(self, account: str) -> AccountBalances:  # noqa: ARG002 - one account is enough here
        self._answer()
        return AccountBalances(quantities=self._balances, updated_at=OPENED_AT)

    async def instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        self._answer()
        return {symbol: INSTRUMENTS[symbol] for symbol in symbols}

    async def closing_price(self, symbol: str, moment: datetime) -> Decimal:  # noqa: ARG002 - one close a symbol
        self._answer()
        return self._closes[symbol]

    def _answer(self) -> None:
        if self.away:
            raise RetryableError("exchange: expected an answer, found none")


class FakeLedger:
    """The tables in memory; `transaction` commits or forgets what the work wrote, as the owner's loop does."""

    def __init__(self) -> None:
        self.opened: dict[str, tuple[datetime, dict[str, Decimal]]] = {}
        self.openings: dict[tuple[str, str], Decimal] = {}
        self.balances: dict[tuple[str, str], Decimal] = {}
        self.positions: dict[tuple[str, str], Holding] = {}
        self.bookings: dict[tuple[str, str, int, str], Booking] = {}
        self.movements: dict[tuple[str, str, str], BalancesAdjusted] = {}
        self.locks: dict[tuple[str, str], tuple[int, Decimal]] = {}
        self.marks: dict[tuple[str, datetime], Snapshot] = {}
        self.confirmed: list[Snapshot] = []
        self.baselines: dict[tuple[str, Any], Baseline] = {}
        self._effects: list[Callable[[], None]] = []

    async def transaction(self, work: Callable[[Ledger], Awaitable[Sequence[Event]]]) -> list[Event]:
        """Run `work` and, if it does not fail, its effects."""
        tables = {name: table.copy() for name, table in vars(self).items()}
        self._effects = []
        try:
            events = list(await work(self))
        except BaseException:
            vars(self).update(tables)
            raise
        for effect in self._effects:
            effect()
        return events

    async def apply(self, work: Callable[[Ledger], Awaitable[Sequence[Event]]]) -> None:
        await self.transaction(work)

    def after_commit(self, effect: Callable[[], None]) -> None:
        self._effects.append(effect)

    async def books(self) -> Sequence[AccountBook]:
        books = []
        for account, (opened_at, _) in self.opened.items():
            book = AccountBook(
                account=account,
                opened_at=opened_at,
                quote_asset="USDT",
                opening_quote=self.openings[account, "USDT"],
                quote_balance=self.balances[account, "USDT"],
            )
            book.holdings = {symbol: held for (owner, symbol), held in self.positions.items() if owner == account}
            for (owner, order), (_, amount) in self.locks.items():
                if owner == account:
                    book.lock(order, amount)
            books.append(book)
        return books

    async def open_account(self, account: str, balances: AccountBalances) -> None:
        self.opened[account] = (balances.updated_at, dict(balances.quantities))
        for asset, quantity in balances.quantities.items():
            self.openings[account, asset] = self.balances[account, asset] = quantity

    async def holding(self, account: str, symbol: str) -> Holding:
        return self.positions.get((account, symbol)) or Holding(account=account, position=Position(symbol=symbol))

    async def has_fill(self, account: str, symbol: str, trade_id: int, exchange_order_id: str) -> bool:
        return (account, symbol, trade_id, exchange_order_id) in self.bookings

    async def save_booking(self, booking: Booking, *, in_opening: bool) -> None:
        fill = booking.fill
        self.bookings[fill.account, fill.symbol, fill.trade_id, fill.exchange_order_id] = booking
        self.positions[fill.account, fill.symbol] = booking.holding
        for asset, change in booking.balances.items():
            table, sign = (self.openings, -1) if in_opening else (self.balances, 1)
            table[fill.account, asset] = table.get((fill.account, asset), ZERO) + sign * change

    async def save_movement(self, adjusted: BalancesAdjusted, *, in_opening: bool) -> bool:
        key = (adjusted.account, adjusted.kind, adjusted.reference)
        if key in self.movements:
            return False
        self.movements[key] = adjusted
        for asset, change in adjusted.changes.items():
            table, sign = (self.openings, -1) if in_opening else (self.balances, 1)
            table[adjusted.account, asset] = table.get((adjusted.account, asset), ZERO) + sign * change
        return True

    async def save_holding(self, holding: Holding) -> None:
        self.positions[holding.account, holding.symbol] = holding

    async def save_lock(self, order: OrderUpdated, amount: Decimal) -> bool:
        key = (order.account, order.client_order_id)
        if key in self.locks and self.locks[key][0] >= order.revision:
            return False
        self.locks[key] = (order.revision, amount)
        return True

    async def history(self, account: str, now: datetime) -> History:
        days = sorted(day for owner, day in self.baselines if owner == account)
        marks = [mark for mark in self.confirmed if mark.account == account]
        return History(
            baseline=self.baselines[account, days[-1]] if days else None,
            confirmed_at=marks[-1].at if marks else None,
            confirmed_equity=marks[-1].valuation.equity if marks else None,
            highs=falling(((minute_of(mark.at), mark.valuation.equity) for mark in marks), now),
        )

    async def save_mark(self, snapshot: Snapshot) -> None:
        self.marks[snapshot.account, minute_of(snapshot.at)] = snapshot
        if snapshot.valuation.confirmed:
            self.confirmed = [*self.confirmed, snapshot]

    async def save_baseline(self, account: str, baseline: Baseline) -> None:
        self.baselines.setdefault((account, baseline.day), baseline)

    async def forget_ended_orders(self) -> None:
        self.locks = {key: lock for key, lock in self.locks.items() if lock[1]}

    async def holdings_at(self, account: str, moment: datetime) -> Holdings:
        bookings = [one for one in self.bookings.values() if one.fill.occurred_at <= moment]
        worth = self.openings[account, "USDT"] + sum((one.quote_change - one.fee_outside for one in bookings), ZERO)
        quantities: dict[str, Decimal] = {}
        for one in bookings:
            quantities[one.fill.symbol] = quantities.get(one.fill.symbol, ZERO) + one.base_change
        return Holdings(worth=worth, quantities={symbol: held for symbol, held in quantities.items() if held})


async def opened(
    ledger: FakeLedger, *, exchange: FakeExchange | None = None, clock: FakeClock | None = None
) -> Accounts:
    """Return the accounts of a ledger, opening `main` if it is new."""
    accounts = Accounts()
    await accounts.recover(
        ("main",), apply=ledger.apply, exchange=exchange or FakeExchange(), clock=clock or FakeClock(NOON)
    )
    return accounts
