"""The rules about prices: where the market stands, and what the order may pay.

Invariant: all but the first need a plausible quote, so `quote_is_plausible` stands before them.
"""

from decimal import Decimal

from libs.trading.money import exact, is_positive, plain, round_down
from libs.trading.risk.case import Case, Refused
from libs.trading.risk.reasons import RefusalReason


def quote_is_plausible(case: Case) -> Refused | None:
    """The best bid and ask are this symbol's, real, and neither crossed nor locked."""
    quote = case.market.quote
    if quote.is_plausible and quote.symbol == case.proposal.symbol:
        return None
    return Refused(
        RefusalReason.QUOTE_IS_IMPLAUSIBLE,
        f"a quote of {case.proposal.symbol} with 0 < bid < ask",
        f"{quote.symbol or 'none'} {quote.bid} / {quote.ask}",
    )


def spread_is_acceptable(case: Case) -> Refused | None:
    """The spread is a small enough part of the mid."""
    quote = case.market.quote
    with exact():
        spread_max = quote.mid * case.limits.spread_rate_max
        spread = quote.ask - quote.bid
    if spread <= spread_max:
        return None
    return Refused(RefusalReason.SPREAD_IS_WIDE, f"at most {plain(spread_max)}", plain(spread))


def price_is_within_collar(case: Case) -> Refused | None:
    """The price that was decided on is near the mid, and so is the ask that would be paid."""
    price, quote = case.proposal.price, case.market.quote
    with exact():
        mid = quote.mid
        distance_max = mid * case.limits.price_collar_rate
        lowest, highest = mid - distance_max, mid + distance_max
    is_near = is_positive(price) and lowest <= price <= highest
    if is_near and quote.ask <= highest:
        return None
    limit = f"{plain(lowest)} to {plain(highest)}"
    return Refused(RefusalReason.PRICE_IS_OUTSIDE_COLLAR, limit, f"ask {plain(quote.ask)}" if is_near else f"{price}")


def price_is_between_exits(case: Case) -> Refused | None:
    """The market stands between stop-loss and take-profit: else the protection would be hit as it is placed."""
    stop_loss, take_profit, quote = case.proposal.stop_loss, case.proposal.take_profit, case.market.quote
    if is_positive(stop_loss) and is_positive(take_profit) and stop_loss < quote.bid and quote.ask < take_profit:
        return None
    return Refused(
        RefusalReason.PRICE_IS_BEYOND_EXITS,
        f"between stop-loss {stop_loss} and take-profit {take_profit}",
        f"bid {plain(quote.bid)}, ask {plain(quote.ask)}",
    )


def worst_entry_price(case: Case) -> Decimal:
    """Return the highest price that the entry may pay, on the tick: the collar above the mid, below the take-profit.

    It is at least the ask where `price_is_within_collar` and `price_is_between_exits` hold and quotes are on the tick.
    """
    tick = case.market.instrument.price_tick
    with exact():
        highest = case.market.quote.mid * (1 + case.limits.price_collar_rate)
        if case.proposal.take_profit is not None:
            highest = min(highest, case.proposal.take_profit - tick)
    return round_down(highest, tick)
