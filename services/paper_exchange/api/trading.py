"""The signed endpoints of orders and order lists.

Invariant: an account sees and touches only what is its own.
"""

from collections.abc import Iterable
from typing import Any

from services.paper_exchange.api.gate import Call, Endpoint, Security, signed_query
from services.paper_exchange.api.limits import Limits
from services.paper_exchange.api.new_orders import (
    NEW_ORDER_ALLOWED,
    NEW_ORDER_MANDATORY,
    OCO_ALLOWED,
    OCO_MANDATORY,
    generated_id,
    read_new_order,
    read_oco,
)
from services.paper_exchange.api.parameters import Parameters, time_span, within
from services.paper_exchange.venue import reports
from services.paper_exchange.venue.errors import ApiError, no_such_order, unknown_order
from services.paper_exchange.venue.orders import Order, OrderList
from services.paper_exchange.venue.venue import Venue

Json = dict[str, Any]
_FULL_BY_DEFAULT = frozenset({"LIMIT", "MARKET"})
_CANCEL_RESTRICTIONS = {"ONLY_NEW": "NEW", "ONLY_PARTIALLY_FILLED": "PARTIALLY_FILLED"}
_RESPONSE_TYPES = {name: name for name in ("ACK", "RESULT", "FULL")}


class Trading:
    """Answers of the endpoints that place, cancel and show orders."""

    def __init__(self, *, venue: Venue, limits: Limits) -> None:
        self._venue = venue
        self._limits = limits

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints of orders and lists."""
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
        start_ms, end_ms = time_span(parameters)
        orders = [
            order
            for order in self._venue.desk.orders(call.account, symbol)
            if (first_id is None or order.order_id >= first_id) and within(order.created_ms, start_ms, end_ms)
        ]
        limit = parameters.limit(default=500, maximum=1_000)
        from_start = first_id is not None or start_ms is not None
        return [reports.queried(order) for order in (orders[:limit] if from_start else orders[-limit:])]

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
        start_ms, end_ms = time_span(parameters)
        found = [
            order_list
            for order_list in self._venue.desk.lists(call.account)
            if (first_id is None or order_list.list_id >= first_id) and within(order_list.created_ms, start_ms, end_ms)
        ]
        limit = parameters.limit(default=500, maximum=1_000)
        from_start = first_id is not None or start_ms is not None
        return [self._summary(order_list) for order_list in (found[:limit] if from_start else found[-limit:])]

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
        return [
            signed_query("order", self.query_order, 4, mandatory=("symbol",), allowed=one_order, ws="order.status"),
            signed_query(
                "openOrders", self.open_orders, _open_orders_weight, allowed=("symbol",), ws="openOrders.status"
            ),
            signed_query("allOrders", self.all_orders, 20, mandatory=("symbol",), allowed=("orderId", *span)),
            signed_query("orderList", self.query_list, 4, allowed=one_list, ws="orderList.status"),
            signed_query("openOrderList", self.open_lists, 6, ws="openOrderLists.status"),
            signed_query("allOrderList", self.all_lists, 20, allowed=("fromId", *span), ws="allOrderLists"),
        ]


def _response_type(parameters: Parameters, default: str) -> str:
    if "newOrderRespType" not in parameters:
        return default
    error = ApiError(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")
    return parameters.choice("newOrderRespType", _RESPONSE_TYPES, error)


def _open_orders_weight(parameters: Parameters) -> int:
    return 6 if "symbol" in parameters else 80
