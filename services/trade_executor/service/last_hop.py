"""The last look before an order leaves: everything that could have changed since its intent was recorded.

Whoever approved it, an entry is held to the limits once more, and a sale to what its entry bought.

Invariant: after this look nothing is awaited but the request itself.
"""

import asyncio
from typing import Final

from libs.common.clock import Clock, from_epoch_ms
from libs.common.errors import RetryableError
from libs.exchange.outcomes import Outcome
from libs.trading.risk import Refused, Role
from services.trade_executor.domain.holding import sale_is_within_holding
from services.trade_executor.domain.orders import ExecutorOrder
from services.trade_executor.service.brake import Brake
from services.trade_executor.service.controls import Controls
from services.trade_executor.service.persisting import fetch
from services.trade_executor.service.ports import PermitSource, Transactions
from services.trade_executor.service.self_halt import SelfHalt
from services.trade_executor.service.venues import Venues

ENTRY_AGE_MS_MAX: Final = 200
REDUCTION_AGE_MS_MAX: Final = 600
"""Older requests are not sent but planned anew; the exchange itself refuses them after the receive window."""

PERMIT_DEADLINE_S: Final = 0.1
UNPROVED_RETRY_S: Final = 0.25
"""What is not sent is planned anew: not at once where the same would be found."""


class LastHop:
    """Objects to orders that must not be sent any more, and counts those that are sent."""

    def __init__(
        self,
        *,
        brake: Brake,
        permits: PermitSource,
        controls: Controls,
        self_halt: SelfHalt,
        venues: Venues,
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        self._brake = brake
        self._controls = controls
        self._self_halt = self_halt
        self._permits = permits
        self._venues = venues
        self._transactions = transactions
        self._clock = clock

    async def objection(self, order: ExecutorOrder) -> str | None:
        """Return why an order must not be sent, or None to send it now."""
        awaited = await (self._without_permit(order) if order.role is Role.ENTRY else self._without_proof(order))
        if awaited is not None:
            return awaited
        if order.authority.epoch != self._transactions.epoch:
            return "EPOCH"
        is_entry = order.role is Role.ENTRY
        objection = (
            self._brake.objection(order.role, order.account, symbol=order.symbol, strategy=order.strategy)
            or self._lateness(order)
            or _named(self._controls.objection(order) if is_entry else self._controls.crowding(order))
        )
        if objection is None:
            self._controls.sending(order)
        return objection

    def replace_s(self, order: ExecutorOrder) -> float:
        """Return the seconds until what protects may be cancelled because its successor can follow; 0: now."""
        return self._controls.replace_s(order)

    async def make_room(self, order: ExecutorOrder) -> None:
        """Count a request about an order that is no entry, and wait until there is room for it."""
        await asyncio.sleep(self._controls.claim_s(order))

    def placed(self, order: ExecutorOrder) -> None:
        """Take note that the exchange answered, or never will: what was kept for it is free."""
        self._controls.replaced(order.chain_id)

    async def answered(self, order: ExecutorOrder, outcome: Outcome) -> None:
        """Count what the exchange said of an order that was sent."""
        await self._self_halt.answered(order, outcome)

    async def _without_proof(self, order: ExecutorOrder) -> str | None:
        """Return why a sale is not proved to be covered; what is not shows that we have lost count, and halts."""
        if (wait_s := self._controls.wait_s(order.account)) > 0:
            await asyncio.sleep(wait_s)  # it is too late then, and planned anew
        try:
            chain = await fetch(
                self._transactions, lambda records: records.chain(order.chain_id, base=order.symbol.split("/")[0])
            )
        except RetryableError:
            return "NO_PROOF"
        if chain is None:
            return "NO_PROOF"
        refused = sale_is_within_holding(order, chain)
        if refused is not None:
            await self._self_halt.halt(order, refused, "the order was not sent")
            await asyncio.sleep(UNPROVED_RETRY_S)
        return _named(refused)

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


def _named(refused: Refused | None) -> str | None:
    return None if refused is None else refused.reason.upper()
