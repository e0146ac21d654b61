"""Orders as they were last told, made into records again: for a database that has forgotten them.

Invariant: a rebuilt order is never sent: it is over, it rests at the exchange, or it is looked for there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final
from uuid import UUID

from libs.common.clock import epoch_ms
from libs.common.contracts import vocabulary
from libs.common.contracts.events import OrderFilled, OrderUpdated
from libs.trading.market import OrderType, Side
from libs.trading.orders import OrderStatus
from libs.trading.risk import Role
from services.trade_executor.domain.identifiers import child_id, list_client_order_id
from services.trade_executor.domain.orders import Authority, ExecutorOrder

SALES_MAX: Final = 100
"""Of one chain; they are children, all other sales at the market answer approvals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exits:
    """Where the position of an entry is to be protected, as its fills told it."""

    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trailing_distance: Decimal | None = None


NO_EXITS: Final = Exits()


def latest(updates: Iterable[OrderUpdated]) -> Sequence[OrderUpdated]:
    """Return each order's last word, entries first: a child follows from its entry."""
    last: dict[UUID, OrderUpdated] = {}
    for update in updates:
        known = last.get(update.intent_id)
        if known is None or known.revision < update.revision:
            last[update.intent_id] = update
    return sorted(last.values(), key=lambda update: (update.parent_intent_id is not None, update.occurred_at))


def exits_of(fills: Iterable[OrderFilled]) -> Mapping[UUID, Exits]:
    """Return where the positions of entries are to be protected, as their fills told it."""
    return {
        fill.parent_intent_id or fill.intent_id: Exits(
            stop_loss=fill.stop_loss, take_profit=fill.take_profit, trailing_distance=fill.trailing_distance
        )
        for fill in fills
        if fill.stop_loss is not None
    }


def list_ids(updates: Sequence[OrderUpdated], installation: str) -> Mapping[UUID, str]:
    """Return the client id of the list of each leg: it is made from its entry's intent, or else its upper leg's."""
    listed = [update for update in updates if update.order_list_id is not None]
    uppers = [update for update in listed if update.order_type == OrderType.LIMIT_MAKER.value]
    entries = [update for update in listed if update.role is vocabulary.Role.ENTRY]
    namers = {(update.account, update.order_list_id): update.intent_id for update in (*uppers, *entries)}
    return {
        update.intent_id: list_client_order_id(namer, installation)
        for update in listed
        if update.role is not vocabulary.Role.ENTRY  # what it bought stays protected when it is cancelled
        and (namer := namers.get((update.account, update.order_list_id))) is not None
    }


def rebuilt(update: OrderUpdated, known: ExecutorOrder | None, exits: Exits, list_id: str | None) -> ExecutorOrder:
    """Return an order as its last event told it; what the event does not tell comes from the row that is known."""
    order = known or _as_told(update, exits, list_id)
    status = OrderStatus(update.status.value)
    signed_at = update.sent_at
    if status is OrderStatus.PREPARED:
        signed_at = update.occurred_at  # it may have been sent since: it is looked for
    return replace(
        order,
        status=status,
        revision=update.revision,
        order_type=OrderType(update.order_type),
        quantity=update.quantity,
        signed_at_ms=order.signed_at_ms if signed_at is None else epoch_ms(signed_at),
        filled_quantity=update.filled_quantity,
        filled_amount=update.filled_amount,
        exchange_order_id=update.exchange_order_id,
        order_list_id=update.order_list_id,
        reason=update.reason,
        final=update.final,
        released_at=update.occurred_at if status is OrderStatus.QUARANTINED and update.final else None,
        quarantined_at=update.occurred_at if status is OrderStatus.QUARANTINED else None,
        updated_at=update.occurred_at,
    )


def _as_told(update: OrderUpdated, exits: Exits, list_id: str | None) -> ExecutorOrder:
    chain_id = update.parent_intent_id or update.intent_id
    role = Role(update.role.value)
    is_child = role is Role.PROTECTION or update.intent_id in _sales(chain_id)
    wanted = exits if role is Role.ENTRY else NO_EXITS
    return ExecutorOrder(
        intent_id=update.intent_id,
        chain_id=chain_id,
        account=update.account,
        symbol=update.symbol,
        side=Side(update.side.value),
        role=role,
        approved=not is_child,
        strategy=update.strategy,
        signal_id=update.signal_id,
        client_order_id=update.client_order_id,
        order_type=OrderType(update.order_type),
        quantity=update.quantity,
        authority=Authority(halt_epoch=0, risk_epoch=0, configuration_version=1, configuration_hash="", epoch=0),
        created_at=update.sent_at or update.occurred_at,
        updated_at=update.occurred_at,
        price=update.price,
        stop_price=update.stop_price,
        stop_loss=wanted.stop_loss,
        take_profit=wanted.take_profit,
        trailing_distance=wanted.trailing_distance,
        list_client_order_id=list_id,
    )


def _sales(chain_id: UUID) -> frozenset[UUID]:
    return frozenset(child_id(chain_id, f"sale-{number}") for number in range(SALES_MAX))
