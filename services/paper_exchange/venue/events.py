"""Steps in the lives of orders, lists and balances as Binance tells them on the user data stream.

Invariant: a field that Binance sends only under a condition is there exactly under it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from services.paper_exchange.venue.ledger import Balance
from services.paper_exchange.venue.orders import NO_TRADE_GROUP, AccountFill, Order, OrderList, Prevented
from services.paper_exchange.venue.rules import text_of

Json = dict[str, Any]


def execution_report(
    order: Order,
    execution: str,
    *,
    at_ms: int,
    execution_id: int,
    fill: AccountFill | None = None,
    cancel_id: str = "",
    prevented: Prevented | None = None,
) -> Json:
    """Return the user data event of one step in an order's life."""
    request, rules = order.request, order.request.rules
    report: Json = {
        "e": "executionReport",
        "E": at_ms,
        "s": order.symbol,
        "c": cancel_id or request.client_id,
        "S": request.side.value,
        "o": request.kind,
        "f": request.time_in_force.value,
        "q": rules.quantity_text(order.lots),
        "p": rules.price_text(request.price),
        "P": rules.price_text(request.stop_price),
        "F": rules.quantity_text(request.iceberg_lots),
        "g": order.list_id,
        "C": request.client_id if cancel_id else "",
        "x": execution,
        "X": order.status,
        "r": "NONE",
        "i": order.order_id,
        "l": rules.quantity_text(fill.lots if fill else 0),
        "z": rules.quantity_text(order.executed),
        "L": rules.price_text(fill.price if fill else 0),
        "n": text_of(fill.commission) if fill else "0",
        "N": fill.commission_asset if fill else None,
        "T": at_ms,
        "t": fill.trade_id if fill else -1,
        "I": execution_id,
        "w": order.is_open and order.is_working,
        "m": fill.is_maker if fill else False,
        "M": fill is not None,
        "O": order.created_ms,
        "Z": rules.notional_text(order.spent),
        "Y": rules.notional_text(fill.price * fill.lots if fill else 0),
        "Q": text_of(request.quote_units),
    }
    if order.is_working:
        report["W"] = order.working_ms
    report["V"] = request.prevention
    return report | _conditional(order) | (_prevention(order, prevented) if prevented else {})


def list_status(order_list: OrderList, orders: Iterable[Order], *, at_ms: int) -> Json:
    """Return the user data event of a step in a list's life."""
    return {
        "e": "listStatus",
        "E": at_ms,
        "s": order_list.symbol,
        "g": order_list.list_id,
        "c": order_list.contingency,
        "l": "ALL_DONE" if order_list.done else "EXEC_STARTED",
        "L": "ALL_DONE" if order_list.done else "EXECUTING",
        "r": "NONE",
        "C": order_list.client_id,
        "T": at_ms,
        "O": [{"s": order.symbol, "i": order.order_id, "c": order.request.client_id} for order in orders],
    }


def account_position(balances: Mapping[str, Balance], *, at_ms: int) -> Json:
    """Return the user data event of changed balances."""
    return {
        "e": "outboundAccountPosition",
        "E": at_ms,
        "u": at_ms,
        "B": [
            {"a": asset, "f": text_of(balance.free), "l": text_of(balance.locked)}
            for asset, balance in balances.items()
        ],
    }


def _conditional(order: Order) -> Json:
    request = order.request
    fields: Json = {}
    if request.trailing_delta:
        fields |= {"d": request.trailing_delta, "D": order.trailing_ms}
    if request.strategy_id is not None:
        fields["j"] = request.strategy_id
    if request.strategy_type is not None:
        fields["J"] = request.strategy_type
    if order.prevented:
        fields |= {"v": order.prevented_match_id, "A": request.rules.quantity_text(order.prevented)}
    if order.expiry_reason:
        fields["eR"] = order.expiry_reason
    return fields


def _prevention(order: Order, prevented: Prevented) -> Json:
    """Return what a prevented match tells one of its two orders."""
    rules = order.request.rules
    is_taker = order.order_id == prevented.taker_id
    return {
        "B": rules.quantity_text(prevented.taker_lots if is_taker else prevented.maker_lots),
        "u": NO_TRADE_GROUP,
        "U": prevented.maker_id if is_taker else prevented.taker_id,
        "Cs": prevented.symbol,
        "pl": rules.quantity_text(prevented.lots),
        "pL": rules.price_text(prevented.price),
        "pY": rules.notional_text(prevented.price * prevented.lots),
    }
