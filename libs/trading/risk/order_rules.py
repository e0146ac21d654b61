"""The rules about the order itself: what it may cost, and that it can be protected.

Invariant: as for all rules; an order of unknown outcome counts as if it had filled.
"""

from decimal import Decimal

from libs.trading.instruments import Beside, Filter, FilterViolation
from libs.trading.market import OrderType, Side
from libs.trading.money import exact, plain
from libs.trading.risk.case import Case, Draft, Refused
from libs.trading.risk.reasons import RefusalReason

_ZERO = Decimal(0)


def order_notional_is_within_limit(case: Case, order: Draft) -> Refused | None:
    """One order is not larger than allowed."""
    if order.notional <= case.limits.order_notional_max:
        return None
    return Refused(
        RefusalReason.ORDER_NOTIONAL_IS_ABOVE_LIMIT,
        f"at most {plain(case.limits.order_notional_max)}",
        plain(order.notional),
    )


def exposure_is_within_limit(case: Case, order: Draft) -> Refused | None:
    """All that is, and may come to be, at risk stays within its limit with this order."""
    with exact():
        projected = case.exposure.notional + order.notional
    if projected <= case.limits.exposure_notional_max:
        return None
    return Refused(
        RefusalReason.EXPOSURE_IS_ABOVE_LIMIT,
        f"at most {plain(case.limits.exposure_notional_max)}",
        plain(projected),
    )


def check_account_balance(case: Case, order: Draft) -> Refused | None:
    """The free balance covers the order's worst case after everything that is still under way."""
    with exact():
        available = case.exposure.free_quote - case.exposure.pending_notional
    if order.notional <= available:
        return None
    return Refused(RefusalReason.BALANCE_IS_INSUFFICIENT, f"{plain(order.notional)} available", plain(available))


def exchange_filters_pass(case: Case, order: Draft) -> Refused | None:
    """The exchange's filters let the order pass."""
    order_type = OrderType.MARKET if order.limit_price is None else OrderType.LIMIT
    instrument, side = case.market.instrument, case.proposal.side
    beside = Beside(held=case.exposure.positions.get(case.proposal.symbol, _ZERO))
    violations = (
        *instrument.violations(order_type, side, order.quantity, order.limit_price, order.reference_price),
        *instrument.crowding((order_type,), side, order.quantity, beside),
    )
    return _refused(RefusalReason.EXCHANGE_FILTER_FAILS, violations)


def protection_is_possible(case: Case, order: Draft) -> Refused | None:
    """What is left of the purchase after the fee can be sold at the stop-loss and at the take-profit.

    A stop that trails by less than a tick would sell at the high that it follows.
    """
    instrument = case.market.instrument
    with exact():
        received = order.quantity * (1 - case.limits.base_fee_rate_max)
    quantity = instrument.floor_quantity(received)
    violations: list[FilterViolation] = []
    for order_type, price in _legs(case):
        violations += instrument.violations(order_type, Side.SELL, quantity, price, order.reference_price)
    distance, tick = case.proposal.trailing_distance, instrument.price_tick
    if distance is not None and distance < tick:
        expected = f"a stop that trails by a tick of {plain(tick)} at least"
        violations.append(FilterViolation(Filter.PRICE_FILTER, expected, plain(distance)))
    return _refused(RefusalReason.PROTECTION_IS_IMPOSSIBLE, violations)


def _legs(case: Case) -> tuple[tuple[OrderType, Decimal | None], ...]:
    return (
        (OrderType.STOP_LOSS, case.proposal.stop_loss),
        (OrderType.LIMIT_MAKER, case.proposal.take_profit),
    )


def _refused(reason: RefusalReason, violations: tuple[FilterViolation, ...] | list[FilterViolation]) -> Refused | None:
    if not violations:
        return None
    limit = "; ".join(f"{violation.filter}: {violation.expected}" for violation in violations)
    return Refused(reason, limit, "; ".join(violation.found for violation in violations))
