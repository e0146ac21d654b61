"""What the tables say, as rows for `libs.invariants`."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from libs.common.clock import from_epoch_ms
from libs.common.contracts.events import OrderApproved
from libs.invariants.records import ApprovalRow, BalanceRow, Books, FillRow, HaltRow, OrderRow, PositionRow
from tests.simulation.services import System


def books_of(system: System, halts: Sequence[HaltRow], now: datetime) -> Books:
    """Return everything that is committed now."""
    return Books(
        taken_at=now,
        orders=_orders(system),
        fills=_fills(system),
        booked_fills=_booked_fills(system),
        positions=_positions(system),
        balances=_balances(system),
        executor_balances=[
            BalanceRow(account=account, asset=asset, opening=system.openings[account, asset], balance=amount)
            for (account, asset), amount in system.tables.amounts.items()
        ],
        approvals=[
            ApprovalRow(
                intent_id=str(answer.intent_id), account=answer.account, symbol=answer.symbol, side=answer.side.value
            )
            for answer, _ in system.risk.decisions.values()
            if isinstance(answer, OrderApproved)
        ],
        halts=halts,
    )


def _orders(system: System) -> list[OrderRow]:
    return [
        OrderRow(
            intent_id=str(order.intent_id),
            chain_id=str(order.chain_id),
            account=order.account,
            symbol=order.symbol,
            client_order_id=order.client_order_id,
            side=order.side.value,
            role=order.role.value,
            strategy=order.strategy,
            status=order.status.value,
            quantity=order.quantity,
            filled_quantity=order.filled_quantity,
            approved=order.approved,
            carried=system.tables.carried.get(order.chain_id, Decimal(0)),
        )
        for order in system.tables.orders.values()
    ]


def _fills(system: System) -> list[FillRow]:
    return [
        FillRow(
            account=account,
            symbol=symbol,
            trade_id=trade_id,
            exchange_order_id=exchange_order_id,
            side=fill.trade.side.value,
            quantity=fill.trade.quantity,
            price=fill.trade.price,
            commission=fill.trade.commission,
            commission_asset=fill.trade.commission_asset,
            occurred_at=from_epoch_ms(fill.trade.at_ms),
        )
        for (account, symbol, trade_id, exchange_order_id), fill in system.tables.fills.items()
    ]


def _booked_fills(system: System) -> list[FillRow]:
    return [
        FillRow(
            account=one.fill.account,
            symbol=one.fill.symbol,
            trade_id=one.fill.trade_id,
            exchange_order_id=one.fill.exchange_order_id,
            side=one.fill.side.value,
            quantity=one.fill.quantity,
            price=one.fill.price,
            commission=one.fill.commission,
            commission_asset=one.fill.commission_asset,
            occurred_at=one.fill.occurred_at,
            base_change=one.base_change,
        )
        for one in system.ledger.bookings.values()
    ]


def _positions(system: System) -> list[PositionRow]:
    return [
        PositionRow(
            account=account,
            symbol=symbol,
            quantity=held.position.quantity,
            is_open=held.is_open,
            mark_price=system.network.exchange.bid(symbol),
            updated_at=held.opened_at or datetime.min.replace(tzinfo=system.machine.clock.now().tzinfo),
        )
        for (account, symbol), held in system.ledger.positions.items()
    ]


def _balances(system: System) -> list[BalanceRow]:
    return [
        BalanceRow(account=account, asset=asset, opening=system.ledger.openings[account, asset], balance=balance)
        for (account, asset), balance in system.ledger.balances.items()
    ]
