"""The children of an entry: the exits that protect its position, and sales at the market.

Invariant: a child's identity says which number of its kind it is, so planning it again makes the same child.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from libs.exchange.instruments import Listing
from libs.trading.market import OrderType, Side
from libs.trading.money import round_down, round_to_tick
from libs.trading.risk import Role
from services.trade_executor.domain.chains import Chain
from services.trade_executor.domain.identifiers import child_id, client_order_id, list_client_order_id
from services.trade_executor.domain.orders import ExecutorOrder

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
    entry, instrument = chain.entry, listing.instrument
    if entry.stop_loss is None:
        message = f"entry {entry.client_order_id}: expected a stop, found none"
        raise ValueError(message)
    number = sum(1 for order in chain.sells if order.is_stop)
    blank = _Blank(chain, signed_at_ms, installation, now)
    below = blank.child(f"stop-{number}", Role.PROTECTION)
    stop_price = round_to_tick(entry.stop_loss, instrument.price_tick)
    has_market_stop = OrderType.STOP_LOSS in listing.order_types
    stop = replace(
        below,
        order_type=OrderType.STOP_LOSS if has_market_stop else OrderType.STOP_LOSS_LIMIT,
        quantity=quantity,
        stop_price=stop_price,
        price=None if has_market_stop else round_down(stop_price * (1 - STOP_LIMIT_RATE), instrument.price_tick),
        time_in_force=None if has_market_stop else "GTC",
    )
    if entry.take_profit is None or not instrument.oco_allowed:
        return (stop,)
    above = blank.child(f"target-{number}", Role.PROTECTION)
    list_id = list_client_order_id(above.intent_id, installation)
    target = replace(
        above,
        order_type=OrderType.LIMIT_MAKER,
        quantity=quantity,
        price=round_to_tick(entry.take_profit, instrument.price_tick),
        list_client_order_id=list_id,
    )
    return (target, replace(stop, list_client_order_id=list_id))


def market_sale(
    chain: Chain, quantity: Decimal, role: Role, *, signed_at_ms: int, installation: str, now: datetime
) -> ExecutorOrder:
    """Return a sale at the market that nobody had to approve: it completes what was approved."""
    number = sum(1 for order in chain.sells if order.order_type is OrderType.MARKET)
    sale = _Blank(chain, signed_at_ms, installation, now).child(f"sale-{number}", role)
    return replace(sale, quantity=quantity)


@dataclass(frozen=True, slots=True)
class _Blank:
    """What all children of a chain have in common."""

    chain: Chain
    signed_at_ms: int
    installation: str
    now: datetime

    def child(self, purpose: str, role: Role) -> ExecutorOrder:
        entry = self.chain.entry
        intent_id = child_id(self.chain.chain_id, purpose)
        return ExecutorOrder(
            intent_id=intent_id,
            chain_id=self.chain.chain_id,
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
