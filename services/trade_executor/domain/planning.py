"""The next step of a position's orders, decided from what is recorded and nothing else.

Invariant: a step never lets sells, open and unknown ones included, exceed what the chain holds. Because the decision
needs no memory, a process that crashed between two steps takes the same next step when it is back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from libs.exchange.instruments import Listing
from libs.exchange.refusals import REMEDIES, Reason, Remedy
from libs.trading.market import OrderType, Side
from libs.trading.money import exact, round_to_tick
from libs.trading.orders import OrderStatus
from libs.trading.risk import Role, TradingState, may_send
from services.trade_executor.domain.chains import Chain
from services.trade_executor.domain.children import BASE_FEE_RATE_MAX
from services.trade_executor.domain.orders import ExecutorOrder

REFUSALS_BEFORE_SALE: Final = 3
"""A protection that is refused this often in a row leaves the position exposed: it is sold instead."""

RETRY_S: Final = (0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 30.0)


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to do until something happens."""


@dataclass(frozen=True, slots=True)
class Later:
    """Look again after a refusal."""

    at: datetime


@dataclass(frozen=True, slots=True)
class ReadFills:
    """The exchange executed more than is recorded: read this order's trades."""

    order: ExecutorOrder


@dataclass(frozen=True, slots=True)
class CancelWorking:
    """Cancel these sells, which may be the legs of one list.

    Attributes:
        may_wait: They protect, only not as they should: they stand until their successors can be sent at once.
    """

    orders: Sequence[ExecutorOrder]
    may_wait: bool = False


@dataclass(frozen=True, slots=True)
class Protect:
    """Place the exits of the position: a list where there is a target, else a stop alone."""

    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Sell:
    """Sell at the market: the approved `request` itself, or a child of the chain where it is None."""

    quantity: Decimal
    role: Role
    request: ExecutorOrder | None


@dataclass(frozen=True, slots=True)
class Decline:
    """Answer an approved exit that will not be sent."""

    request: ExecutorOrder
    reason: str


Step = Rest | Later | ReadFills | CancelWorking | Protect | Sell | Decline


def next_step(
    chain: Chain, listing: Listing, *, state: TradingState, now: datetime, opened_at: datetime | None = None
) -> Step:
    """Return what to do next for a position.

    Args:
        chain: Everything recorded of it.
        listing: The rules of its symbol.
        state: The trading state, which an exit must be allowed in; protection always is.
        now: Present time, for retries after a refusal.
        opened_at: When the symbol was last seen to trade again: a refusal from before is none any more.
    """
    missing = chain.missing_fills()
    if missing is not None:
        return ReadFills(missing)
    request = chain.request
    if request is not None and not may_send(request.role, state):
        return Decline(request, state.value)
    if chain.has_unresolved_sells or chain.entry.is_unresolved:
        return Rest()
    if request is not None:
        return _close(chain, request, listing)
    refused = [order for order in _refusals_in_a_row(chain) if not _was_for_a_break(order, opened_at)]
    return _keep(chain, listing, refused, state=state, now=now)


def _close(chain: Chain, request: ExecutorOrder, listing: Listing) -> Step:
    if chain.working_sells:
        return CancelWorking(chain.working_sells)
    quantity = sellable(chain, chain.held, listing)
    return Sell(quantity, request.role, request) if quantity > 0 else Decline(request, "NOTHING_TO_SELL")


def _keep(
    chain: Chain, listing: Listing, refused: Sequence[ExecutorOrder], *, state: TradingState, now: datetime
) -> Step:
    if chain.entry.is_over and chain.covered > chain.held + _commission_of_sells(chain):
        return CancelWorking(chain.working_sells)  # sent with an entry that did not bring what they sell
    if chain.entry.is_over and _stands_too_low(chain, listing):
        return CancelWorking(chain.working_sells, may_wait=True)  # the stop was moved up: place it there
    exposed = sellable(chain, chain.held - chain.covered, listing)
    if exposed == 0 or not chain.entry.is_over or _is_spared_commission(chain, listing):
        return Rest()
    if chain.working_sells and chain.covered < sellable(chain, chain.held, listing):
        # Too small for what is held: place one of the right size.
        return CancelWorking(chain.working_sells, may_wait=True)
    return _patience(refused, exposed, now) or _cover(chain, exposed, refused, state)


def _stands_too_low(chain: Chain, listing: Listing) -> bool:
    """Whether a stop rests below where it would be placed now; one that has begun to sell is left alone."""
    if chain.stop_loss is None or not listing.instrument.trading:
        return False  # a closed market would take no other
    wanted = round_to_tick(chain.stop_loss, listing.instrument.price_tick)
    stops = [order for order in chain.working_sells if order.is_stop and order.filled_quantity == 0]
    return any(order.stop_price is not None and order.stop_price < wanted for order in stops)


