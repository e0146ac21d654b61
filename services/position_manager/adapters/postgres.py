"""The ledger in Postgres, within one transaction of the owner."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal

from asyncpg import Record

from libs.common.clock import epoch_ms
from libs.common.contracts.events import BalancesAdjusted, OrderUpdated
from libs.common.errors import ConfigurationError
from libs.common.storage.transaction import Connection, Transaction
from libs.trading.positions import Position
from services.position_manager.adapters import statements
from services.position_manager.domain.equity import (
    MINUTE,
    PEAK_WINDOW,
    AccountBook,
    Baseline,
    History,
    falling,
    minute_of,
)
from services.position_manager.domain.ledger import Booking, Holding
from services.position_manager.service import AccountBalances, Holdings, Snapshot


class PostgresLedger:
    """Implements `Ledger`; money is written as numeric and comes back digit for digit."""

    def __init__(
        self, transaction: Transaction, *, quote_asset: str, after_commit: Callable[[Callable[[], None]], None]
    ) -> None:
        self._transaction = transaction
        self._quote_asset = quote_asset
        self._after_commit = after_commit

    def after_commit(self, effect: Callable[[], None]) -> None:
        """Run `effect` once the transaction is durable."""
        self._after_commit(effect)

    async def books(self) -> Sequence[AccountBook]:
        """Return the book of every account that was opened.

        Raises:
            ConfigurationError: The ledger is kept in another quote currency than the configured symbols'.
        """
        books = {}
        for row in await self._transaction.fetch(statements.BOOKS):
            if row["quote_asset"] != self._quote_asset:
                raise ConfigurationError(
                    where="symbols",
                    expected=f"symbols quoted in {row['quote_asset']}, in which account {row['account']} is kept",
                    found=self._quote_asset,
                    hint="use another account or data directory for another quote currency",
                )
            books[row["account"]] = AccountBook(
                account=row["account"],
                opened_at=row["opened_at"],
                quote_asset=row["quote_asset"],
                opening_quote=row["opening"],
                quote_balance=row["balance"],
            )
        for row in await self._transaction.fetch(statements.HOLDINGS):
            books[row["account"]].holdings[row["symbol"]] = _holding(row)
        for row in await self._transaction.fetch(statements.LOCKS):
            books[row["account"]].lock(row["client_order_id"], row["locked"])
        return list(books.values())

    async def open_account(self, account: str, balances: AccountBalances) -> None:
        """Store what an account began with."""
        held = {self._quote_asset: Decimal(0), **{asset: held for asset, held in balances.quantities.items() if held}}
        await self._transaction.execute(statements.OPEN_ACCOUNT, account, self._quote_asset, balances.updated_at)
        await self._transaction.execute(statements.OPEN_BALANCES, account, list(held), list(held.values()))

    async def holding(self, account: str, symbol: str) -> Holding:
        """Return a position, an empty one if there was none yet."""
        row = await self._transaction.fetchrow(statements.HOLDING, account, symbol)
        return Holding(account=account, position=Position(symbol=symbol)) if row is None else _holding(row)

    async def has_fill(self, account: str, symbol: str, trade_id: int, exchange_order_id: str) -> bool:
        """Whether a fill was booked before."""
        found = await self._transaction.fetchval(statements.HAS_FILL, account, symbol, trade_id, exchange_order_id)
        return bool(found)

    async def save_booking(self, booking: Booking, *, in_opening: bool) -> None:
        """Store a fill with all that it changes."""
        fill, holding, trip = booking.fill, booking.holding, booking.round_trip
        await self._transaction.execute(
            statements.SAVE_FILL,
            fill.account,
            fill.symbol,
            fill.trade_id,
            fill.exchange_order_id,
            fill.intent_id,
            fill.client_order_id,
            fill.side.value,
            fill.role.value,
            fill.quantity,
            fill.price,
            fill.commission,
            fill.commission_asset,
            booking.base_change,
            booking.quote_change,
            booking.fee_outside,
            holding.net_pnl,
            holding.position.fees_quote,
            fill.occurred_at,
        )
        await self._transaction.execute(
            statements.CHANGE_OPENINGS if in_opening else statements.CHANGE_BALANCES,
            fill.account,
            list(booking.balances),
            list(booking.balances.values()),
        )
        await self.save_holding(holding)
        if trip is not None:
            await self._transaction.execute(
                statements.SAVE_ROUND_TRIP,
                trip.account,
                trip.symbol,
                trip.number,
                trip.strategy,
                trip.opened_at,
                trip.closed_at,
                trip.pnl,
            )

    async def save_movement(self, adjusted: BalancesAdjusted, *, in_opening: bool) -> bool:
        """Store what moved balances without an order, with what it changes; False: it was booked before."""
        assets, deltas = list(adjusted.changes), list(adjusted.changes.values())
        added = await self._transaction.execute(
            statements.SAVE_MOVEMENT,
            adjusted.account,
            adjusted.kind,
            adjusted.reference,
            assets,
            deltas,
            adjusted.occurred_at,
            adjusted.reason,
            adjusted.issuer,
            in_opening,
        )
        if added == "INSERT 0 0":
            return False
        change = statements.CHANGE_OPENINGS if in_opening else statements.CHANGE_BALANCES
        await self._transaction.execute(change, adjusted.account, assets, deltas)
        return True

    async def save_holding(self, holding: Holding) -> None:
        """Store a position."""
        position = holding.position
        await self._transaction.execute(
            statements.SAVE_HOLDING,
            holding.account,
            holding.symbol,
            holding.revision,
            holding.strategy,
            position.quantity,
            position.cost,
            position.realised_pnl,
            position.fees_quote,
            holding.stop_loss,
            holding.take_profit,
            holding.trailing_distance,
            holding.trailing_stop,
            holding.entry_intent_id,
            holding.opened_at,
            holding.opened_revision,
            holding.round_trips,
            holding.pnl_at_close,
            holding.bought,
            position.entry_price if holding.is_open else None,
        )

    async def save_lock(self, order: OrderUpdated, amount: Decimal) -> bool:
        """Store what a buy order locks; False when a newer revision of it is known."""
        arguments = (order.account, order.client_order_id, order.revision, amount)
        return await self._transaction.returning(statements.SAVE_LOCK, *arguments) is not None

    async def history(self, account: str, now: datetime) -> History:
        """Return what the stored marks leave behind."""
        baseline = await self._transaction.fetchrow(statements.BASELINE, account)
        confirmed = await self._transaction.fetchrow(statements.LAST_CONFIRMED, account)
        since = now - PEAK_WINDOW - MINUTE
        highs = await self._transaction.fetch(statements.HIGHS, account, since)
        return History(
            baseline=None if baseline is None else Baseline(**dict(baseline)),
            confirmed_at=None if confirmed is None else confirmed["confirmed_at"],
            confirmed_equity=None if confirmed is None else confirmed["confirmed_equity"],
            highs=falling(((row["minute_at"], row["equity_high"]) for row in highs), now),
        )

    async def save_mark(self, snapshot: Snapshot) -> None:
        """Store a mark in its minute's row."""
        valuation = snapshot.valuation
        await self._transaction.execute(
            statements.SAVE_MARK,
            snapshot.account,
            minute_of(snapshot.at),
            snapshot.at,
            valuation.equity,
            valuation.confirmed,
            snapshot.at if valuation.confirmed else None,
            valuation.equity if valuation.confirmed else None,
            snapshot.baseline.day,
            snapshot.baseline.equity,
            snapshot.peak_24h,
            valuation.realised_pnl,
            valuation.unrealised_pnl,
            valuation.fees,
            valuation.quote_free,
            valuation.positions_open,
            dict(valuation.bids),
        )

    async def save_baseline(self, account: str, baseline: Baseline) -> None:
        """Store a day's baseline; the first one stays."""
        arguments = (account, baseline.day, baseline.equity, baseline.source, baseline.marked_at)
        await self._transaction.execute(statements.SAVE_BASELINE, *arguments)

    async def forget_ended_orders(self) -> None:
        """Delete what orders that ended more than a day ago locked: no event of theirs can still arrive."""
        await self._transaction.execute(statements.FORGET_LOCKS)

    async def holdings_at(self, account: str, moment: datetime) -> Holdings:
        """Return what the bookings up to `moment` amount to."""
        worth = await self._transaction.fetchval(statements.CASH_AT, account, moment)
        rows = await self._transaction.fetch(statements.HELD_AT, account, moment)
        return Holdings(worth=worth, quantities={row["symbol"]: row["quantity"] for row in rows})


