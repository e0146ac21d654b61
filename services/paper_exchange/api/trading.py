"""The signed endpoints of orders.

Invariant: an account sees and touches only what is its own.
"""

from typing import Any

from services.paper_exchange.api.gate import Call, Endpoint, Security, signed_query
from services.paper_exchange.api.limits import Limits
from services.paper_exchange.api.new_orders import (
    NEW_ORDER_ALLOWED,
    NEW_ORDER_MANDATORY,
    generated_id,
    read_new_order,
    response_type,
)
from services.paper_exchange.api.order_lists import OrderLists
from services.paper_exchange.api.parameters import Parameters, time_span, within
from services.paper_exchange.venue import reports
from services.paper_exchange.venue.errors import ApiError, no_such_order, one_of_two, unknown_order
from services.paper_exchange.venue.orders import Order
from services.paper_exchange.venue.rules import LISTED
from services.paper_exchange.venue.venue import Venue

Json = dict[str, Any]
_FULL_BY_DEFAULT = frozenset({"LIMIT", "MARKET"})
_CANCEL_RESTRICTIONS = {"ONLY_NEW": "NEW", "ONLY_PARTIALLY_FILLED": "PARTIALLY_FILLED"}


class Trading:
    """Answers of the endpoints that place, cancel and show orders."""

    def __init__(self, *, venue: Venue, limits: Limits) -> None:
        self._venue = venue
        self._limits = limits

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints of orders and order lists."""
        lists = OrderLists(venue=self._venue, limits=self._limits)
        return [*self._trade_endpoints(), *self._data_endpoints(), *lists.endpoints()]

    def new_order(self, call: Call) -> Json:
        """Place an order."""
        parameters = call.parameters
        new = read_new_order(parameters, parameters.rules(self._venue.symbols))
        default = "FULL" if new.kind in _FULL_BY_DEFAULT else "ACK"
        response = response_type(parameters, default)
        order, fills, prevented = self._venue.place(call.account, new)
        if fills:
            self._limits.count_orders(call.account, -1, call.now_ms)
        match response:
            case "ACK":
                return reports.ack(order)
            case "RESULT":
                return reports.result(order)
            case _:
                return reports.full(order, fills, prevented)

    def test_order(self, call: Call) -> Json:
        """Check an order without placing it."""
        parameters = call.parameters
        self._venue.check(call.account, read_new_order(parameters, parameters.rules(self._venue.symbols)))
        if "computeCommissionRates" not in parameters:
            return {}
        error = ApiError(-1130, "Data sent for parameter 'computeCommissionRates' is not valid.")
        wanted = parameters.choice("computeCommissionRates", {"true": True, "false": False}, error)
        return reports.commission_rates() if wanted else {}

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
                cancelled.append(reports.cancelled_list(order_list, self._venue.desk.legs(order_list), legs, cancel_id))
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

    def prevented_matches(self, call: Call) -> list[Json]:
        """Return the matches of the account's orders with each other that were prevented."""
        parameters = call.parameters
        symbol = parameters.rules(self._venue.symbols).symbol
        match_id, order_id = parameters.optional_integer("preventedMatchId"), parameters.optional_integer("orderId")
        first_id = parameters.optional_integer("fromPreventedMatchId")
        limit = parameters.limit(default=500, maximum=1_000)
        if (match_id is None) == (order_id is None) or (match_id is not None and first_id is not None):
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        found = [
            reports.prevented_match(match)
            for match in self._venue.desk.prevented(call.account, symbol)
            if match_id in (None, match.match_id)
            and order_id in (None, match.taker_id, match.maker_id)
            and (first_id is None or match.match_id >= first_id)
        ]
        return found[:limit]

    def _find(self, call: Call, error: ApiError) -> Order:
        parameters = call.parameters
        order_id, client_id = parameters.optional_integer("orderId"), parameters.client_id("origClientOrderId")
        if order_id is None and client_id is None:
            raise one_of_two("origClientOrderId", "orderId")
        symbol = parameters.text("symbol")
        order = self._venue.desk.find(call.account, symbol, order_id=order_id, client_id=client_id)
        if order is None:
            raise error
        return order

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
                weight=_test_weight,
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
        ]

    def _data_endpoints(self) -> list[Endpoint]:
        span = ("startTime", "endTime", "limit")
        one_order = ("orderId", "origClientOrderId")
        return [
            signed_query("order", self.query_order, 4, mandatory=("symbol",), allowed=one_order, ws="order.status"),
            signed_query(
                "openOrders", self.open_orders, _open_orders_weight, allowed=("symbol",), ws="openOrders.status"
            ),
            signed_query("allOrders", self.all_orders, 20, mandatory=("symbol",), allowed=("orderId", *span)),
            signed_query(
                "myPreventedMatches",
                self.prevented_matches,
                _prevented_weight,
                mandatory=("symbol",),
                allowed=("preventedMatchId", "orderId", "fromPreventedMatchId", "limit"),
            ),
        ]


def _open_orders_weight(parameters: Parameters) -> int:
    return 6 if "symbol" in parameters else 80


def _test_weight(parameters: Parameters) -> int:
    return 20 if "computeCommissionRates" in parameters and parameters.text("computeCommissionRates") == "true" else 1


def _prevented_weight(parameters: Parameters) -> int:
    listed = "symbol" in parameters and parameters.text("symbol") in LISTED
    return 20 if listed and "orderId" in parameters else 2
