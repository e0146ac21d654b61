"""Rows of the executor's tables, to and from its records."""

from typing import Any, Final

from asyncpg import Record

from libs.exchange.orders.port import TradeReport
from libs.trading.market import OrderType, Side
from libs.trading.orders import OrderStatus
from libs.trading.risk import Role
from services.trade_executor.domain.orders import Authority, Doubt, ExecutorOrder, Origin, RecordedFill

SELECT_ORDER: Final = """
    SELECT intent.*, state.status, state.revision, state.filled_quantity, state.filled_amount, state.execution_id,
           state.exchange_order_id, state.order_list_id, state.reason, state.final, state.quarantined_at,
           state.released_at, state.updated_at
    FROM order_intents AS intent JOIN orders AS state USING (intent_id)
"""


def order_of(row: Record) -> ExecutorOrder:
    """Return the order of a row of `SELECT_ORDER`."""
    return ExecutorOrder(
        intent_id=row["intent_id"],
        chain_id=row["chain_id"],
        account=row["account"],
        symbol=row["symbol"],
        side=Side(row["side"]),
        role=Role(row["role"]),
        approved=row["approved"],
        strategy=row["strategy"],
        signal_id=row["signal_id"],
        client_order_id=row["client_order_id"],
        order_type=OrderType(row["order_type"]),
        quantity=row["quantity"],
        authority=Authority(
            expires_at=row["expires_at"],
            halt_epoch=row["halt_epoch"],
            risk_epoch=row["risk_epoch"],
            configuration_version=row["configuration_version"],
            configuration_hash=row["configuration_hash"],
            epoch=row["epoch"],
        ),
        origin=Origin(
            event_id=row["cause_id"],
            correlation_id=row["correlation_id"],
            traceparent=row["traceparent"],
            origin_at=row["origin_at"],
        ),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        time_in_force=row["time_in_force"],
        price=row["price"],
        stop_price=row["stop_price"],
        stop_loss=row["stop_loss"],
        take_profit=row["take_profit"],
        trailing_distance=row["trailing_distance"],
        reference_price=row["reference_price"],
        list_client_order_id=row["list_client_order_id"],
        signed_at_ms=row["signed_at_ms"],
        recv_window_ms=row["recv_window_ms"],
        status=OrderStatus(row["status"]),
        revision=row["revision"],
        filled_quantity=row["filled_quantity"],
        filled_amount=row["filled_amount"],
        execution_id=row["execution_id"],
        exchange_order_id=row["exchange_order_id"],
        order_list_id=row["order_list_id"],
        reason=row["reason"],
        final=row["final"],
        quarantined_at=row["quarantined_at"],
        released_at=row["released_at"],
    )


def intent_values(order: ExecutorOrder, doubt: Doubt) -> dict[str, Any]:
    """Return the columns of `order_intents`."""
    return {
        "intent_id": order.intent_id,
        "chain_id": order.chain_id,
        "account": order.account,
        "symbol": order.symbol,
        "side": order.side.value,
        "role": order.role.value,
        "approved": order.approved,
        "strategy": order.strategy,
        "signal_id": order.signal_id,
        "client_order_id": order.client_order_id,
        "list_client_order_id": order.list_client_order_id,
        "time_in_force": order.time_in_force,
        "price": order.price,
        "stop_price": order.stop_price,
        "stop_loss": order.stop_loss,
        "take_profit": order.take_profit,
        "trailing_distance": order.trailing_distance,
        "reference_price": order.reference_price,
        "recv_window_ms": order.recv_window_ms,
        "expires_at": order.authority.expires_at,
        "halt_epoch": order.authority.halt_epoch,
        "risk_epoch": order.authority.risk_epoch,
        "configuration_version": order.authority.configuration_version,
        "configuration_hash": order.authority.configuration_hash,
        "cause_id": order.origin.event_id,
        "correlation_id": order.origin.correlation_id,
        "traceparent": order.origin.traceparent,
        "origin_at": order.origin.origin_at,
        "created_at": order.created_at,
        **request_values(order, doubt),
    }


def request_values(order: ExecutorOrder, doubt: Doubt) -> dict[str, Any]:
    """Return the columns of `order_intents` that an exit gets when its turn comes."""
    return {
        "order_type": order.order_type.value,
        "quantity": order.quantity,
        "signed_at_ms": order.signed_at_ms,
        "fence_at_ms": doubt.fence_at_ms(order) if order.signed_at_ms is not None else None,
        "epoch": order.authority.epoch,
    }


def state_values(order: ExecutorOrder) -> dict[str, Any]:
    """Return the columns of `orders` that change."""
    return {
        "status": order.status.value,
        "revision": order.revision,
        "filled_quantity": order.filled_quantity,
        "filled_amount": order.filled_amount,
        "execution_id": order.execution_id,
        "exchange_order_id": order.exchange_order_id,
        "order_list_id": order.order_list_id,
        "reason": order.reason,
        "final": order.final,
        "quarantined_at": order.quarantined_at,
        "released_at": order.released_at,
        "updated_at": order.updated_at,
    }


def fill_of(row: Record) -> RecordedFill:
    """Return the execution of a row of `fills`."""
    return RecordedFill(
        row["intent_id"],
        TradeReport(
            symbol=row["symbol"],
            trade_id=row["trade_id"],
            exchange_order_id=row["exchange_order_id"],
            client_order_id=None,
            side=Side(row["side"]),
            quantity=row["quantity"],
            price=row["price"],
            commission=row["commission"],
            commission_asset=row["commission_asset"],
            maker=row["maker"],
            at_ms=row["at_ms"],
        ),
    )


def insert_statement(table: str, columns: tuple[str, ...]) -> str:
    """Return an INSERT of one row of these columns."""
    placeholders = ", ".join(f"${index}" for index in range(1, len(columns) + 1))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({placeholders})"  # noqa: S608 - names of our own columns


def update_statement(table: str, columns: tuple[str, ...]) -> str:
    """Return an UPDATE of one intent's row; the intent id is the first parameter."""
    assignments = ", ".join(f"{column} = ${index}" for index, column in enumerate(columns, start=2))
    return f"UPDATE {table} SET {assignments} WHERE intent_id = $1"  # noqa: S608 - names of our own columns
