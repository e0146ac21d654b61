"""Orders, lists, fills and balances as Binance writes them, in answers and in user data events.

Invariant: numbers are strings of eight decimals, and every field that Binance sends is there.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from services.paper_exchange.venue.ledger import Balance
from services.paper_exchange.venue.orders import AccountFill, Order, OrderList
from services.paper_exchange.venue.rules import LISTED, text_of

Json = dict[str, Any]


def ack(order: Order) -> Json:
    """Return the shortest answer to a new order."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.request.client_id,
        "transactTime": order.updated_ms,
    }


def result(order: Order) -> Json:
    """Return the answer to a new order with its state."""
    return ack(order) | _state(order) | {"workingTime": order.working_ms} | _protection(order) | _conditional(order)


def full(order: Order, fills: Iterable[AccountFill]) -> Json:
    """Return the answer to a new order with its state and fills."""
    rules = order.request.rules
    return result(order) | {
        "fills": [
            {
                "price": rules.price_text(fill.price),
                "qty": rules.quantity_text(fill.lots),
                "commission": text_of(fill.commission),
                "commissionAsset": fill.commission_asset,
                "tradeId": fill.trade_id,
            }
            for fill in fills
        ]
    }


def queried(order: Order) -> Json:
    """Return an order as a query shows it."""
    identity = ack(order)
    del identity["transactTime"]
    stop_price = order.request.rules.price_text(order.request.stop_price)
    return (
        identity
        | _state(order)
        | {
            "stopPrice": stop_price,
            "icebergQty": text_of(0),
            "time": order.created_ms,
            "updateTime": order.updated_ms,
            "isWorking": order.is_working,
            "workingTime": order.working_ms,
        }
        | _protection(order)
        | _conditional(order)
    )


def cancelled(order: Order, cancel_id: str) -> Json:
    """Return the answer to a cancel: `clientOrderId` is the cancel's, the order's own is `origClientOrderId`."""
    identity = {
        "symbol": order.symbol,
        "origClientOrderId": order.request.client_id,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": cancel_id,
        "transactTime": order.updated_ms,
    }
    return identity | _state(order) | _protection(order) | _conditional(order)


def list_summary(order_list: OrderList, orders: Iterable[Order]) -> Json:
    """Return an order list as a query shows it."""
    return {
        "orderListId": order_list.list_id,
        "contingencyType": "OCO",
        "listStatusType": "ALL_DONE" if order_list.done else "EXEC_STARTED",
        "listOrderStatus": "ALL_DONE" if order_list.done else "EXECUTING",
        "listClientOrderId": order_list.client_id,
        "transactionTime": order_list.created_ms,
        "symbol": order_list.symbol,
        "orders": [
            {"symbol": order.symbol, "orderId": order.order_id, "clientOrderId": order.request.client_id}
            for order in orders
        ],
    }


def my_trade(fill: AccountFill) -> Json:
    """Return a fill as the account's trade list shows it."""
    rules = LISTED[fill.symbol]
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": fill.list_id,
        "price": rules.price_text(fill.price),
        "qty": rules.quantity_text(fill.lots),
        "quoteQty": rules.notional_text(fill.price * fill.lots),
        "commission": text_of(fill.commission),
        "commissionAsset": fill.commission_asset,
        "time": fill.at_ms,
        "isBuyer": fill.side.value == "BUY",
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def execution_report(
    order: Order,
    execution: str,
    *,
    at_ms: int,
    execution_id: int,
    fill: AccountFill | None = None,
    cancel_id: str = "",
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
        "F": text_of(0),
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
    if request.strategy_id is not None:
        report["j"] = request.strategy_id
    if request.strategy_type is not None:
        report["J"] = request.strategy_type
    if order.expiry_reason:
        report["eR"] = order.expiry_reason
    return report


def list_status(order_list: OrderList, orders: Iterable[Order], *, at_ms: int) -> Json:
    """Return the user data event of a step in a list's life."""
    return {
        "e": "listStatus",
        "E": at_ms,
        "s": order_list.symbol,
        "g": order_list.list_id,
        "c": "OCO",
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


def _state(order: Order) -> Json:
    request, rules = order.request, order.request.rules
    return {
        "price": rules.price_text(request.price),
        "origQty": rules.quantity_text(order.lots),
        "executedQty": rules.quantity_text(order.executed),
        "origQuoteOrderQty": text_of(request.quote_units),
        "cummulativeQuoteQty": rules.notional_text(order.spent),
        "status": order.status,
        "timeInForce": request.time_in_force.value,
        "type": request.kind,
        "side": request.side.value,
    }


def _protection(order: Order) -> Json:
    return {"selfTradePreventionMode": order.request.prevention}


def _conditional(order: Order) -> Json:
    request = order.request
    fields: Json = {}
    if request.is_stop:
        fields["stopPrice"] = request.rules.price_text(request.stop_price)
    if request.strategy_id is not None:
        fields["strategyId"] = request.strategy_id
    if request.strategy_type is not None:
        fields["strategyType"] = request.strategy_type
    if order.expiry_reason:
        fields["expiryReason"] = order.expiry_reason
    return fields
