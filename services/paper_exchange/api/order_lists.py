"""The signed endpoints of order lists.

Invariant: an account sees and touches only what is its own.
"""

from functools import partial
from typing import Any

from services.paper_exchange.api.gate import Call, Endpoint, Security, signed_query
from services.paper_exchange.api.limits import Limits
from services.paper_exchange.api.new_lists import LIST_KINDS, ListKind, read_list
from services.paper_exchange.api.new_orders import generated_id, response_type
from services.paper_exchange.api.parameters import time_span, within
from services.paper_exchange.venue import reports
from services.paper_exchange.venue.errors import ApiError, one_of_two, unknown_order
from services.paper_exchange.venue.orders import OrderList
from services.paper_exchange.venue.venue import Venue

Json = dict[str, Any]


class OrderLists:
    """Answers of the endpoints that place, cancel and show order lists."""

    def __init__(self, *, venue: Venue, limits: Limits) -> None:
        self._venue = venue
        self._limits = limits

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints of order lists."""
        span = ("startTime", "endTime", "limit")
        one_list = ("orderListId", "origClientOrderId")
        return [
            *(self._placing(kind) for kind in LIST_KINDS),
            Endpoint(
                "DELETE",
                "/api/v3/orderList",
                self.cancel_list,
                security=Security.TRADE,
                mandatory=("symbol",),
                allowed=("orderListId", "listClientOrderId", "newClientOrderId"),
                ws_method="orderList.cancel",
            ),
            signed_query("orderList", self.query_list, 4, allowed=one_list, ws="orderList.status"),
            signed_query("openOrderList", self.open_lists, 6, ws="openOrderLists.status"),
            signed_query("allOrderList", self.all_lists, 20, allowed=("fromId", *span), ws="allOrderLists"),
        ]

    def place(self, call: Call, kind: ListKind) -> Json:
        """Place an order list; pending orders are shown as such even if they are placed at once."""
        parameters = call.parameters
        new = read_list(parameters, parameters.rules(self._venue.symbols), kind)
        response = response_type(parameters, "RESULT")
        order_list, orders, fills = self._venue.place_list(call.account, new)
        if fills:
            self._limits.count_orders(call.account, -1, call.now_ms)
        match response:
            case "ACK":
                answers = [reports.ack(order) for order in orders]
            case "RESULT":
                answers = [reports.result(order) for order in orders]
            case _:
                traded = {orders[0].order_id: fills}  # a leg that would trade at once is refused
                answers = [reports.full(order, traded.get(order.order_id, ())) for order in orders]
        return reports.list_summary(order_list, orders) | {"orderReports": answers}

    def cancel_list(self, call: Call) -> Json:
        """Cancel an order list."""
        parameters = call.parameters
        symbol = parameters.rules(self._venue.symbols).symbol
        order_list = self._find_list(call, "listClientOrderId")
        if order_list is None or order_list.symbol != symbol or order_list.done:
            raise unknown_order()
        cancel_id = parameters.client_id("newClientOrderId") or generated_id()
        desk = self._venue.desk
        first = next(leg for leg in desk.legs(order_list) if leg.is_open)
        cancelled = self._venue.cancel(call.account, first, cancel_id)
        return reports.cancelled_list(order_list, desk.legs(order_list), cancelled, cancel_id)

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
        if first_id is not None and (start_ms is not None or end_ms is not None):
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        found = [
            order_list
            for order_list in self._venue.desk.lists(call.account)
            if (first_id is None or order_list.list_id >= first_id) and within(order_list.created_ms, start_ms, end_ms)
        ]
        limit = parameters.limit(default=500, maximum=1_000)
        from_start = first_id is not None or start_ms is not None
        return [self._summary(order_list) for order_list in (found[:limit] if from_start else found[-limit:])]

    def _placing(self, kind: ListKind) -> Endpoint:
        return Endpoint(
            "POST",
            f"/api/v3/orderList/{kind.name}",
            partial(self.place, kind=kind),
            security=Security.TRADE,
            mandatory=kind.mandatory,
            allowed=kind.allowed,
            orders=kind.orders,
            ws_method=f"orderList.place.{kind.name}",
        )

    def _summary(self, order_list: OrderList) -> Json:
        return reports.list_summary(order_list, self._venue.desk.legs(order_list))

    def _find_list(self, call: Call, client_id_name: str) -> OrderList | None:
        parameters = call.parameters
        list_id, client_id = parameters.optional_integer("orderListId"), parameters.client_id(client_id_name)
        if list_id is None and client_id is None:
            raise one_of_two(client_id_name, "orderListId")
        return self._venue.desk.find_list(call.account, list_id=list_id, client_id=client_id)
