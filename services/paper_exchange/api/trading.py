"""The signed endpoints: orders, order lists, trades and the account.

Invariant: an account sees and touches only what is its own.
"""

from collections.abc import Iterable
from typing import Any

from services.paper_exchange.api.gate import Call, Endpoint, Handler, Security, Weight
from services.paper_exchange.api.limits import RATE_LIMITS, Limits
from services.paper_exchange.api.new_orders import (
    NEW_ORDER_ALLOWED,
    NEW_ORDER_MANDATORY,
    OCO_ALLOWED,
    OCO_MANDATORY,
    generated_id,
    read_new_order,
    read_oco,
)
from services.paper_exchange.api.parameters import Parameters
from services.paper_exchange.venue import reports
from services.paper_exchange.venue.errors import ApiError, no_such_order, unknown_order
from services.paper_exchange.venue.orders import Order, OrderList
from services.paper_exchange.venue.rules import COMMISSION_RATE, text_of, units_of
from services.paper_exchange.venue.venue import Venue

Json = dict[str, Any]
DAY_MS = 86_400_000
_BIPS = 10_000
_FULL_BY_DEFAULT = frozenset({"LIMIT", "MARKET"})
_CANCEL_RESTRICTIONS = {"ONLY_NEW": "NEW", "ONLY_PARTIALLY_FILLED": "PARTIALLY_FILLED"}
_RESPONSE_TYPES = {name: name for name in ("ACK", "RESULT", "FULL")}


