"""An entry with everything that followed from it: the ledger that its sells may never exceed.

Invariant: `held` is what our own executions left of the base asset; coins from elsewhere are never in it.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from libs.trading.market import OrderType, Side
from libs.trading.risk import Role
from services.trade_executor.domain.orders import ExecutorOrder, FillTotals, RecordedFill

_REDUCING = frozenset({Role.EXIT, Role.LIQUIDATION})
_ZERO = Decimal(0)


@dataclass(frozen=True)
class Chain:
    """One position's orders, the entry first and then by the time of their intents, and their fills.

    Attributes:
        base: The asset that is held.
        carried: Dust of closed chains that an exit of this one took over.
        moved_stop: Where the position manager last said that its stop belongs; None: where the entry put it.
    """

    orders: Sequence[ExecutorOrder]
    fills: Sequence[RecordedFill]
    base: str
    carried: Decimal = _ZERO
    moved_stop: Decimal | None = None

    @property
    def entry(self) -> ExecutorOrder:
        """The order that opens the position."""
        return self.orders[0]

    @property
    def chain_id(self) -> uuid.UUID:
        """The entry's intent."""
        return self.entry.intent_id

    @property
    def stop_loss(self) -> Decimal | None:
        """Where its stop belongs; it only rises, also over what is remembered of its moves."""
        if self.entry.stop_loss is None:
            return None
        known = (self.entry.stop_loss, self.moved_stop, *(order.stop_price for order in self.sells))
        return max(stop for stop in known if stop is not None)

    @cached_property
    def held(self) -> Decimal:
        """The base asset that the chain's executions left, commissions taken off and dust taken over."""
        held = self.carried
        for fill in self.fills:
            trade = fill.trade
            held += trade.quantity if trade.side is Side.BUY else -trade.quantity
            if trade.commission_asset == self.base:
                held -= trade.commission
        return held

    @property
    def sells(self) -> Sequence[ExecutorOrder]:
        """Every child."""
        return self.orders[1:]

    @property
    def working_sells(self) -> Sequence[ExecutorOrder]:
        """Sells that rest at the exchange."""
        return [order for order in self.sells if order.is_working]

    @property
    def has_unresolved_sells(self) -> bool:
        """A sell may be at the exchange, and nobody knows."""
        return any(order.is_unresolved for order in self.sells)

    @property
    def covered(self) -> Decimal:
        """What the working sells may still sell; the legs of a list sell the quantity once."""
        remaining: dict[str, Decimal] = {}
        for order in self.working_sells:
            name = order.list_client_order_id or order.client_order_id
            legs = [leg for leg in self.sells if leg.list_client_order_id == order.list_client_order_id]
            sold = sum((leg.filled_quantity for leg in legs), _ZERO) if order.list_client_order_id else None
            remaining[name] = order.quantity - (order.filled_quantity if sold is None else sold)
        return sum(remaining.values(), _ZERO)

    @property
    def request(self) -> ExecutorOrder | None:
        """The approved exit that waits for its turn; a liquidation goes before."""
        waiting = [order for order in self.sells if order.is_unsent and order.role in _REDUCING]
        return min(waiting, key=lambda order: order.role is not Role.LIQUIDATION, default=None)

    @property
    def unfinished(self) -> ExecutorOrder | None:
        """The latest sell at the market that ended before all was sold: its rest is to be sold too.

        A triggered stop counts as one: the price is beyond it, so it cannot be placed again.
        """
        over = [order for order in self.sells if order.is_over and order.filled_quantity > 0 and order.remaining > 0]
        triggered = [order for order in over if order.order_type is OrderType.MARKET or order.is_stop]
        return max(triggered, key=lambda order: order.updated_at, default=None)

    def missing_fills(self) -> ExecutorOrder | None:
        """Return an order of which the exchange executed more than is recorded."""
        for order in self.orders:
            if order.filled_quantity > self.totals(order.intent_id).quantity:
                return order
        return None

    def totals(self, intent_id: uuid.UUID) -> FillTotals:
        """Return the recorded executions of one order, summed."""
        trades = [fill.trade for fill in self.fills if fill.intent_id == intent_id]
        return FillTotals(
            quantity=sum((trade.quantity for trade in trades), _ZERO),
            amount=sum((trade.quantity * trade.price for trade in trades), _ZERO),
        )