async def open_symbols(connection: Connection) -> list[str]:
    """Return the symbols with an open position, which may have left the configuration."""
    return [row["symbol"] for row in await connection.fetch(statements.OPEN_SYMBOLS)]


async def trailing_times(connection: Connection) -> tuple[datetime | None, datetime | None]:
    """Return when the oldest position was opened that trails, and since when an account has not been marked."""
    [row] = await connection.fetch(statements.TRAILING_TIMES)
    return row["trails_since"], row["marked_at"]


def _holding(row: Record) -> Holding:
    opened_at: datetime | None = row["opened_at"]
    return Holding(
        account=row["account"],
        position=Position(
            symbol=row["symbol"],
            quantity=row["quantity"],
            cost=row["cost"],
            realised_pnl=row["realised_pnl"],
            fees_quote=row["fees"],
            opened_at_ms=None if opened_at is None else epoch_ms(opened_at),
        ),
        revision=row["revision"],
        strategy=row["strategy"],
        stop_loss=row["stop_loss"],
        take_profit=row["take_profit"],
        trailing_distance=row["trailing_distance"],
        trailing_stop=row["trailing_stop"],
        entry_intent_id=row["entry_intent_id"],
        opened_at=opened_at,
        opened_revision=row["opened_revision"],
        round_trips=row["round_trips"],
        pnl_at_close=row["pnl_at_close"],
        bought=row["bought"],
    )
