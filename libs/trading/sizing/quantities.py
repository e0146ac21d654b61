"""How much may be bought, by each way of sizing.

Invariant: a size never exceeds what was asked for, and is a quantity that the exchange takes, or exactly zero with the
reason. Every way of sizing is a function that returns a `Size`.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from libs.trading.instruments import Instrument
from libs.trading.money import exact, is_positive

_ZERO = Decimal(0)
_PERCENT = Decimal("0.01")


class NoSizeReason(StrEnum):
    """Why there is nothing to buy."""

    INPUT_IS_NOT_POSITIVE = "input_is_not_positive"
    STOP_IS_NOT_BELOW_PRICE = "stop_is_not_below_price"
    QUANTITY_IS_BELOW_MINIMUM = "quantity_is_below_minimum"
    NOTIONAL_IS_BELOW_MINIMUM = "notional_is_below_minimum"


@dataclass(frozen=True, slots=True)
class Size:
    """A quantity in base asset; zero exactly when `reason` says why."""

    quantity: Decimal
    reason: NoSizeReason | None = None


NO_INPUT = Size(_ZERO, NoSizeReason.INPUT_IS_NOT_POSITIVE)


def fixed_fraction(equity: Decimal, price: Decimal, position_size_pct: Decimal, instrument: Instrument) -> Size:
    """Return the quantity whose notional at `price` is `position_size_pct` percent of `equity`, floored to the step.

    Args:
        equity: The account's equity in quote currency.
        price: The worst price that the order may pay.
        position_size_pct: The entry's notional as a percentage of the equity.
        instrument: The symbol whose step, bounds and notionals hold.
    """
    if not (is_positive(equity) and is_positive(price) and is_positive(position_size_pct)):
        return NO_INPUT
    with exact():
        amount = equity * position_size_pct * _PERCENT
    return _sized(amount, price, amount, price, instrument)


def volatility_target(
    equity: Decimal,
    price: Decimal,
    *,
    volatility_pct: Decimal,
    target_pct: Decimal,
    position_size_pct_max: Decimal,
    instrument: Instrument,
) -> Size:
    """Return the quantity at which the position scatters as much as `target_pct` percent of the equity would.

    A market twice as wild is held half as large (Moreira and Muir, "Volatility-managed portfolios", 2017).

    Args:
        equity: The account's equity in quote currency.
        price: The worst price that the order may pay.
        volatility_pct: The market's volatility in percent, over any time.
        target_pct: The volatility that the position may have, in percent of the equity over the same time.
        position_size_pct_max: The notional is never more than this percentage of the equity, however calm it is.
        instrument: The symbol whose step, bounds and notionals hold.
    """
    inputs = (equity, price, volatility_pct, target_pct, position_size_pct_max)
    if not all(map(is_positive, inputs)):
        return NO_INPUT
    with exact():
        # notional x volatility <= equity x target, without a quotient that would have to be rounded
        return _sized(
            equity * target_pct, volatility_pct * price, _most(equity, position_size_pct_max), price, instrument
        )


def risk_per_trade(
    equity: Decimal,
    price: Decimal,
    *,
    stop_loss: Decimal,
    risk_pct: Decimal,
    position_size_pct_max: Decimal,
    instrument: Instrument,
    cost_rate: Decimal = _ZERO,
) -> Size:
    """Return the quantity that loses at most `risk_pct` percent of the equity when its stop is hit.

    Args:
        equity: The account's equity in quote currency.
        price: The worst price that the order may pay.
        stop_loss: Where it is sold if it falls.
        risk_pct: What the trade may lose, in percent of the equity.
        position_size_pct_max: The notional is never more than this percentage of the equity, however near the stop.
        instrument: The symbol whose step, bounds and notionals hold.
        cost_rate: What the round trip costs besides, as a fraction of the price.
    """
    inputs = (equity, price, stop_loss, risk_pct, position_size_pct_max)
    if not all(map(is_positive, inputs)) or not (cost_rate.is_finite() and cost_rate >= 0):
        return NO_INPUT
    if stop_loss >= price:
        return Size(_ZERO, NoSizeReason.STOP_IS_NOT_BELOW_PRICE)
    with exact():
        loss = price - stop_loss + price * cost_rate
        return _sized(_most(equity, risk_pct), loss, _most(equity, position_size_pct_max), price, instrument)


def position_quantity(equity: Decimal, price: Decimal, position_size_pct: Decimal, instrument: Instrument) -> Decimal:
    """Return the quantity of `fixed_fraction`, 0 where there is none."""
    return fixed_fraction(equity, price, position_size_pct, instrument).quantity


def _most(equity: Decimal, pct: Decimal) -> Decimal:
    return equity * pct * _PERCENT


def _sized(budget: Decimal, unit_cost: Decimal, amount: Decimal, price: Decimal, instrument: Instrument) -> Size:
    """Return the greatest quantity that keeps within both the budget and the notional, or why there is none.

    Args:
        budget: What may be spent of whatever is rationed, which one whole unit takes `unit_cost` of.
        unit_cost: Above zero.
        amount: The greatest notional.
        price: Of one whole unit.
        instrument: The symbol whose step, bounds and notionals hold.
    """
    with exact():
        if instrument.notional_max is not None and instrument.notional_max > 0:
            amount = min(amount, instrument.notional_max)
        step = instrument.quantity_step
        # Whole numbers of steps: no quotient is rounded.
        steps = min(budget // (unit_cost * step), amount // (price * step))
        quantity = instrument.floor_quantity(steps * step)
        if quantity == 0 or quantity < instrument.quantity_min:
            return Size(_ZERO, NoSizeReason.QUANTITY_IS_BELOW_MINIMUM)
        if quantity * price < instrument.notional_min:
            return Size(_ZERO, NoSizeReason.NOTIONAL_IS_BELOW_MINIMUM)
    return Size(quantity)
