"""Turn a proposal whose conditions hold into the order that would be sent.

Invariant: an entry is a limit order that cannot pay more than the collar allows; an exit is a market order over what is
held, because to close for certain matters more than the last tick.
"""

from decimal import Decimal

from libs.trading.money import exact, is_positive, plain
from libs.trading.risk.case import Case, Draft, Refused
from libs.trading.risk.prices import worst_entry_price
from libs.trading.risk.reasons import RefusalReason
from libs.trading.sizing import Basis


def draft_entry(case: Case) -> Draft | Refused:
    """Return the marketable limit order of an entry, sized for the worst price that it may pay."""
    equity, limits, instrument = case.exposure.equity, case.limits, case.market.instrument
    limit_price = worst_entry_price(case)
    size = limits.sizing.size(
        Basis(
            equity=equity,
            price=limit_price,
            stop_loss=case.proposal.stop_loss,
            volatility_rate=case.market.volatility_rate,
            fee_rate=limits.base_fee_rate_max,
            position_size_pct=limits.position_size_pct,
            instrument=instrument,
        )
    )
    if size.reason is not None:
        return Refused(
            RefusalReason.ORDER_IS_TOO_SMALL,
            f"the minimum order of {instrument.symbol}",
            f"{limits.sizing.describe(limits.position_size_pct)}, which is {plain(equity)}: {size.reason}",
        )
    with exact():
        notional = size.quantity * limit_price
    return Draft(size.quantity, limit_price, notional, _reference_price(case))


def draft_exit(case: Case) -> Draft | Refused:
    """Return the market order of an exit: the whole position, as far as one order carries it."""
    instrument = case.market.instrument
    held = case.exposure.positions[case.proposal.symbol]
    quantity = instrument.floor_market_quantity(held)
    reference_price = _reference_price(case)
    with exact():
        notional = quantity * reference_price
    smallest = max(instrument.quantity_min, instrument.market_quantity_min)
    if quantity == 0 or quantity < smallest or notional < instrument.notional_min:
        return Refused(RefusalReason.POSITION_IS_TOO_SMALL, f"the minimum order of {instrument.symbol}", plain(held))
    return Draft(quantity, None, notional, reference_price)


def _reference_price(case: Case) -> Decimal:
    """Return what the exchange measures against, or the nearest to it that is known."""
    if is_positive(case.market.reference_price):
        return case.market.reference_price
    return case.market.quote.mid if case.market.quote.is_plausible else case.proposal.price
