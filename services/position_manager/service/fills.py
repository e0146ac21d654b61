"""Fills and orders become positions: each fill is booked exactly once, and so is whatever else moves balances."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import BalancesAdjusted, OrderFilled, OrderUpdated, PositionChanged
from libs.common.contracts.vocabulary import TERMINAL_STATUSES, OrderStatus, Role, Side
from libs.common.errors import InvalidMessageError
from libs.trading.instruments import Instrument
from libs.trading.money import exact
from services.position_manager.domain.equity import AccountBook
from services.position_manager.domain.ledger import ZERO, Holding, book
from services.position_manager.service.accounts import Accounts
from services.position_manager.service.ports import Ledger

_WORKING = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})


class PositionKeeper:
    """Keeps the positions and balances of all accounts."""

    def __init__(self, *, accounts: Accounts, instruments: Mapping[str, Instrument]) -> None:
        self._accounts = accounts
        self._instruments = instruments

    async def on_fill(self, envelope: Envelope[OrderFilled], ledger: Ledger) -> Sequence[Event]:
        """Book a fill; one that was booked before changes nothing.

        Raises:
            InvalidMessageError: The fill is impossible or of an unknown account or symbol; the account is halted.
        """
        fill = envelope.event
        account = self._book_of(fill.account)
        instrument = self._instruments.get(fill.symbol)
        if instrument is None:
            raise InvalidMessageError("unknown symbol", expected=", ".join(self._instruments), found=fill.symbol)
        if await ledger.has_fill(fill.account, fill.symbol, fill.trade_id, fill.exchange_order_id):
            return []
        booking = book(await ledger.holding(fill.account, fill.symbol), fill, instrument)
        await ledger.save_booking(booking, in_opening=account.had(booking))
        ledger.after_commit(lambda: account.committed(booking))
        return [position_changed(booking.holding, fill)]

    async def on_balances_adjusted(self, envelope: Envelope[BalancesAdjusted], ledger: Ledger) -> Sequence[Event]:
        """Book what moved balances without an order; no position and no equity changes."""
        adjusted = envelope.event
        account = self._book_of(adjusted.account)
        in_opening = account.held_at_opening(adjusted.occurred_at)
        if await ledger.save_movement(adjusted, in_opening=in_opening):
            ledger.after_commit(lambda: account.moved(adjusted.changes, in_opening=in_opening))
        return []

    async def on_order_updated(self, envelope: Envelope[OrderUpdated], ledger: Ledger) -> Sequence[Event]:
        """Follow what buy orders lock and where protection really stands."""
        order = envelope.event
        account = self._book_of(order.account)
        if order.side is Side.BUY:
            amount = _locked(order)
            if await ledger.save_lock(order, amount):
                ledger.after_commit(lambda: account.lock(order.client_order_id, amount))
            return []
        if order.role is not Role.PROTECTION or order.status not in _WORKING:
            return []
        before = await ledger.holding(order.account, order.symbol)
        after = _protected(before, order)
        if after is before:
            return []
        await ledger.save_holding(after)
        ledger.after_commit(lambda: account.holdings.update({after.symbol: after}))
        return [position_changed(after, order)]

    def _book_of(self, account: str) -> AccountBook:
        known = self._accounts.books
        if account not in known:
            raise InvalidMessageError("unknown account", expected=", ".join(known), found=account)
        return known[account]


def position_changed(holding: Holding, cause: Event) -> PositionChanged:
    """Return the event that tells others of a position."""
    position = holding.position
    return PositionChanged(
        occurred_at=cause.occurred_at,
        account=holding.account,
        symbol=holding.symbol,
        revision=holding.revision,
        strategy=holding.strategy,
        quantity=position.quantity,
        cost=position.cost,
        entry_price=position.entry_price if holding.is_open else None,
        stop_loss=holding.stop_loss,
        take_profit=holding.take_profit,
        realised_pnl=holding.net_pnl,
        fees=position.fees_quote,
        round_trips=holding.round_trips,
        bought=holding.bought,
        opened_at=holding.opened_at,
    )


def _locked(order: OrderUpdated) -> Decimal:
    if order.status in TERMINAL_STATUSES or order.price is None:
        return ZERO
    with exact():
        return max(order.quantity - order.filled_quantity, ZERO) * order.price


def _protected(before: Holding, order: OrderUpdated) -> Holding:
    """Return the position with the exits that the exchange accepted; `before` itself when nothing changed.

    Protection of an earlier round trip can be reported late: it names another entry as its parent.
    """
    if not before.is_open or order.parent_intent_id != before.entry_intent_id:
        return before
    if order.stop_price is not None:
        after = replace(before, stop_loss=order.stop_price)
    else:
        after = replace(before, take_profit=order.price)
    return before if after == before else replace(after, revision=before.revision + 1)
