"""The executor's words: an order's state and executions as events.

Invariant: each event is a function of recorded rows, so that a repeated transaction says the same.
"""

from datetime import datetime

from libs.common.clock import from_epoch_ms
from libs.common.contracts import vocabulary
from libs.common.contracts.events import AlertRaised, BalancesAdjusted, OrderFilled, OrderUpdated
from libs.common.contracts.fields import TEXT_CHARACTERS_MAX
from libs.common.contracts.vocabulary import AlertType, Severity
from libs.common.messaging.cause import Cause
from libs.exchange.orders.port import TradeReport
from libs.trading.market import OrderType
from libs.trading.money import plain
from libs.trading.orders import OrderStatus
from libs.trading.risk import Role
from services.trade_executor.domain.orders import ExecutorOrder, Origin
from services.trade_executor.service.difference_ports import Movement

COMPONENT = "trade_executor"

_UNSENT = frozenset({OrderStatus.PREPARED, OrderStatus.ABANDONED})


def cause_of(origin: Origin) -> Cause:
    """Return the cause that an order's events carry."""
    return Cause(origin.event_id, origin.correlation_id, origin.traceparent, origin.origin_at)


def order_updated(order: ExecutorOrder) -> OrderUpdated:
    """Return the event of an order's present revision."""
    sent = order.signed_at_ms is not None and order.status not in _UNSENT
    return OrderUpdated(
        occurred_at=order.updated_at,
        intent_id=order.intent_id,
        revision=order.revision,
        account=order.account,
        symbol=order.symbol,
        side=vocabulary.Side(order.side.value),
        role=vocabulary.Role(order.role.value),
        strategy=order.strategy,
        signal_id=order.signal_id,
        client_order_id=order.client_order_id,
        exchange_order_id=order.exchange_order_id,
        order_list_id=order.order_list_id,
        parent_intent_id=None if order.role is Role.ENTRY else order.chain_id,
        order_type=order.order_type.value,
        status=_status(order.status),
        quantity=order.quantity,
        price=order.price,
        stop_price=order.stop_price,
        filled_quantity=order.filled_quantity,
        filled_amount=order.filled_amount,
        reason=order.reason,
        final=order.final,
        sent_at=from_epoch_ms(order.signed_at_ms) if sent and order.signed_at_ms is not None else None,
    )


def order_filled(order: ExecutorOrder, trade: TradeReport, *, entry: ExecutorOrder) -> OrderFilled:
    """Return the event of an execution; the entry says where the position is to be protected."""
    return OrderFilled(
        occurred_at=from_epoch_ms(trade.at_ms),
        intent_id=order.intent_id,
        parent_intent_id=None if order.role is Role.ENTRY else order.chain_id,
        account=order.account,
        symbol=order.symbol,
        trade_id=trade.trade_id,
        exchange_order_id=trade.exchange_order_id,
        client_order_id=order.client_order_id,
        strategy=order.strategy,
        side=vocabulary.Side(order.side.value),
        role=vocabulary.Role(order.role.value),
        quantity=trade.quantity,
        price=trade.price,
        commission=trade.commission,
        commission_asset=trade.commission_asset,
        maker=trade.maker,
        stop_loss=entry.stop_loss,
        take_profit=entry.take_profit,
        trailing_distance=entry.trailing_distance,
    )


def balances_adjusted(movement: Movement) -> BalancesAdjusted:
    """Return the event that lets every other ledger follow a movement."""
    return BalancesAdjusted(
        occurred_at=movement.at,
        account=movement.account,
        kind=movement.kind,
        reference=movement.reference,
        changes=dict(movement.changes),
        reason=movement.reason,
        issuer=movement.issuer,
    )


def trade_alert(order: ExecutorOrder, at: datetime) -> AlertRaised:
    """Return what people are told about an order that ended with executions."""
    alert_type = AlertType.TRADE_EXECUTED
    severity = Severity.INFO
    if order.role is Role.PROTECTION:
        took_profit = order.order_type is OrderType.LIMIT_MAKER
        alert_type = AlertType.PROFIT_TARGET_HIT if took_profit else AlertType.STOP_LOSS_HIT
        severity = Severity.INFO if took_profit else Severity.WARNING
    price = plain(round(order.filled_amount / order.filled_quantity, 8))
    return AlertRaised(
        occurred_at=at,
        alert_type=alert_type,
        severity=severity,
        component=COMPONENT,
        subject=order.client_order_id,
        message=f"{order.side} {plain(order.filled_quantity)} {order.symbol} at {price}",
        parameters={
            "side": order.side.value,
            "role": order.role.value,
            "symbol": order.symbol,
            "quantity": plain(order.filled_quantity),
            "price": price,
            "amount": plain(order.filled_amount),
            "order": order.client_order_id,
        },
        account=order.account,
        symbol=order.symbol,
    )


def system_error(
    account: str, subject: str, message: str, at: datetime, *, severity: Severity = Severity.CRITICAL
) -> AlertRaised:
    """Return an alert about something that should not be."""
    return AlertRaised(
        occurred_at=at,
        alert_type=AlertType.SYSTEM_ERROR,
        severity=severity,
        component=COMPONENT,
        subject=subject[:200],
        message=message[:TEXT_CHARACTERS_MAX],
        parameters={"detail": message[:500]},
        account=account,
    )


def _status(status: OrderStatus) -> vocabulary.OrderStatus:
    """Translate a status; that the exchange proved not to have an order is a rejection to everybody else."""
    if status is OrderStatus.NOT_ACCEPTED:
        return vocabulary.OrderStatus.REJECTED
    return vocabulary.OrderStatus(status.value)
