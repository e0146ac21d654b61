"""What is held, what it cost and what it earned.

Invariant: nothing is lost to rounding. For any sequence of fills,
`cash paid out or in + quantity x bid == realised + unrealised - fees` holds to the last digit, with fees in base and
third assets valued at the prices given for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal

from libs.trading.instruments import Instrument
from libs.trading.market import Side
from libs.trading.money import exact, plain

_ZERO = Decimal(0)
_COST_STEP = Decimal("1e-12")
_PROPORTION = Context(prec=50, rounding=ROUND_HALF_EVEN)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution: `fee` is what the exchange took, in `fee_asset`."""

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """The holding of one symbol by one account.

    Attributes:
        symbol: As in 'BTC/USDT'.
        quantity: Held now, in base asset, fees already taken off.
        cost: What the held quantity was bought for, in quote asset, without fees.
        realised_pnl: Proceeds less cost of what was sold, in quote asset, without fees.
        fees_quote: All fees so far, in quote asset.
        opened_at_ms: When it was last opened from flat; None before the first fill.
    """

    symbol: str
    quantity: Decimal = _ZERO
    cost: Decimal = _ZERO
    realised_pnl: Decimal = _ZERO
    fees_quote: Decimal = _ZERO
    opened_at_ms: int | None = None

    @property
    def entry_price(self) -> Decimal | None:
        """The average price of what is held, rounded to 12 decimals for display; None when nothing is."""
        if self.quantity == 0:
            return None
        return _PROPORTION.quantize(_PROPORTION.divide(self.cost, self.quantity), _COST_STEP)


class OversoldError(ValueError):
    """A fill sold more than the position held: coins that the ledger does not own."""


def apply(position: Position, fill: Fill, fee_price: Decimal | None = None, *, flat: bool = False) -> Position:
    """Return `position` after `fill`.

    Args:
        position: Before the fill.
        fill: Of the same symbol.
        fee_price: The fee asset's price in quote asset; needed where the fee is in neither base nor quote.
        flat: Whether only dust was held before, so that a buy opens the position anew.

    Raises:
        OversoldError: The fill sold more than was held.
        ValueError: Another symbol's fill, a negative number, or a fee in a third asset without its price.
    """
    if fill.symbol != position.symbol:
        raise ValueError(f"expected a fill of {position.symbol}, found {fill.symbol}")
    if not (fill.quantity > 0 and fill.price > 0 and fill.fee >= 0):
        raise ValueError(f"expected positive quantity and price and a fee from 0, found {fill}")
    with exact():
        return _buy(position, fill, fee_price, flat=flat) if fill.side is Side.BUY else _sell(position, fill, fee_price)


def unrealised_pnl(position: Position, bid: Decimal) -> Decimal:
    """Return what selling all of it at `bid` would earn over its cost, before fees, in quote asset."""
    with exact():
        return position.quantity * bid - position.cost


def is_flat(position: Position, instrument: Instrument, price: Decimal | None = None) -> bool:
    """Whether what is held is less than the exchange would take in one order.

    Args:
        position: What is held.
        instrument: Whose minimum quantity and, with `price`, minimum notional decide.
        price: The current price; without it only the quantity is looked at.
    """
    sellable = instrument.floor_market_quantity(position.quantity)
    if sellable == 0 or sellable < max(instrument.quantity_min, instrument.market_quantity_min):
        return True
    with exact():
        return price is not None and sellable * price < instrument.notional_min


def equity(balances: Mapping[str, Decimal], marks: Mapping[str, Decimal], quote: str) -> Decimal:
    """Return the worth of `balances` in the `quote` asset.

    Args:
        balances: Quantity by asset, free and locked together.
        marks: Price in `quote` by asset, for each other asset held.
        quote: The asset of account, which is worth itself.

    Raises:
        ValueError: An asset is held that has no mark: a part of the equity would be missing.
    """
    worth = _ZERO
    with exact():
        for asset, quantity in balances.items():
            if asset == quote:
                worth += quantity
            elif quantity != 0:
                if asset not in marks:
                    raise ValueError(f"expected a mark for {asset}, of which {plain(quantity)} is held, found none")
                worth += quantity * marks[asset]
    return worth


def day_key(at_ms: int) -> str:
    """Return the UTC day of a moment, as in '2026-11-22': the day that the daily loss limit means."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).date().isoformat()


def _buy(position: Position, fill: Fill, fee_price: Decimal | None, *, flat: bool) -> Position:
    base, _, _ = fill.symbol.partition("/")
    fee_quantity = fill.fee if fill.fee_asset == base else _ZERO
    received = fill.quantity - fee_quantity
    if received < 0:
        raise ValueError(f"expected a fee below the quantity, found {fill}")
    return Position(
        symbol=position.symbol,
        quantity=position.quantity + received,
        cost=position.cost + received * fill.price,  # the fee's share of the price paid is a fee, not a cost
        realised_pnl=position.realised_pnl,
        fees_quote=position.fees_quote + _fee_amount(fill, fee_price),
        opened_at_ms=fill.at_ms if flat or position.quantity == 0 else position.opened_at_ms,
    )


def _sell(position: Position, fill: Fill, fee_price: Decimal | None) -> Position:
    if fill.quantity > position.quantity:
        raise OversoldError(f"{fill.symbol}: expected to sell at most {position.quantity}, found {fill.quantity}")
    base, _, _ = fill.symbol.partition("/")
    # A fee in the base asset is taken out of the position, as if sold at the fill's price to pay it. Where the position
    # has no more, the exchange took it from coins outside the ledger: then it is a fee alone.
    fee_quantity = min(fill.fee, position.quantity - fill.quantity) if fill.fee_asset == base else _ZERO
    gone = fill.quantity + fee_quantity
    cost_gone = _share(position.cost, gone, position.quantity)
    return Position(
        symbol=position.symbol,
        quantity=position.quantity - gone,
        cost=position.cost - cost_gone,
        realised_pnl=position.realised_pnl + gone * fill.price - cost_gone,
        fees_quote=position.fees_quote + _fee_amount(fill, fee_price),
        opened_at_ms=position.opened_at_ms,
    )


def _fee_amount(fill: Fill, fee_price: Decimal | None) -> Decimal:
    """Return the fee in quote asset."""
    base, _, quote = fill.symbol.partition("/")
    if fill.fee == 0:
        return _ZERO
    if fill.fee_asset == quote:
        return fill.fee
    if fill.fee_asset == base:
        return fill.fee * fill.price
    if fee_price is None:
        raise ValueError(f"expected the price of {fill.fee_asset} in {quote} for the fee of {fill}, found none")
    return fill.fee * fee_price


def _share(cost: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """Return the cost of `part`, rounded to 1e-12; what rounding leaves stays in the position: totals conserve."""
    if part == whole:
        return cost
    return _PROPORTION.quantize(_PROPORTION.divide(_PROPORTION.multiply(cost, part), whole), _COST_STEP)
