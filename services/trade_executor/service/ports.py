"""What the executor needs from its surroundings, by role."""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from libs.common.contracts.event import Event
from libs.common.control.halts import LatchView
from libs.common.control.permit import Permit
from libs.common.messaging.cause import Cause
from libs.common.messaging.records import RawRecord
from libs.exchange.orders.port import TradeReport
from services.trade_executor.domain.chains import Chain
from services.trade_executor.domain.orders import ExecutorOrder, Occupancy
from services.trade_executor.service.difference_ports import DifferenceRecords


class Records(DifferenceRecords, Protocol):
    """The executor's tables, bound to one transaction."""

    async def occupancy(self, account: str, symbol: str, *, intent_id: uuid.UUID) -> Occupancy:
        """Return what stands in the way of an approval."""
        ...

    async def order(self, intent_id: uuid.UUID) -> ExecutorOrder | None:
        """Return an order by its intent."""
        ...

    async def order_by_client_id(self, account: str, client_order_id: str) -> ExecutorOrder | None:
        """Return an order by its client id."""
        ...

    async def order_by_exchange_id(self, account: str, symbol: str, exchange_order_id: str) -> ExecutorOrder | None:
        """Return an order by the exchange's id."""
        ...

    async def chain(self, chain_id: uuid.UUID, *, base: str) -> Chain | None:
        """Return an entry with its children and their fills; `base` is the asset held."""
        ...

    async def open_chains(self, account: str, symbol: str | None = None) -> Sequence[uuid.UUID]:
        """Return the chains that may still need something, oldest first."""
        ...

    async def dusty_chain(self, account: str, symbol: str) -> uuid.UUID | None:
        """Return the youngest closed chain that left something, or None."""
        ...

    async def take_over_dust(self, chain_id: uuid.UUID) -> None:
        """Let a chain carry what the closed chains of its account and symbol left, itself included."""
        ...

    async def set_chain_open(self, chain_id: uuid.UUID, *, is_open: bool, leftover: Decimal = Decimal(0)) -> None:
        """Remember whether a chain may still need something, and what it holds when it does not."""
        ...

    async def move_stop(self, chain_id: uuid.UUID, stop_loss: Decimal) -> bool:
        """Remember where a chain's stop belongs; False: it stood so high already, or the chain needs none."""
        ...

    async def unresolved(self, account: str) -> Sequence[ExecutorOrder]:
        """Return the orders that may be at the exchange without our knowing."""
        ...

    async def working(self, account: str) -> Sequence[ExecutorOrder]:
        """Return the orders that rest at the exchange as far as we know."""
        ...

    async def watched(self, account: str) -> Sequence[ExecutorOrder]:
        """Return the orders given up after their quarantine that could still show up."""
        ...

    async def insert(self, order: ExecutorOrder) -> None:
        """Add an order; an entry opens its chain."""
        ...

    async def update(self, order: ExecutorOrder) -> None:
        """Replace an order's state, and the request that an unsent one is signed with."""
        ...

    async def restore(self, order: ExecutorOrder) -> None:
        """Put an order as it is, whatever was recorded of it; an entry opens its chain."""
        ...

    async def remember_published(self, records: Sequence[RawRecord]) -> None:
        """Take published events back into the outbox."""
        ...

    async def set_answered(self, intent_ids: Sequence[uuid.UUID], *, requested_at: datetime) -> None:
        """Remember when a request left, of which the answer is being written down."""
        ...

    async def add_fill(self, order: ExecutorOrder, trade: TradeReport, *, base: str, quote: str) -> bool:
        """Record an execution and its effect on the ledger; False: it was recorded before."""
        ...

    async def trade_cursor(self, account: str, symbol: str) -> int | None:
        """Return the first trade id that may be missing; None before the first reconciliation."""
        ...

    async def set_trade_cursor(self, account: str, symbol: str, trade_id: int) -> None:
        """Remember the first trade id that may be missing."""
        ...


Work = Callable[[Records], Awaitable[Sequence[Event]]]


class Transactions(Protocol):
    """The owner's transactions (`libs.common.messaging.owner.Owner`)."""

    @property
    def epoch(self) -> int:
        """The epoch under which this process writes."""
        ...

    def after_commit(self, action: Callable[[], None]) -> None:
        """Within a transaction: run `action` once it has committed."""
        ...

    async def apply(self, work: Callable[[Any], Awaitable[Sequence[Event]]], *, cause: Cause | None = None) -> None:
        """Run `work` in a transaction of its own."""
        ...


class PermitSource(Protocol):
    """Leave to send entries (`libs.common.control.permit.PermitReader`)."""

    async def read(self, account: str, deadline_s: float = 0.1) -> Permit | None:
        """Return the permit, or None."""
        ...


class LatchSource(Protocol):
    """The halt latch (`libs.common.control.latch_reader.LatchReader`)."""

    async def read(self) -> LatchView:
        """Return what is latched now."""
        ...
