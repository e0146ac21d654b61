"""How much to buy.

Invariant: a size never exceeds what was asked for, and is a quantity that the exchange takes, or exactly zero with the
reason. A further way of sizing is a further function that returns a `Size`.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from libs.trading.instruments import Instrument
from libs.trading.money import exact, is_positive

_PERCENT = Decimal("0.01")


class NoSizeReason(StrEnum):
    """Why there is nothing to buy."""

    INPUT_IS_NOT_POSITIVE = "input_is_not_positive"
    QUANTITY_IS_BELOW_MINIMUM = "quantity_is_below_minimum"
    NOTIONAL_IS_BELOW_MINIMUM = "notional_is_below_minimum"


@dataclass(frozen=True, slots=True)
class Size:
    """A quantity in base asset; zero exactly when `reason` says why."""

    quantity: Decimal
    reason: NoSizeReason | None = None


def fixed_fraction(equity: Decimal, price: Decimal, position_size_pct: Decimal, instrument: Instrument) -> Size:
    """Return the quantity whose notional at `price` is `position_size_pct` percent of `equity`, floored to the step.

    Args:
        equity: The account's equity in quote currency.
        price: The worst price that the order may pay.
        position_size_pct: The entry's notional as a percentage of the equity.
        instrument: The symbol whose step, bounds and notionals hold.
    """
    if not (is_positive(equity) and is_positive(price) and is_positive(position_size_pct)):
        return Size(Decimal(0), NoSizeReason.INPUT_IS_NOT_POSITIVE)

    with exact():
        amount = equity * position_size_pct * _PERCENT
        if instrument.notional_max is not None and instrument.notional_max > 0:
            amount = min(amount, instrument.notional_max)
    quantity = _affordable(amount, price, instrument)

    if quantity == 0 or quantity < instrument.quantity_min:
        return Size(Decimal(0), NoSizeReason.QUANTITY_IS_BELOW_MINIMUM)
    with exact():
        notional = quantity * price
    if notional < instrument.notional_min:
        return Size(Decimal(0), NoSizeReason.NOTIONAL_IS_BELOW_MINIMUM)
    return Size(quantity)


def position_quantity(equity: Decimal, price: Decimal, position_size_pct: Decimal, instrument: Instrument) -> Decimal:
    """Return the quantity of `fixed_fraction`, 0 where there is none."""
    return fixed_fraction(equity, price, position_size_pct, instrument).quantity


def _affordable(amount: Decimal, price: Decimal, instrument: Instrument) -> Decimal:
    """Return the greatest whole number of steps that `amount` buys at `price`, capped at the order's maximum."""
    with exact():
        steps = amount // (price * instrument.quantity_step)  # a whole number: no quotient is rounded
        return instrument.floor_quantity(steps * instrument.quantity_step)
