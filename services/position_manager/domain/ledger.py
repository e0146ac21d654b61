"""Book one fill: the position, the balances and, when a position closes, the round trip.

Invariant: for every booking, worth before + (quote change - fee outside + base change x price) = worth after, to the
last digit and at any price. `worth_change` of a day can therefore be summed from the stored bookings.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from libs.common.clock import epoch_ms
from libs.common.contracts.events import OrderFilled
from libs.common.contracts.vocabulary import Role
from libs.common.errors import InvalidMessageError
from libs.trading.instruments import Instrument
from libs.trading.market import Side
from libs.trading.money import exact
from libs.trading.positions import Fill, OversoldError, Position, apply, is_flat

ZERO: Final = Decimal(0)
_FEE_PRICE_STEP: Final = Decimal("1e-8")
"""Prices of third assets are cut to it, so that a fee's worth has at most 16 decimals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A position of one account with what others know it by.

    Attributes:
        account: Whose it is.
        position: The core's exact arithmetic.
        revision: Rises by one with every change; 0 before the first.
        strategy: Whose entry opened it last; of several entries held at once, the first.
        stop_loss: Where its protection sells at a loss, `take_profit` at a gain; None when flat.
        trailing_distance: How far below the highest price its stop follows it; None: it stays.
        trailing_stop: Where a stop that trails belongs; `stop_loss` follows when the exchange has accepted it there.
        entry_intent_id: That entry: protection names it as its parent, and exits and trailing are its own.
        opened_at: When it became more than dust; None while it is flat.
        opened_revision: The revision of that moment, which names the round trip.
        round_trips: Opened and closed so far.
        pnl_at_close: Net PnL when it was last flat: what a round trip's own PnL counts from.
        bought: All that was ever bought, gross of commissions.
    """

    account: str
    position: Position
    revision: int = 0
    strategy: str = ""
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trailing_distance: Decimal | None = None
    trailing_stop: Decimal | None = None
    entry_intent_id: uuid.UUID | None = None
    opened_at: datetime | None = None
    opened_revision: int = 0
    round_trips: int = 0
    pnl_at_close: Decimal = ZERO
    bought: Decimal = ZERO

    @property
    def symbol(self) -> str:
        """The market it is held in."""
        return self.position.symbol

    @property
    def is_open(self) -> bool:
        """Whether it is more than dust."""
        return self.opened_at is not None

    @property
    def net_pnl(self) -> Decimal:
        """Realised PnL with every fee taken off, in the quote currency."""
        with exact():
            return self.position.realised_pnl - self.position.fees_quote


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrip:
    """A position from its opening to its close; `pnl` is net of fees, in the quote currency."""

    account: str
    symbol: str
    number: int
    strategy: str
    opened_at: datetime
    closed_at: datetime
    pnl: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """What one fill changes.

    Attributes:
        fill: The fill.
        holding: The position afterwards.
        balances: Signed change of the account's balance by asset.
        base_change: Signed change of the position.
        quote_change: Signed change of the quote balance.
        fee_outside: Worth in quote of fees that neither the quote balance nor the position paid.
        round_trip: Present when this fill closed the position.
    """

    fill: OrderFilled
    holding: Holding
    balances: Mapping[str, Decimal]
    base_change: Decimal
    quote_change: Decimal
    fee_outside: Decimal
    round_trip: RoundTrip | None


def book(before: Holding, fill: OrderFilled, instrument: Instrument) -> Booking:
    """Return what `fill` does to the account.

    A third asset's fee without a known price is worth nothing in the PnL; its balance is exact all the same.

    Raises:
        InvalidMessageError: The ledger cannot have had such a fill (it sells more than is held, or the fee exceeds
            the quantity). On `fills` this halts the account and starts a reconciliation.
    """
    side = Side(fill.side.value)
    third_asset = fill.commission_asset not in (instrument.base, instrument.quote)
    try:
        position = apply(
            before.position,
            Fill(
                symbol=fill.symbol,
                side=side,
                quantity=fill.quantity,
                price=fill.price,
                fee=fill.commission,
                fee_asset=fill.commission_asset,
                at_ms=epoch_ms(fill.occurred_at),
            ),
            _fee_price(fill) if third_asset else None,
            flat=not before.is_open,
        )
    except OversoldError as error:
        raise InvalidMessageError(
            "oversold position",
            expected=f"at most {before.position.quantity} {instrument.base}",
            found=f"{fill.quantity} sold by {fill.client_order_id}, trade {fill.trade_id}",
        ) from error
    except ValueError as error:
        raise InvalidMessageError("impossible fill", expected="a fill that can be booked", found=str(error)) from error
    balances = balance_changes(fill, side, instrument)
    with exact():
        base_change = position.quantity - before.position.quantity
        quote_change = balances.get(instrument.quote, ZERO)
        fee_outside = quote_change - (_cash(position) - _cash(before.position))
    after, round_trip = _follow(before, position, fill, instrument)
    return Booking(
        fill=fill,
        holding=after,
        balances=balances,
        base_change=base_change,
        quote_change=quote_change,
        fee_outside=fee_outside,
        round_trip=round_trip,
    )


def balance_changes(fill: OrderFilled, side: Side, instrument: Instrument) -> dict[str, Decimal]:
    """Return what the exchange adds to and takes from each balance for a fill."""
    with exact():
        direction = 1 if side is Side.BUY else -1
        changes = {
            instrument.base: direction * fill.quantity,
            instrument.quote: -direction * fill.quantity * fill.price,
        }
        if fill.commission:
            changes[fill.commission_asset] = changes.get(fill.commission_asset, ZERO) - fill.commission
    return changes


def _follow(
    before: Holding, position: Position, fill: OrderFilled, instrument: Instrument
) -> tuple[Holding, RoundTrip | None]:
    """Carry over what is known of the position, and see whether this fill opened or closed it."""
    revision = before.revision + 1
    with exact():
        bought = before.bought + (fill.quantity if fill.side.value == Side.BUY.value else ZERO)
    after = replace(before, position=position, revision=revision, bought=bought)
    if fill.role is Role.ENTRY and not _is_held_by_another(before, fill):
        after = replace(
            after,
            strategy=fill.strategy,
            entry_intent_id=fill.intent_id,
            stop_loss=fill.stop_loss or before.stop_loss,
            take_profit=fill.take_profit or before.take_profit,
        )
        if fill.intent_id != before.entry_intent_id:  # its first fill
            trails = fill.trailing_distance is not None and fill.stop_loss is not None
            after = replace(
                after,
                trailing_distance=fill.trailing_distance if trails else None,
                trailing_stop=fill.stop_loss if trails else None,
            )
    flat = is_flat(position, instrument, fill.price)
    if not flat:
        return (after if before.is_open else replace(after, opened_at=fill.occurred_at, opened_revision=revision)), None
    if before.opened_at is None:
        return after, None
    closed = replace(
        after,
        stop_loss=None,
        take_profit=None,
        trailing_distance=None,
        trailing_stop=None,
        entry_intent_id=None,
        opened_at=None,
        round_trips=before.round_trips + 1,
        pnl_at_close=after.net_pnl,
    )
    with exact():
        pnl = after.net_pnl - before.pnl_at_close
    return closed, RoundTrip(
        account=before.account,
        symbol=before.symbol,
        number=closed.round_trips,
        strategy=before.strategy,
        opened_at=before.opened_at,
        closed_at=fill.occurred_at,
        pnl=pnl,
    )


def _is_held_by_another(before: Holding, fill: OrderFilled) -> bool:
    """Whether another entry opened what is held: that of a fill which was found late."""
    return before.is_open and before.entry_intent_id not in {None, fill.intent_id}


def _cash(position: Position) -> Decimal:
    """What the position has brought in so far, in quote: its worth without what is held."""
    return position.realised_pnl - position.fees_quote - position.cost


def _fee_price(fill: OrderFilled) -> Decimal:
    if fill.commission_rate is None or fill.commission_rate <= 0:
        return ZERO
    return fill.commission_rate.quantize(_FEE_PRICE_STEP, ROUND_HALF_EVEN)
