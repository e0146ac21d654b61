"""The children of an entry: the exits that protect its position, sent with it or after it, and sales at the market.

Invariant: a child's identity says which number of its kind it is, so planning it again makes the same child.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from libs.exchange.instruments import Listing
from libs.trading.market import OrderType, Side
from libs.trading.money import exact, round_down, round_to_tick
from libs.trading.risk import RiskLimits, Role
from services.trade_executor.domain.chains import Chain
from services.trade_executor.domain.identifiers import child_id, client_order_id, list_client_order_id
from services.trade_executor.domain.orders import ExecutorOrder

BASE_FEE_RATE_MAX: Final = RiskLimits().base_fee_rate_max
"""The most that the exchange takes out of what is bought; the risk manager reckons with it, too."""

STOP_LIMIT_RATE: Final = Decimal("0.02")
"""Where a symbol has no market stops: how far below its trigger a stop still sells."""


def protection(
    chain: Chain, quantity: Decimal, listing: Listing, *, signed_at_ms: int, installation: str, now: datetime
) -> tuple[ExecutorOrder, ...]:
    """Return the orders that protect a position: target and stop as one list, or the stop alone.

    Args:
        chain: A chain whose entry has a stop.
        quantity: What they sell, a multiple of the step.
        listing: The symbol's rules.
        signed_at_ms: The exchange's time of the request.
        installation: Marks the client ids.
        now: Present time.

    Raises:
        ValueError: The entry has no stop.
    """
    entry, stop_loss, instrument = chain.entry, chain.stop_loss, listing.instrument
    if stop_loss is None:
        message = f"entry {entry.client_order_id}: expected a stop, found none"
        raise ValueError(message)
    number = sum(1 for order in chain.sells if order.is_stop)
    blank = _Blank(entry, signed_at_ms, installation, now)
    stop = _stop(blank, number, quantity, listing, stop_loss)
    if entry.take_profit is None or not instrument.oco_allowed:
        return (stop,)
    target = _target(blank, number, quantity, listing, entry.take_profit)
    list_id = list_client_order_id(target.intent_id, installation)
    return tuple(replace(leg, list_client_order_id=list_id) for leg in (target, stop))


def exits_of(entry: ExecutorOrder, listing: Listing, *, installation: str, now: datetime) -> tuple[ExecutorOrder, ...]:
    """Return the exits that are sent with an entry as one list; none where they have to follow it.

    Args:
        entry: As it is to be sent, with its signing time.
        listing: The symbol's rules.
        installation: Marks the client ids.
        now: Present time.
    """
    instrument = listing.instrument
    with exact():  # if the exchange takes the most it may: they never sell coins that were there before
        left = entry.quantity * (1 - BASE_FEE_RATE_MAX)
    quantity = instrument.floor_market_quantity(left)
    unsellable = instrument.violations(OrderType.MARKET, Side.SELL, quantity, None, entry.price)
    if not listing.oto_allowed or entry.stop_loss is None or quantity == 0 or unsellable:
        return ()
    blank = _Blank(entry, entry.signed_at_ms, installation, now)
    legs: tuple[ExecutorOrder, ...] = (_stop(blank, 0, quantity, listing, entry.stop_loss),)
    if entry.take_profit is not None and instrument.oco_allowed:
        legs = (_target(blank, 0, quantity, listing, entry.take_profit), *legs)
    list_id = list_client_order_id(entry.intent_id, installation)
    return tuple(replace(leg, list_client_order_id=list_id) for leg in legs)


def market_sale(
    chain: Chain, quantity: Decimal, role: Role, *, signed_at_ms: int, installation: str, now: datetime
) -> ExecutorOrder:
    """Return a sale at the market that nobody had to approve: it completes what was approved."""
    number = sum(1 for order in chain.sells if order.order_type is OrderType.MARKET)
    sale = _Blank(chain.entry, signed_at_ms, installation, now).child(f"sale-{number}", role)
    return replace(sale, quantity=quantity)


def _stop(blank: "_Blank", number: int, quantity: Decimal, listing: Listing, stop_loss: Decimal) -> ExecutorOrder:
    tick = listing.instrument.price_tick
    stop_price = round_to_tick(stop_loss, tick)
    has_market_stop = OrderType.STOP_LOSS in listing.order_types
    return replace(
        blank.child(f"stop-{number}", Role.PROTECTION),
        order_type=OrderType.STOP_LOSS if has_market_stop else OrderType.STOP_LOSS_LIMIT,
        quantity=quantity,
        stop_price=stop_price,
        price=None if has_market_stop else round_down(stop_price * (1 - STOP_LIMIT_RATE), tick),
        time_in_force=None if has_market_stop else "GTC",
    )


def _target(blank: "_Blank", number: int, quantity: Decimal, listing: Listing, take_profit: Decimal) -> ExecutorOrder:
    return replace(
        blank.child(f"target-{number}", Role.PROTECTION),
        order_type=OrderType.LIMIT_MAKER,
        quantity=quantity,
        price=round_to_tick(take_profit, listing.instrument.price_tick),
    )


@dataclass(frozen=True, slots=True)
class _Blank:
    """What all children of an entry have in common."""

    entry: ExecutorOrder
    signed_at_ms: int | None
    installation: str
    now: datetime

    def child(self, purpose: str, role: Role) -> ExecutorOrder:
        entry = self.entry
        intent_id = child_id(entry.chain_id, purpose)
        return ExecutorOrder(
            intent_id=intent_id,
            chain_id=entry.chain_id,
            account=entry.account,
            symbol=entry.symbol,
            side=Side.SELL,
            role=role,
            approved=False,
            strategy=entry.strategy,
            signal_id=entry.signal_id,
            client_order_id=client_order_id(intent_id, role, self.installation),
            order_type=OrderType.MARKET,
            quantity=entry.quantity,
            authority=replace(entry.authority, expires_at=None),
            origin=entry.origin,
            created_at=self.now,
            updated_at=self.now,
            signed_at_ms=self.signed_at_ms,
            recv_window_ms=entry.recv_window_ms,
        )
