"""A small true history for the invariant tests: one entry, its protection and the position, all in agreement."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from libs.invariants.records import (
    ApprovalRow,
    BalanceRow,
    Books,
    FillRow,
    HaltRow,
    Look,
    OrderRow,
    PositionRow,
    Truth,
    TruthBalance,
    TruthFill,
    TruthOrder,
)

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NOON_MS = 1_795_348_800_000
ENTRY = "ctE-abc123-aaaaaaaaaaaaaaaaaaaaaaaa"
STOP = "ctP-abc123-bbbbbbbbbbbbbbbbbbbbbbbb"
TAKE = "ctP-abc123-cccccccccccccccccccccccc"


def a_truth_order(**changes: Any) -> TruthOrder:
    fields: dict[str, Any] = {
        "order_id": 1,
        "account": "main",
        "symbol": "BTCUSDT",
        "client_order_id": ENTRY,
        "side": "BUY",
        "quantity": Decimal("0.1"),
        "executed_quantity": Decimal("0.1"),
        "status": "FILLED",
        "locked": Decimal(0),
        "order_list_id": -1,
        "accepted_at_ms": NOON_MS,
    }
    return TruthOrder(**(fields | changes))


def a_leg(order_id: int, client_order_id: str, **changes: Any) -> TruthOrder:
    """Return a leg of the list that protects the position; its upper one keeps the coins locked."""
    fields: dict[str, Any] = {
        "order_id": order_id,
        "client_order_id": client_order_id,
        "side": "SELL",
        "quantity": Decimal("0.0999"),
        "executed_quantity": Decimal(0),
        "status": "NEW",
        "locked": Decimal("0.0999") if client_order_id == TAKE else Decimal(0),
        "order_list_id": 5,
    }
    return a_truth_order(**(fields | changes))


def a_truth_fill(**changes: Any) -> TruthFill:
    fields: dict[str, Any] = {
        "account": "main",
        "symbol": "BTCUSDT",
        "trade_id": 11,
        "order_id": 1,
        "side": "BUY",
        "quantity": Decimal("0.10000000"),
        "price": Decimal(50_000),
        "commission": Decimal("0.0001"),
        "commission_asset": "BTC",
    }
    return TruthFill(**(fields | changes))


def a_truth() -> Truth:
    orders = [a_truth_order(), a_leg(2, STOP), a_leg(3, TAKE)]
    fill = a_truth_fill()
    return Truth(
        sequence=9,
        orders={order.order_id: order for order in orders},
        fills={fill.key: fill},
        balances={
            ("main", "USDT"): TruthBalance(Decimal(5_000), Decimal(0)),
            ("main", "BTC"): TruthBalance(Decimal("0.05"), Decimal("0.0999")),
            ("visitor", "USDT"): TruthBalance(Decimal(1), Decimal(7)),
        },
    )


def an_order_row(**changes: Any) -> OrderRow:
    fields: dict[str, Any] = {
        "intent_id": "entry",
        "chain_id": "entry",
        "account": "main",
        "symbol": "BTC/USDT",
        "client_order_id": ENTRY,
        "side": "BUY",
        "role": "ENTRY",
        "strategy": "ema_cross",
        "status": "FILLED",
        "quantity": Decimal("0.1"),
        "filled_quantity": Decimal("0.1"),
        "approved": True,
    }
    return OrderRow(**(fields | changes))


def a_child_row(client_order_id: str, **changes: Any) -> OrderRow:
    fields: dict[str, Any] = {
        "intent_id": client_order_id,
        "client_order_id": client_order_id,
        "side": "SELL",
        "role": "PROTECTION",
        "status": "ACCEPTED",
        "quantity": Decimal("0.0999"),
        "filled_quantity": Decimal(0),
        "approved": False,
    }
    return an_order_row(**(fields | changes))


def a_fill_row(**changes: Any) -> FillRow:
    fields: dict[str, Any] = {
        "account": "main",
        "symbol": "BTC/USDT",
        "trade_id": 11,
        "exchange_order_id": "1",
        "side": "BUY",
        "quantity": Decimal("0.1"),
        "price": Decimal("50000.00"),
        "commission": Decimal("0.0001"),
        "commission_asset": "BTC",
        "occurred_at": NOON,
        "base_change": Decimal("0.0999"),
    }
    return FillRow(**(fields | changes))


def a_halt(**changes: Any) -> HaltRow:
    fields: dict[str, Any] = {
        "halt_id": "halt-1",
        "account": "main",
        "symbol": None,
        "strategy": None,
        "halted_at": NOON + timedelta(seconds=30),
        "cleared_at": None,
    }
    return HaltRow(**(fields | changes))


def books(**changes: Any) -> Books:
    agreeing = Books(
        taken_at=NOON + timedelta(minutes=1),
        orders=[an_order_row(), a_child_row(STOP), a_child_row(TAKE)],
        fills=[a_fill_row()],
        booked_fills=[a_fill_row()],
        positions=[
            PositionRow(
                account="main",
                symbol="BTC/USDT",
                quantity=Decimal("0.0999"),
                is_open=True,
                mark_price=Decimal(50_000),
                updated_at=NOON,
            )
        ],
        balances=[
            BalanceRow(account="main", asset="USDT", opening=Decimal(10_000), balance=Decimal(5_000)),
            BalanceRow(account="main", asset="BTC", opening=Decimal("0.05"), balance=Decimal("0.1499")),
        ],
        executor_balances=[
            BalanceRow(account="main", asset="USDT", opening=Decimal(10_000), balance=Decimal(5_000)),
        ],
        approvals=[ApprovalRow(intent_id="entry", account="main", symbol="BTC/USDT", side="BUY")],
        recorded_offsets={("fills", 0): 0},
    )
    return replace(agreeing, **changes)


def a_look(
    *,
    truth: Truth | None = None,
    after: Truth | None = None,
    symbols: Sequence[str] = ("BTC/USDT",),
    **changes: Any,
) -> Look:
    """Return a look at a system that stands still, with some of our rows changed."""
    truth = truth or a_truth()
    return Look(
        before=truth,
        books=books(**changes),
        after=after or truth,
        symbols=symbols,
        ends={("fills", 0): 1, ("logs", 0): 0},
    )


def with_orders(*orders: TruthOrder) -> Truth:
    """Return the truth with these orders added or replaced."""
    truth = a_truth()
    truth.orders |= {order.order_id: order for order in orders}
    return truth