def _is_spared_commission(chain: Chain, listing: Listing) -> bool:
    """Whether what the working exits leave out is what the exchange might have taken: an exit sells it along."""
    if not chain.working_sells:
        return False
    with exact():
        beyond = chain.held - chain.covered - chain.entry.quantity * BASE_FEE_RATE_MAX
    return listing.instrument.floor_market_quantity(max(beyond, Decimal(0))) == 0  # but for a part of a step


def _commission_of_sells(chain: Chain) -> Decimal:
    """Return what the sells cost of the asset held: a protection in the middle of filling is none too large for it."""
    trades = [fill.trade for fill in chain.fills if fill.trade.side is Side.SELL]
    return sum((trade.commission for trade in trades if trade.commission_asset == chain.base), Decimal(0))


def _patience(refused: Sequence[ExecutorOrder], exposed: Decimal, now: datetime) -> Step | None:
    """Return how long to leave a refused order alone, if at all."""
    if not refused:
        return None
    was_sale = refused[-1].order_type is OrderType.MARKET
    if was_sale and refused[-1].reason == Reason.FILTER_SIZE and refused[-1].quantity == exposed:
        return Rest()  # dust, though our own measure found it large enough
    if not was_sale and _cannot_be_protected(refused, exposed):
        return None  # sell at once
    delay = timedelta(seconds=RETRY_S[min(len(refused), len(RETRY_S)) - 1])
    retry_at = refused[-1].updated_at + delay
    return Later(min(retry_at, now + delay)) if now < retry_at else None  # the clock may have been set back since


def _cover(chain: Chain, exposed: Decimal, refused: Sequence[ExecutorOrder], state: TradingState) -> Step:
    unfinished = chain.unfinished
    if unfinished is not None and may_send(unfinished.role, state):
        return Sell(exposed, unfinished.role, None)
    if _cannot_be_protected(refused, exposed):
        return Sell(exposed, Role.PROTECTION, None)
    return Protect(exposed) if chain.entry.stop_loss is not None else Rest()


def sellable(chain: Chain, quantity: Decimal, listing: Listing) -> Decimal:
    """Return how much of a quantity one order can sell; 0 for dust, which is left."""
    instrument = listing.instrument
    sold = instrument.floor_market_quantity(max(quantity, Decimal(0)))
    reference_price = _last_price(chain)
    if sold == 0 or reference_price is None:
        return Decimal(0)
    return Decimal(0) if instrument.violations(OrderType.MARKET, Side.SELL, sold, None, reference_price) else sold


def _cannot_be_protected(refused: Sequence[ExecutorOrder], exposed: Decimal) -> bool:
    protections = [
        order
        for order in refused
        if order.order_type is not OrderType.MARKET and _is_about_it(order) and not _is_outdated(order, exposed)
    ]
    hopeless = any(order.reason in {Reason.PRICE_ALREADY_CROSSED, Reason.FILTER_SIZE} for order in protections)
    return hopeless or len(protections) >= REFUSALS_BEFORE_SALE


def _is_about_it(order: ExecutorOrder) -> bool:
    """Whether a refusal was about the order: a budget, a clock, a key or a closed market would refuse a sale too."""
    if order.reason not in set(Reason):
        return True
    reason = Reason(order.reason)
    return reason not in {Reason.MARKET_CLOSED, Reason.CREDENTIALS} and REMEDIES[reason] not in {
        Remedy.WAIT,
        Remedy.MEASURE_CLOCK,
    }


def _is_outdated(order: ExecutorOrder, exposed: Decimal) -> bool:
    """Whether a refusal was about a size that the present rules or holdings would not send again."""
    return order.reason == Reason.FILTER_SIZE and order.quantity != exposed


def _was_for_a_break(order: ExecutorOrder, opened_at: datetime | None) -> bool:
    """Whether an order was refused because the market was closed, and it has opened since."""
    return order.reason == Reason.MARKET_CLOSED and opened_at is not None and order.updated_at <= opened_at


def _refusals_in_a_row(chain: Chain) -> Sequence[ExecutorOrder]:
    """The refused sells since the last one that the exchange accepted, oldest first; of a list, one of its legs."""
    refused: dict[str, ExecutorOrder] = {}
    for order in sorted(chain.sells, key=lambda sell: sell.created_at):
        if order.status is OrderStatus.NOT_ACCEPTED:
            refused[order.list_client_order_id or order.client_order_id] = order
        elif order.exchange_order_id is not None:
            refused.clear()
    return list(refused.values())


def _last_price(chain: Chain) -> Decimal | None:
    """The latest price that the chain traded at: near enough to tell dust, and the exchange has the last word."""
    latest = max(chain.fills, key=lambda fill: fill.trade.at_ms, default=None)
    return latest.trade.price if latest is not None else None
