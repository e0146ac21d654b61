"""Orders, lists, fills and prevented matches as Binance writes them in answers.

Invariant: numbers are strings of eight decimals, and every field that Binance sends is there.
"""

from collections.abc import Iterable
from typing import Any

from services.paper_exchange.venue.orders import NO_TRADE_GROUP, AccountFill, Order, OrderList, Prevented
from services.paper_exchange.venue.rules import COMMISSION_RATE, LISTED, text_of, units_of

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


def full(order: Order, fills: Iterable[AccountFill], prevented: Iterable[Prevented] = ()) -> Json:
    """Return the answer to a new order with its state, its fills and the matches that were prevented."""
    rules = order.request.rules
    answer = result(order) | {
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
    matches = [_match(each) for each in prevented]
    return answer | {"preventedMatches": matches} if matches else answer


def queried(order: Order) -> Json:
    """Return an order as a query shows it."""
    identity = ack(order)
    del identity["transactTime"]
    rules = order.request.rules
    return (
        identity
        | _state(order)
        | {
            "stopPrice": rules.price_text(order.request.stop_price),
            "icebergQty": rules.quantity_text(order.request.iceberg_lots),
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
        "contingencyType": order_list.contingency,
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


def cancelled_list(
    order_list: OrderList, orders: Iterable[Order], cancelled_legs: Iterable[Order], cancel_id: str
) -> Json:
    """Return the answer to the cancel of an order list."""
    return list_summary(order_list, orders) | {"orderReports": [cancelled(leg, cancel_id) for leg in cancelled_legs]}


def commission_rates() -> Json:
    """Return what trades of an order would cost: the same rate for makers and takers, and no discount."""
    rate, none = text_of(units_of(COMMISSION_RATE)), text_of(0)
    return {
        "standardCommissionForOrder": {"maker": rate, "taker": rate},
        "specialCommissionForOrder": {"maker": none, "taker": none},
        "taxCommissionForOrder": {"maker": none, "taker": none},
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "BNB",
            "discount": none,
        },
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


def prevented_match(prevented: Prevented) -> Json:
    """Return a prevented match as a query shows it."""
    taker_id = {"takerOrderId": prevented.taker_id}
    identity = {"symbol": prevented.symbol, "preventedMatchId": prevented.match_id} | taker_id
    mode = {"tradeGroupId": NO_TRADE_GROUP, "selfTradePreventionMode": prevented.mode}
    return identity | mode | _match(prevented) | {"transactTime": prevented.at_ms}


def _match(prevented: Prevented) -> Json:
    rules = LISTED[prevented.symbol]
    fields: Json = {
        "preventedMatchId": prevented.match_id,
        "makerSymbol": prevented.symbol,
        "makerOrderId": prevented.maker_id,
        "price": rules.price_text(prevented.price),
    }
    if prevented.taker_lots:
        fields["takerPreventedQuantity"] = rules.quantity_text(prevented.taker_lots)
    if prevented.maker_lots:
        fields["makerPreventedQuantity"] = rules.quantity_text(prevented.maker_lots)
    return fields


def _state(order: Order) -> Json:
    request, rules = order.request, order.request.rules
    has_quantity = order.lots or not order.is_pending  # a list that pays its legs does not know theirs before
    return {
        "price": rules.price_text(request.price),
        **({"origQty": rules.quantity_text(order.lots)} if has_quantity else {}),
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
    if request.trailing_delta:
        fields |= {"trailingDelta": request.trailing_delta, "trailingTime": order.trailing_ms}
    if request.iceberg_lots:
        fields["icebergQty"] = request.rules.quantity_text(request.iceberg_lots)
    if order.prevented:
        fields["preventedMatchId"] = order.prevented_match_id
        fields["preventedQuantity"] = request.rules.quantity_text(order.prevented)
    if request.strategy_id is not None:
        fields["strategyId"] = request.strategy_id
    if request.strategy_type is not None:
        fields["strategyType"] = request.strategy_type
    if order.expiry_reason:
        fields["expiryReason"] = order.expiry_reason
    return fields
