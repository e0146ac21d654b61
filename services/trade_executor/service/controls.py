"""The controls that the executor evaluates itself, whatever was approved: the rules are the risk manager's own.

Invariant: what they count is what was sent; a process that starts anew counts anew, and its permit and its brake hold
as before.
"""

from collections import defaultdict

from libs.common.clock import Clock
from libs.common.configuration import LiveConfiguration
from libs.policy import limits_of
from libs.trading.risk import (
    MessageThrottle,
    Outgoing,
    Refused,
    RiskLimits,
    Role,
    SentOrders,
    price_is_near_reference,
    size_is_within_limit,
)
from services.trade_executor.domain.orders import ExecutorOrder
from services.trade_executor.service.venues import Venues


class Controls:
    """Looks at each entry as it leaves, and counts every message.

    Args:
        configuration: The limits that this process knows itself.
        venues: The symbols' rules.
        clock: Tells when a message was sent.
    """

    def __init__(self, *, configuration: LiveConfiguration, venues: Venues, clock: Clock) -> None:
        self._configuration = configuration
        self._venues = venues
        self._clock = clock
        self._throttles: defaultdict[str, MessageThrottle] = defaultdict(MessageThrottle)
        self._sent: defaultdict[str, SentOrders] = defaultdict(SentOrders)

    @property
    def limits(self) -> RiskLimits:
        """The limits in force, those that are no shares of the equity."""
        return limits_of(self._configuration.current, equity=None)

    def objection(self, order: ExecutorOrder) -> Refused | None:
        """Return why an entry must not be sent, or None."""
        listing = self._venues.listing(order.symbol)
        if listing is None:
            raise LookupError(f"rules of {order.symbol}: expected those of its approval, found none")
        limits, outgoing = self.limits, _outgoing(order)
        return (
            size_is_within_limit(outgoing, listing.instrument, limits)
            or price_is_near_reference(outgoing, limits)
            or self._sent[order.account].objection(outgoing, limits, now_ms=self._now_ms)
            or self.crowding(order)
        )

    def crowding(self, order: ExecutorOrder) -> Refused | None:
        """Return why an order must not be sent among so many messages, or None."""
        return self._throttles[order.account].objection(order.role, order.strategy, self.limits, now_ms=self._now_ms)

    def sending(self, order: ExecutorOrder) -> None:
        """Count an order, or a list, that is being sent."""
        self._throttles[order.account].note(order.strategy, now_ms=self._now_ms)
        if order.role is Role.ENTRY:
            self._sent[order.account].note(_outgoing(order), now_ms=self._now_ms)

    def wait_s(self, account: str) -> float:
        """Return the seconds until there is room for a message that is no entry; 0: now."""
        return self._until_s(self._throttles[account].room_at_ms(self.limits, now_ms=self._now_ms))

    def claim_s(self, order: ExecutorOrder) -> float:
        """Count a request about an order that is being sent, such as its cancel; return the seconds until it may be."""
        at_ms = self._throttles[order.account].claim(order.strategy, self.limits, now_ms=self._now_ms)
        return self._until_s(at_ms)

    def _until_s(self, at_ms: int) -> float:
        return max(at_ms - self._now_ms, 0) / 1_000

    @property
    def _now_ms(self) -> int:
        return int(self._clock.monotonic_s() * 1_000)


def _outgoing(order: ExecutorOrder) -> Outgoing:
    return Outgoing(
        strategy=order.strategy,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        price=order.price,
        reference_price=order.reference_price,
    )
