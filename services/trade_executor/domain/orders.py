"""One order as the executor records it: the durable intent and what became of it.

Invariant: an order that carries a signing time may have been sent; one without was certainly not.
"""

import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from libs.exchange.orders.port import OrderReport, TradeReport
from libs.trading.market import OrderType, Side
from libs.trading.orders import OrderStatus, OrderView, merge
from libs.trading.risk import Role

WATCH: Final = timedelta(hours=24)

_MAYBE_AT_THE_EXCHANGE: Final = frozenset({OrderStatus.PREPARED, OrderStatus.SUBMITTED, OrderStatus.UNKNOWN})
_WORKING: Final = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """How long an order without an answer is waited for.

    Attributes:
        fence_ms: Beyond the receive window: the exchange's own time-out (10 s), its query lag (3 s) and clock
            differences (1 s).
        quarantine: How long an order that was not found then still counts.
    """

    fence_ms: int = 14_000
    quarantine: timedelta = timedelta(seconds=60)

    def fence_at_ms(self, order: "ExecutorOrder") -> int:
        """Return the exchange's time after which an order cannot come into being any more."""
        return (order.signed_at_ms or 0) + order.recv_window_ms + self.fence_ms


DOUBT: Final = Doubt()


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an order comes from, carried into every event about it."""

    event_id: uuid.UUID | None = None
    correlation_id: uuid.UUID | None = None
    traceparent: str | None = None
    origin_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """What allows an order, as it stood when its intent was recorded.

    Attributes:
        expires_at: After it the order must not be sent; None: a child, which lives as long as its chain.
        epoch: The executor's epoch that recorded it.
    """

    halt_epoch: int
    risk_epoch: int
    configuration_version: int
    configuration_hash: str
    epoch: int
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorOrder:
    """An order of one account.

    Attributes:
        chain_id: The entry whose position it opens, protects or closes; an entry is its own chain.
        approved: It answers an approval, which gets exactly one final answer; False: a child.
        stop_loss: With an entry: where its position is first protected; `take_profit` and `trailing_distance` likewise.
        list_client_order_id: The order list of which it is a leg.
        reference_price: The price that an approval was decided at; None: a child, which was not.
        signed_at_ms: The exchange's time at which the request was signed; None while it certainly is unsent.
        final: The approval's one answer was given.
        quarantined_at: When it was past the fence and not found; `released_at` when it stopped counting.
        reason: Why it ended or was not sent, in stable words.
    """

    intent_id: uuid.UUID
    chain_id: uuid.UUID
    account: str
    symbol: str
    side: Side
    role: Role
    approved: bool
    strategy: str
    signal_id: str
    client_order_id: str
    order_type: OrderType
    quantity: Decimal
    authority: Authority
    created_at: datetime
    updated_at: datetime
    origin: Origin = Origin()
    time_in_force: str | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trailing_distance: Decimal | None = None
    reference_price: Decimal | None = None
    list_client_order_id: str | None = None
    signed_at_ms: int | None = None
    recv_window_ms: int = 1_000
    status: OrderStatus = OrderStatus.PREPARED
    revision: int = 1
    filled_quantity: Decimal = Decimal(0)
    filled_amount: Decimal = Decimal(0)
    execution_id: int = -1
    exchange_order_id: str | None = None
    order_list_id: str | None = None
    reason: str = ""
    final: bool = False
    quarantined_at: datetime | None = None
    released_at: datetime | None = None

    @property
    def is_unsent(self) -> bool:
        """It waits for its turn and was certainly not sent."""
        return self.signed_at_ms is None and self.status is OrderStatus.PREPARED

    @property
    def is_unresolved(self) -> bool:
        """It may be at the exchange, and nobody knows: it counts in full."""
        if self.status is OrderStatus.QUARANTINED:
            return self.released_at is None
        return self.signed_at_ms is not None and self.status in _MAYBE_AT_THE_EXCHANGE

    @property
    def is_working(self) -> bool:
        """It rests at the exchange."""
        return self.status in _WORKING

    @property
    def is_over(self) -> bool:
        """Nothing more is expected of it."""
        return self.status.is_terminal or self.released_at is not None

    @property
    def remaining(self) -> Decimal:
        """The quantity that is not filled."""
        return self.quantity - self.filled_quantity

    @property
    def is_stop(self) -> bool:
        """It is the leg of a protection that sells at a loss."""
        return self.order_type in {OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT}

    def changed(self, now: datetime, **changes: object) -> "ExecutorOrder":
        """Return the next revision with these changes."""
        return replace(self, **changes, revision=self.revision + 1, updated_at=now)  # type: ignore[arg-type]  # fields

    def ended(self, now: datetime, status: OrderStatus, reason: str) -> "ExecutorOrder":
        """Return it as ended without an execution, or unchanged if the exchange's word already says more."""
        if status.rank <= self.status.rank:
            return self
        return self.changed(now, status=status, reason=reason, final=self.approved)

    def merged(self, report: OrderReport, fills: "FillTotals", now: datetime) -> "ExecutorOrder":
        """Return it with what a report and the recorded fills add; the same object if they add nothing.

        Raises:
            ValueError: The report is of another order, or executes more than was ordered.
        """
        known = OrderView(
            client_order_id=self.client_order_id,
            quantity=self.quantity,
            status=self.status,
            filled_quantity=self.filled_quantity,
            filled_amount=self.filled_amount,
            execution_id=self.execution_id,
            exchange_order_id=self.exchange_order_id,
        )
        told = OrderView(
            client_order_id=report.client_order_id,
            quantity=self.quantity,  # the exchange may show less after an amendment, never more
            status=report.status,
            filled_quantity=max(report.filled_quantity, fills.quantity),
            filled_amount=max(report.filled_amount, fills.amount),
            execution_id=report.execution_id,
            exchange_order_id=report.exchange_order_id,
        )
        view = merge(known, told)
        order_list_id = self.order_list_id or report.order_list_id
        if view == replace(known, execution_id=view.execution_id) and order_list_id == self.order_list_id:
            return self
        ended_now = view.status.is_terminal and not self.status.is_terminal
        return self.changed(
            now,
            status=view.status,
            filled_quantity=view.filled_quantity,
            filled_amount=view.filled_amount,
            execution_id=view.execution_id,
            exchange_order_id=view.exchange_order_id,
            order_list_id=order_list_id,
            reason=report.reason if ended_now else ("" if view.status.rank > self.status.rank else self.reason),
            final=self.final or (self.approved and view.status.is_terminal),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """What stands in the way of an approval for a symbol of an account.

    Attributes:
        is_recorded: The approval has its intent already.
        has_unresolved: An order of the symbol may be at the exchange without our knowing.
        has_open_chain: A position of the symbol may still need something.
    """

    is_recorded: bool
    has_unresolved: bool
    has_open_chain: bool


@dataclass(frozen=True, slots=True)
class FillTotals:
    """The executions of one order that are recorded."""

    quantity: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class RecordedFill:
    """An execution with the order that it belongs to."""

    intent_id: uuid.UUID
    trade: TradeReport
