"""What an incoming order would do to the offers that it meets.

Invariant: a plan changes nothing.
"""

from collections.abc import Iterable
from typing import NamedTuple

from libs.trading.matching.types import Fill, Incoming, Plan, PreventedMatch, Resting, SelfTradePrevention


class Offer(NamedTuple):
    """Something that a taker meets; `maker` is `None` where it is the recorded market's."""

    price: int
    lots: int
    maker: Resting | None


def plan_of(order: Incoming, offers: Iterable[Offer]) -> Plan:
    """Return what `order` would do to `offers`, which come in price-time order."""
    wanted, amount = order.lots or 0, order.amount
    fills: list[Fill] = []
    prevented: list[PreventedMatch] = []
    ended: set[int] = set()
    for price, lots, maker in offers:
        if amount is not None:
            wanted = amount // price
        if not wanted:
            break
        if maker is None or maker.owner != order.owner or order.prevention is SelfTradePrevention.NONE:
            used = min(wanted, lots)
            fills.append(Fill(price, used, None if maker is None else maker.order_id, order.order_id))
        elif maker.order_id in ended:
            continue
        else:
            match = _prevent(order.prevention, maker, price=price, wanted=wanted, lots=lots, fills_before=len(fills))
            prevented.append(match)
            if order.prevention.ends_taker:
                wanted = 0
                break
            if order.prevention.ends_maker:
                ended.add(maker.order_id)
            used = match.taker_lots
        wanted -= used
        if amount is not None:
            amount -= used * price
    return Plan(tuple(fills), 0 if amount is not None else wanted, tuple(prevented))


def _prevent(
    mode: SelfTradePrevention, maker: Resting, *, price: int, wanted: int, lots: int, fills_before: int
) -> PreventedMatch:
    shared = min(wanted, lots)
    both = mode is SelfTradePrevention.DECREMENT
    return PreventedMatch(
        price=price,
        lots=shared,
        maker=maker.order_id,
        maker_lots=maker.open_lots if mode.ends_maker else shared * both,
        taker_lots=wanted if mode.ends_taker else shared * both,
        fills_before=fills_before,
    )
