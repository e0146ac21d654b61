"""What the handlers need from the world: the ledger of one transaction, and the exchange's read-only answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from libs.common.contracts.events import BalancesAdjusted, OrderUpdated
from libs.trading.instruments import Instrument
from services.position_manager.domain.equity import AccountBook, Baseline, History, Valuation
from services.position_manager.domain.ledger import Booking, Holding


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountBalances:
    """What the exchange holds for an account, free and locked together, as of its own time."""

    quantities: Mapping[str, Decimal]
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """A moment of the past from the stored bookings: `worth` without what was held, and the quantities held."""

    worth: Decimal
    quantities: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One mark as it is stored."""

    account: str
    at: datetime
    valuation: Valuation
    baseline: Baseline
    peak_24h: Decimal


class Exchange(Protocol):
    """Read-only questions to the exchange."""

    async def balances(self, account: str) -> AccountBalances:
        """Return the account's balances."""
        ...

    async def instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        """Return the symbols' filters."""
        ...

    async def closing_price(self, symbol: str, moment: datetime) -> Decimal:
        """Return the close of the last one-minute candle that ended at or before `moment`."""
        ...


class Ledger(Protocol):
    """The stored ledger, bound to one transaction of the owner."""

    def after_commit(self, effect: Callable[[], None]) -> None:
        """Run `effect` once the transaction is durable; a rollback forgets it."""
        ...

    async def books(self) -> Sequence[AccountBook]:
        """Return the book of every account that was opened."""
        ...

    async def open_account(self, account: str, balances: AccountBalances) -> None:
        """Store what an account began with; an account is opened once."""
        ...

    async def holding(self, account: str, symbol: str) -> Holding:
        """Return a position, an empty one if there was none yet."""
        ...

    async def has_fill(self, account: str, symbol: str, trade_id: int, exchange_order_id: str) -> bool:
        """Whether a fill was booked before."""
        ...

    async def save_booking(self, booking: Booking, *, in_opening: bool) -> None:
        """Store a fill with all that it changes; `in_opening`: the opening balances contained it."""
        ...

    async def save_movement(self, adjusted: BalancesAdjusted, *, in_opening: bool) -> bool:
        """Store what moved balances without an order, with what it changes; False: it was booked before."""
        ...

    async def save_holding(self, holding: Holding) -> None:
        """Store a position whose protection changed."""
        ...

    async def save_lock(self, order: OrderUpdated, amount: Decimal) -> bool:
        """Store what a buy order locks; False when a newer revision of it is known."""
        ...

    async def history(self, account: str, now: datetime) -> History:
        """Return what the stored marks leave behind."""
        ...

    async def save_mark(self, snapshot: Snapshot) -> None:
        """Store a mark in its minute's row."""
        ...

    async def save_baseline(self, account: str, baseline: Baseline) -> None:
        """Store a day's baseline; the first one stays."""
        ...

    async def forget_ended_orders(self) -> None:
        """Delete what orders that ended long ago locked."""
        ...

    async def holdings_at(self, account: str, moment: datetime) -> Holdings:
        """Return what the bookings up to `moment` amount to."""
        ...