class Trading:
    """Answers of the signed endpoints."""

    def __init__(self, *, venue: Venue, limits: Limits) -> None:
        self._venue = venue
        self._limits = limits

    def endpoints(self) -> list[Endpoint]:
        """Return the signed endpoints."""
        return [*self._trade_endpoints(), *self._data_endpoints()]

    def new_order(self, call: Call) -> Json:
        """Place an order."""
        parameters = call.parameters
        new = read_new_order(parameters, parameters.rules(self._venue.symbols))
        default = "FULL" if new.kind in _FULL_BY_DEFAULT else "ACK"
        response = _response_type(parameters, default)
        order, fills = self._venue.place(call.account, new)
        if fills:
            self._limits.count_orders(call.account, -1, call.now_ms)
        match response:
            case "ACK":
                return reports.ack(order)
            case "RESULT":
                return reports.result(order)
            case _:
                return reports.full(order, fills)

    def test_order(self, call: Call) -> Json:
        """Check an order without placing it."""
        parameters = call.parameters
        self._venue.check(call.account, read_new_order(parameters, parameters.rules(self._venue.symbols)))
        return {}

    def cancel_order(self, call: Call) -> Json:
        """Cancel one order."""
        order = self._find(call, unknown_order())
        if "cancelRestrictions" in call.parameters:
            error = ApiError(-1145, "Invalid cancelRestrictions.")
            wanted = call.parameters.choice("cancelRestrictions", _CANCEL_RESTRICTIONS, error)
            if order.is_open and order.status != wanted:
                raise ApiError(-2011, "Order was not canceled due to cancel restrictions.")
        cancel_id = call.parameters.client_id("newClientOrderId") or generated_id()
        self._venue.cancel(call.account, order, cancel_id)
        return reports.cancelled(order, cancel_id)

    def cancel_open_orders(self, call: Call) -> list[Json]:
        """Cancel all open orders on a symbol."""
        symbol = call.parameters.rules(self._venue.symbols).symbol
        orders = self._venue.desk.open_orders(call.account, symbol)
        if not orders:
            raise unknown_order()
        cancelled = []
        for order in orders:
            if not order.is_open:
                continue  # it went with its list
            cancel_id = generated_id()
            legs = self._venue.cancel(call.account, order, cancel_id)
            order_list = self._venue.desk.list_of(order)
            if order_list is None:
                cancelled.append(reports.cancelled(order, cancel_id))
            else:
                cancelled.append(self._cancelled_list(order_list, legs, cancel_id))
        return cancelled

    def query_order(self, call: Call) -> Json:
        """Return one order."""
        return reports.queried(self._find(call, no_such_order()))

    def open_orders(self, call: Call) -> list[Json]:
        """Return the account's open orders."""
        symbol = call.parameters.rules(self._venue.symbols).symbol if "symbol" in call.parameters else None
        return [reports.queried(order) for order in self._venue.desk.open_orders(call.account, symbol)]

    def all_orders(self, call: Call) -> list[Json]:
        """Return the account's orders on a symbol."""
        parameters = call.parameters
        symbol = parameters.rules(self._venue.symbols).symbol
        first_id = parameters.optional_integer("orderId")
        start_ms, end_ms = _span(parameters)
        orders = [
            order
            for order in self._venue.desk.orders(call.account, symbol)
            if (first_id is None or order.order_id >= first_id) and _within(order.created_ms, start_ms, end_ms)
        ]
        limit = parameters.limit(default=500, maximum=1_000)
        from_start = first_id is not None or start_ms is not None
        return [reports.queried(order) for order in (orders[:limit] if from_start else orders[-limit:])]

    def my_trades(self, call: Call) -> list[Json]:
        """Return the account's trades on a symbol."""
        parameters = call.parameters
        symbol = parameters.rules(self._venue.symbols).symbol
        order_id, first_id = parameters.optional_integer("orderId"), parameters.optional_integer("fromId")
        start_ms, end_ms = _span(parameters)
        fills = [
            fill
            for fill in self._venue.desk.fills(call.account, symbol)
            if (order_id is None or fill.order_id == order_id)
            and (first_id is None or fill.trade_id >= first_id)
            and _within(fill.at_ms, start_ms, end_ms)
        ]
        limit = parameters.limit(default=500, maximum=1_000)
        from_start = first_id is not None or start_ms is not None
        chosen = fills[:limit] if from_start else fills[-limit:]
        return [reports.my_trade(fill) for fill in chosen]

    def new_oco(self, call: Call) -> Json:
        """Place two orders of which one cancels the other."""
        parameters = call.parameters
        above, below = read_oco(parameters, parameters.rules(self._venue.symbols))
        list_client_id = parameters.client_id("listClientOrderId") or generated_id()
        response = _response_type(parameters, "RESULT")
        order_list = self._venue.place_oco(call.account, list_client_id, above, below)
        orders = self._venue.desk.legs(order_list)
        write = reports.ack if response == "ACK" else reports.result
        return reports.list_summary(order_list, orders) | {"orderReports": [write(order) for order in orders]}

    def cancel_list(self, call: Call) -> Json:
        """Cancel an order list."""
        parameters = call.parameters
        symbol = parameters.rules(self._venue.symbols).symbol
        order_list = self._find_list(call, "listClientOrderId")
        if order_list is None or order_list.symbol != symbol or order_list.done:
            raise unknown_order()
        cancel_id = parameters.client_id("newClientOrderId") or generated_id()
        first = next(leg for leg in self._venue.desk.legs(order_list) if leg.is_open)
        legs = self._venue.cancel(call.account, first, cancel_id)
        return self._cancelled_list(order_list, legs, cancel_id)

    def query_list(self, call: Call) -> Json:
        """Return one order list."""
        order_list = self._find_list(call, "origClientOrderId")
        if order_list is None:
            raise ApiError(-2018, "Order list does not exist.")
        return self._summary(order_list)

    def open_lists(self, call: Call) -> list[Json]:
        """Return the account's open order lists."""
        return [self._summary(found) for found in self._venue.desk.lists(call.account) if not found.done]

    def all_lists(self, call: Call) -> list[Json]:
        """Return the account's order lists."""
        parameters = call.parameters
        first_id = parameters.optional_integer("fromId")
        start_ms, end_ms = _span(parameters)
        found = [
            order_list
            for order_list in self._venue.desk.lists(call.account)
            if (first_id is None or order_list.list_id >= first_id) and _within(order_list.created_ms, start_ms, end_ms)
        ]
        limit = parameters.limit(default=500, maximum=1_000)
        from_start = first_id is not None or start_ms is not None
        return [self._summary(order_list) for order_list in (found[:limit] if from_start else found[-limit:])]

    def account(self, call: Call) -> Json:
        """Return the account and its balances."""
        omit_zero = "omitZeroBalances" in call.parameters and call.parameters.text("omitZeroBalances") == "true"
        bips = int(COMMISSION_RATE * _BIPS)
        rate = text_of(units_of(COMMISSION_RATE))
        return {
            "makerCommission": bips,
            "takerCommission": bips,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {"maker": rate, "taker": rate, "buyer": text_of(0), "seller": text_of(0)},
            "canTrade": True,
            "canWithdraw": False,
            "canDeposit": False,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": call.now_ms,
            "accountType": "SPOT",
            "balances": [
                {"asset": asset, "free": text_of(balance.free), "locked": text_of(balance.locked)}
                for asset, balance in self._venue.ledger.balances(call.account).items()
                if balance.free or balance.locked or not omit_zero
            ],
            "permissions": ["SPOT"],
            "uid": sum(call.account.encode()),
        }

    def commission(self, call: Call) -> Json:
        """Return the commission rates on a symbol."""
        rate, none = text_of(units_of(COMMISSION_RATE)), text_of(0)
        zeros = {"maker": none, "taker": none, "buyer": none, "seller": none}
        return {
            "symbol": call.parameters.rules(self._venue.symbols).symbol,
            "standardCommission": {"maker": rate, "taker": rate, "buyer": none, "seller": none},
            "specialCommission": zeros,
            "taxCommission": zeros,
            "discount": {
                "enabledForAccount": False,
                "enabledForSymbol": False,
                "discountAsset": "BNB",
                "discount": text_of(0),
            },
        }

    def order_limits(self, call: Call) -> list[Json]:
        """Return how many orders the account has placed of how many it may."""
        counts = self._limits.count_orders(call.account, 0, call.now_ms)
        limits = [limit for limit in RATE_LIMITS if limit["rateLimitType"] == "ORDERS"]
        return [limit | {"count": count} for limit, count in zip(limits, counts, strict=True)]

    def _summary(self, order_list: OrderList) -> Json:
        return reports.list_summary(order_list, self._venue.desk.legs(order_list))

    def _cancelled_list(self, order_list: OrderList, legs: Iterable[Order], cancel_id: str) -> Json:
        return self._summary(order_list) | {"orderReports": [reports.cancelled(leg, cancel_id) for leg in legs]}

    def _find(self, call: Call, error: ApiError) -> Order:
        parameters = call.parameters
        order_id, client_id = parameters.optional_integer("orderId"), parameters.client_id("origClientOrderId")
        if order_id is None and client_id is None:
            text = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
            raise ApiError(-1102, text)
        symbol = parameters.text("symbol")
        order = self._venue.desk.find(call.account, symbol, order_id=order_id, client_id=client_id)
        if order is None:
            raise error
        return order

    def _find_list(self, call: Call, client_id_name: str) -> OrderList | None:
        parameters = call.parameters
        list_id, client_id = parameters.optional_integer("orderListId"), parameters.client_id(client_id_name)
        if list_id is None and client_id is None:
            text = f"Param '{client_id_name}' or 'orderListId' must be sent, but both were empty/null!"
            raise ApiError(-1102, text)
        return self._venue.desk.find_list(call.account, list_id=list_id, client_id=client_id)

    def _trade_endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                "POST",
                "/api/v3/order",
                self.new_order,
                security=Security.TRADE,
                mandatory=NEW_ORDER_MANDATORY,
                allowed=NEW_ORDER_ALLOWED,
                orders=1,
                ws_method="order.place",
            ),
            Endpoint(
                "POST",
                "/api/v3/order/test",
                self.test_order,
                security=Security.TRADE,
                mandatory=NEW_ORDER_MANDATORY,
                allowed=(*NEW_ORDER_ALLOWED, "computeCommissionRates"),
                ws_method="order.test",
            ),
            Endpoint(
                "DELETE",
                "/api/v3/order",
                self.cancel_order,
                security=Security.TRADE,
                mandatory=("symbol",),
                allowed=("orderId", "origClientOrderId", "newClientOrderId", "cancelRestrictions"),
                ws_method="order.cancel",
            ),
            Endpoint(
                "DELETE",
                "/api/v3/openOrders",
                self.cancel_open_orders,
                security=Security.TRADE,
                mandatory=("symbol",),
                ws_method="openOrders.cancelAll",
            ),
            Endpoint(
                "POST",
                "/api/v3/orderList/oco",
                self.new_oco,
                security=Security.TRADE,
                mandatory=OCO_MANDATORY,
                allowed=OCO_ALLOWED,
                orders=2,
                ws_method="orderList.place.oco",
            ),
            Endpoint(
                "DELETE",
                "/api/v3/orderList",
                self.cancel_list,
                security=Security.TRADE,
                mandatory=("symbol",),
                allowed=("orderListId", "listClientOrderId", "newClientOrderId"),
                ws_method="orderList.cancel",
            ),
        ]

    def _data_endpoints(self) -> list[Endpoint]:
        span = ("startTime", "endTime", "limit")
        one_order, one_list = ("orderId", "origClientOrderId"), ("orderListId", "origClientOrderId")
        # Name, handler, weight, mandatory and allowed parameters, name in the WebSocket API.
        rows: tuple[tuple[str, Handler, Weight, tuple[str, ...], tuple[str, ...], str], ...] = (
            ("order", self.query_order, 4, ("symbol",), one_order, "order.status"),
            ("openOrders", self.open_orders, _open_orders_weight, (), ("symbol",), "openOrders.status"),
            ("allOrders", self.all_orders, 20, ("symbol",), ("orderId", *span), "allOrders"),
            ("myTrades", self.my_trades, _my_trades_weight, ("symbol",), ("orderId", "fromId", *span), "myTrades"),
            ("orderList", self.query_list, 4, (), one_list, "orderList.status"),
            ("openOrderList", self.open_lists, 6, (), (), "openOrderLists.status"),
            ("allOrderList", self.all_lists, 20, (), ("fromId", *span), "allOrderLists"),
            ("account", self.account, 20, (), ("omitZeroBalances",), "account.status"),
            ("account/commission", self.commission, 20, ("symbol",), (), "account.commission"),
            ("rateLimit/order", self.order_limits, 40, (), (), "account.rateLimits.orders"),
        )
        return [
            Endpoint(
                "GET",
                f"/api/v3/{name}",
                handler,
                weight=weight,
                security=Security.USER_DATA,
                mandatory=mandatory,
                allowed=allowed,
                ws_method=ws_method,
            )
            for name, handler, weight, mandatory, allowed, ws_method in rows
        ]


def _response_type(parameters: Parameters, default: str) -> str:
    if "newOrderRespType" not in parameters:
        return default
    error = ApiError(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")
    return parameters.choice("newOrderRespType", _RESPONSE_TYPES, error)


def _span(parameters: Parameters) -> tuple[int | None, int | None]:
    start_ms, end_ms = parameters.moment_ms("startTime"), parameters.moment_ms("endTime")
    if start_ms is not None and end_ms is not None and end_ms - start_ms > DAY_MS:
        raise ApiError(-1127, "More than 24 hours between startTime and endTime.")
    return start_ms, end_ms


def _within(at_ms: int, start_ms: int | None, end_ms: int | None) -> bool:
    return (start_ms is None or at_ms >= start_ms) and (end_ms is None or at_ms <= end_ms)


def _open_orders_weight(parameters: Parameters) -> int:
    return 6 if "symbol" in parameters else 80


def _my_trades_weight(parameters: Parameters) -> int:
    return 5 if "orderId" in parameters else 20
