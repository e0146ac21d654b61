"""The controls that the executor evaluates itself, whatever was approved: the rules are the risk manager's own.

Invariant: what they count is what was sent; a process that starts anew counts anew, and its permit and its brake hold
as before.
"""

import uuid
from collections import defaultdict
from dataclasses import replace

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
from services.trade_executor.service.replacing import LOOK_AGAIN_S, MESSAGES, Replacements
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
        self._replacements = Replacements(clock)

    def limits(self, account: str) -> RiskLimits:
        """Return an account's limits in force, those that are no shares of the equity."""
        return limits_of(self._configuration.of(account), equity=None)

    def objection(self, order: ExecutorOrder) -> Refused | None:
        """Return why an entry must not be sent, or None."""
        listing = self._venues.listing(order.symbol)
        if listing is None:
            raise LookupError(f"rules of {order.symbol}: expected those of its approval, found none")
        limits, outgoing = self.limits(order.account), _outgoing(order)
        return (
            size_is_within_limit(outgoing, listing.instrument, limits)
            or price_is_near_reference(outgoing, limits)
            or self._sent[order.account].objection(outgoing, limits, now_ms=self._now_ms)
            or self.crowding(order)
        )

    def crowding(self, order: ExecutorOrder) -> Refused | None:
        """Return why an order must not be sent among so many messages, or None."""
        # Whoever sells is bare, and waits for no replacement.
        limits = self._limits_beside(order) if order.role is Role.ENTRY else self.limits(order.account)
        return self._throttles[order.account].objection(order.role, order.strategy, limits, now_ms=self._now_ms)

    def sending(self, order: ExecutorOrder) -> None:
        """Count an order, or a list, that is being sent."""
        self._throttles[order.account].note(order.strategy, now_ms=self._now_ms)
        self._replacements.sending(order.chain_id)
        if order.role is Role.ENTRY:
            self._sent[order.account].note(_outgoing(order), now_ms=self._now_ms)

    def wait_s(self, account: str) -> float:
        """Return the seconds until there is room for a message that is no entry; 0: now."""
        return self._until_s(self._throttles[account].room_at_ms(self.limits(account), now_ms=self._now_ms))

    def claim_s(self, order: ExecutorOrder) -> float:
        """Count a request about an order that is being sent, such as its cancel; return the seconds until it may be."""
        limits = self._limits_beside(order)
        at_ms = self._throttles[order.account].claim(order.strategy, limits, now_ms=self._now_ms)
        self._replacements.sending(order.chain_id)
        return self._until_s(at_ms)

    def replace_s(self, order: ExecutorOrder, *, lists: int = 1) -> float:
        """Return the seconds until a protection may be replaced; 0: now, and room is kept for cancel and successor.

        Args:
            order: One of those that protect.
            lists: How many requests it takes to cancel them.
        """
        if not self._replacements.has_place(order.account, order.chain_id):
            return LOOK_AGAIN_S
        messages = MESSAGES * lists
        limits = self._limits_beside(order, messages=messages)
        wait_s = self._until_s(self._throttles[order.account].room_at_ms(limits, now_ms=self._now_ms))
        if wait_s == 0:
            self._replacements.begin(order.account, order.chain_id, messages=messages)
        return wait_s

    def replaced(self, chain_id: uuid.UUID) -> None:
        """Take note that the successor of a protection was answered; nothing more is kept for it."""
        self._replacements.end(chain_id)

    def _limits_beside(self, order: ExecutorOrder, *, messages: int = 1) -> RiskLimits:
        """Return the limits of whoever leaves to others what is kept for them, and takes so many messages at once."""
        kept = self._replacements.kept(order.account, order.chain_id) + messages - 1
        limits = self.limits(order.account)
        return replace(limits, messages_per_minute_max=max(limits.messages_per_minute_max - kept, 1))

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
