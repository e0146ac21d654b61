"""The controls that are evaluated once more where an entry leaves, on what is left of the decision: the order itself.

Whoever sends proves that the order is within the limits that it knows itself, whoever approved it: the largest order,
the collar around the price that was decided on, and no order twice.

Invariant: what is missing, zero or not a number refuses; nothing here asks the world.
"""

from collections import deque
from dataclasses import dataclass
from decimal import Decimal

from libs.trading.instruments import Instrument
from libs.trading.market import Side
from libs.trading.money import exact, is_positive, plain
from libs.trading.risk.case import Refused
from libs.trading.risk.limits import RiskLimits
from libs.trading.risk.missing import missing_limit
from libs.trading.risk.reasons import RefusalReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """An order as it is about to be sent, and the reference price that it was decided at."""

    strategy: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal | None
    reference_price: Decimal | None

    @property
    def likeness(self) -> tuple[str, str, Side, Decimal, Decimal | None]:
        """What two orders share where one is the other's duplicate."""
        return self.strategy, self.symbol, self.side, self.quantity, self.price


def size_is_within_limit(order: Outgoing, instrument: Instrument, limits: RiskLimits) -> Refused | None:
    """The order is a number of coins, no more than the symbol allows and worth no more than one order may be."""
    if (missing := missing_limit(limits, "order_notional_max")) is not None:
        return missing
    if not (is_positive(order.quantity) and is_positive(order.price)):
        return Refused(
            RefusalReason.ORDER_NOTIONAL_IS_ABOVE_LIMIT, "a known quantity and price", f"{order.quantity} {order.price}"
        )
    if 0 < instrument.quantity_max < order.quantity:
        return Refused(
            RefusalReason.EXCHANGE_FILTER_FAILS, f"at most {plain(instrument.quantity_max)}", plain(order.quantity)
        )
    with exact():
        notional = order.quantity * order.price
    if notional <= limits.order_notional_max:
        return None
    return Refused(
        RefusalReason.ORDER_NOTIONAL_IS_ABOVE_LIMIT, f"at most {plain(limits.order_notional_max)}", plain(notional)
    )


def price_is_near_reference(order: Outgoing, limits: RiskLimits) -> Refused | None:
    """The order pays no more than the collar above the price that was decided on, nor sells below it."""
    if (missing := missing_limit(limits, "price_collar_rate")) is not None:
        return missing
    if not is_positive(order.reference_price):
        return Refused(RefusalReason.REFERENCE_PRICE_IS_MISSING, "a reference price", f"{order.reference_price}")
    if not is_positive(order.price):
        return Refused(RefusalReason.PRICE_IS_OUTSIDE_COLLAR, "a limit price", f"{order.price}")
    with exact():
        distance_max = order.reference_price * limits.price_collar_rate
        lowest, highest = order.reference_price - distance_max, order.reference_price + distance_max
    if order.price <= highest if order.side is Side.BUY else order.price >= lowest:
        return None
    return Refused(RefusalReason.PRICE_IS_OUTSIDE_COLLAR, f"{plain(lowest)} to {plain(highest)}", plain(order.price))


class SentOrders:
    """The entries of one account that were sent lately."""

    def __init__(self) -> None:
        self._sent: deque[tuple[int, Outgoing]] = deque()

    def objection(self, order: Outgoing, limits: RiskLimits, *, now_ms: int) -> Refused | None:
        """Return why an entry must not be sent: its like was, a moment ago. At monotonic time."""
        if (missing := missing_limit(limits, "duplicate_window_s")) is not None:
            return missing
        while self._sent and self._sent[0][0] <= now_ms - limits.duplicate_window_s * 1000:
            self._sent.popleft()
        for sent_at_ms, sent in self._sent:
            if sent.likeness == order.likeness:
                return Refused(
                    RefusalReason.ENTRY_IS_A_DUPLICATE,
                    f"{limits.duplicate_window_s} s since the same order",
                    f"{now_ms - sent_at_ms} ms",
                )
        return None

    def note(self, order: Outgoing, *, now_ms: int) -> None:
        """Remember an entry that is being sent."""
        self._sent.append((now_ms, order))
