"""The last look before an order leaves: everything that could have changed since its intent was recorded.

Invariant: after this look nothing is awaited but the request itself.
"""

from typing import Final

from libs.common.clock import Clock, from_epoch_ms
from libs.trading.risk import Role
from services.trade_executor.domain.orders import ExecutorOrder
from services.trade_executor.service.brake import Brake
from services.trade_executor.service.ports import PermitSource, Transactions
from services.trade_executor.service.venues import Venues

ENTRY_AGE_MS_MAX: Final = 200
REDUCTION_AGE_MS_MAX: Final = 600
"""Older requests are not sent but planned anew; the exchange itself refuses them after the receive window."""

PERMIT_DEADLINE_S: Final = 0.1


class LastHop:
    """Objects to orders that must not be sent any more."""

    def __init__(
        self, *, brake: Brake, permits: PermitSource, venues: Venues, transactions: Transactions, clock: Clock
    ) -> None:
        self._brake = brake
        self._permits = permits
        self._venues = venues
        self._transactions = transactions
        self._clock = clock

    async def objection(self, order: ExecutorOrder) -> str | None:
        """Return why an order must not be sent, or None to send it now."""
        if order.role is Role.ENTRY:
            objection = await self._without_permit(order)
            if objection is not None:
                return objection
        if order.authority.epoch != self._transactions.epoch:
            return "EPOCH"
        return self._brake.objection(
            order.role, order.account, symbol=order.symbol, strategy=order.strategy
        ) or self._lateness(order)

    async def _without_permit(self, order: ExecutorOrder) -> str | None:
        permit = await self._permits.read(order.account, PERMIT_DEADLINE_S)
        if permit is None or not permit.is_valid(self._clock.monotonic_s()):
            return "NO_PERMIT"
        if permit.halt_epoch != order.authority.halt_epoch:
            return "HALT_EPOCH"
        if permit.risk_epoch != order.authority.risk_epoch:
            return "RISK_EPOCH"
        return None

    def _lateness(self, order: ExecutorOrder) -> str | None:
        exchange_ms = self._venues.exchange_ms(order.account)
        if exchange_ms is None or order.signed_at_ms is None:
            return "NO_EXCHANGE_CLOCK"
        is_entry = order.role is Role.ENTRY
        expires_at = order.authority.expires_at
        # An exit that has begun is finished: its protection may be cancelled already.
        if is_entry and expires_at is not None and from_epoch_ms(exchange_ms) >= expires_at:
            return "EXPIRED"
        age_ms_max = ENTRY_AGE_MS_MAX if is_entry else REDUCTION_AGE_MS_MAX
        return "LATE" if exchange_ms - order.signed_at_ms > age_ms_max else None
