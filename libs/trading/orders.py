"""What is known about one order, merged from every source that knows something.

Invariant: `merge` is a join (idempotent, commutative, associative): replies, stream events and queries may come twice
and in any order, and end in the same view; nothing that was known is ever forgotten.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum


class OrderStatus(StrEnum):
    """The states of an order, in the order in which a later one overrides an earlier one.

    First come our own findings, then the exchange's word, which beats them: an order that we gave up as not accepted
    and that shows up after all is adopted.
    """

    PREPARED = "PREPARED"  # the intent is durable, nothing was sent
    SUBMITTED = "SUBMITTED"  # sent, no answer yet
    UNKNOWN = "UNKNOWN"  # sent, and the answer proves nothing
    QUARANTINED = "QUARANTINED"  # past the fence and not found; still counted
    ABANDONED = "ABANDONED"  # proved by the sender: never sent
    NOT_ACCEPTED = "NOT_ACCEPTED"  # proved by an allow-listed refusal, or by the end of the quarantine
    ACCEPTED = "ACCEPTED"  # resting at the exchange
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"  # may carry fills: the rest of an IOC, a market order without liquidity
    CANCELED = "CANCELED"  # may carry fills
    FILLED = "FILLED"

    @property
    def rank(self) -> int:
        """The place in the total order of the statuses."""
        return _RANKS[self]

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more will execute as far as is known."""
        return self in TERMINAL


_RANKS = {status: rank for rank, status in enumerate(OrderStatus)}

TERMINAL = frozenset(
    {
        OrderStatus.ABANDONED,
        OrderStatus.NOT_ACCEPTED,
        OrderStatus.REJECTED,
        OrderStatus.EXPIRED,
        OrderStatus.CANCELED,
        OrderStatus.FILLED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    """What one source, or all of them together, knows about an order.

    A view is lifted to what its fills prove: with any it is at least PARTIALLY_FILLED, with all of them FILLED.

    Attributes:
        client_order_id: Ours, fixed before anything is sent.
        quantity: Ordered, in base asset.
        status: The furthest state known.
        filled_quantity: Cumulative, in base asset.
        filled_amount: Cumulative, in quote asset.
        execution_id: The exchange's latest execution id seen for this order; -1 before the first.
        exchange_order_id: The exchange's own id, once known.
    """

    client_order_id: str
    quantity: Decimal
    status: OrderStatus = OrderStatus.PREPARED
    filled_quantity: Decimal = Decimal(0)
    filled_amount: Decimal = Decimal(0)
    execution_id: int = -1
    exchange_order_id: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.filled_quantity <= self.quantity:
            raise ValueError(
                f"order {self.client_order_id}: expected a filled quantity from 0 to {self.quantity}, "
                f"found {self.filled_quantity}"
            )
        object.__setattr__(self, "status", max(self.status, self._proved_by_fills(), key=_RANKS.__getitem__))

    @property
    def working_quantity(self) -> Decimal:
        """The quantity that may still execute: nothing once terminal, else all that is not filled.

        An order of unknown outcome counts in full until its outcome is proved.
        """
        return Decimal(0) if self.status.is_terminal else self.quantity - self.filled_quantity

    def _proved_by_fills(self) -> OrderStatus:
        if self.filled_quantity == 0:
            return OrderStatus.PREPARED
        return OrderStatus.FILLED if self.filled_quantity == self.quantity else OrderStatus.PARTIALLY_FILLED


def merge(current: OrderView, update: OrderView) -> OrderView:
    """Return what both views together know: the maximum of each part.

    Raises:
        ValueError: The views are of different orders, or of two orders at the exchange under one client id.
    """
    if (current.client_order_id, current.quantity) != (update.client_order_id, update.quantity):
        raise ValueError(
            f"expected a view of order {current.client_order_id} over {current.quantity}, "
            f"found {update.client_order_id} over {update.quantity}"
        )
    known_ids = {current.exchange_order_id, update.exchange_order_id} - {None}
    if len(known_ids) > 1:
        raise ValueError(
            f"expected one exchange id for order {current.client_order_id}, found {sorted(map(str, known_ids))}"
        )
    return replace(
        current,
        status=max(current.status, update.status, key=_RANKS.__getitem__),
        filled_quantity=max(current.filled_quantity, update.filled_quantity),
        filled_amount=max(current.filled_amount, update.filled_amount),
        execution_id=max(current.execution_id, update.execution_id),
        exchange_order_id=next(iter(known_ids), None),
    )
