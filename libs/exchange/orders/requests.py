"""What is asked of Binance about orders: the endpoints with their costs, and the parameters of an order.

Invariant: amounts leave as the exact digits of a Decimal. Costs are those of Binance's endpoint list: an accepted order
costs no weight, but a refused one does, so it is reckoned with.
"""

from dataclasses import dataclass
from typing import Any, Final

from libs.exchange.instruments import exchange_symbol
from libs.exchange.orders.port import NewBracket, NewOco, NewOrder, Stop, Target
from libs.trading.money import plain


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One of ccxt's raw methods.

    Attributes:
        method: Its name in ccxt.
        weight: What a request takes of the address's budget.
        orders: What it adds to the account's count of orders.
    """

    method: str
    weight: int
    orders: int = 0


NEW_ORDER: Final = Endpoint("private_post_order", weight=1, orders=1)
NEW_OCO: Final = Endpoint("private_post_orderlist_oco", weight=1, orders=2)
NEW_OTO: Final = Endpoint("private_post_orderlist_oto", weight=1, orders=2)
NEW_OPO: Final = Endpoint("private_post_orderlist_opo", weight=1, orders=2)
NEW_OTOCO: Final = Endpoint("private_post_orderlist_otoco", weight=1, orders=3)
NEW_OPOCO: Final = Endpoint("private_post_orderlist_opoco", weight=1, orders=3)
CANCEL_ORDER: Final = Endpoint("private_delete_order", weight=1)
CANCEL_LIST: Final = Endpoint("private_delete_orderlist", weight=1)
ORDER: Final = Endpoint("private_get_order", weight=4)
OPEN_ORDERS: Final = Endpoint("private_get_openorders", weight=6)
TRADES: Final = Endpoint("private_get_mytrades", weight=20)
TRADES_OF_ORDER: Final = Endpoint("private_get_mytrades", weight=5)
ACCOUNT: Final = Endpoint("private_get_account", weight=20)
TIME: Final = Endpoint("public_get_time", weight=1)
EXCHANGE_INFO: Final = Endpoint("public_get_exchangeinfo", weight=20)


def order_parameters(order: NewOrder) -> dict[str, Any]:
    """Return the parameters of one order."""
    return without_none(
        symbol=exchange_symbol(order.symbol),
        side=order.side.value,
        type=order.order_type.value,
        timeInForce=order.time_in_force,
        quantity=plain(order.quantity),
        price=plain(order.price) if order.price is not None else None,
        stopPrice=plain(order.stop_price) if order.stop_price is not None else None,
        newClientOrderId=order.client_order_id,
        newOrderRespType="FULL",
        timestamp=order.signing.at_ms,
        recvWindow=order.signing.recv_window_ms,
    )


def oco_parameters(oco: NewOco) -> dict[str, Any]:
    """Return the parameters of a list of two legs."""
    target = Target(client_order_id=oco.above_client_order_id, price=oco.above_price)
    stop = Stop(client_order_id=oco.below_client_order_id, stop_price=oco.below_stop_price, price=oco.below_price)
    return without_none(
        symbol=exchange_symbol(oco.symbol),
        side="SELL",
        quantity=plain(oco.quantity),
        **_target("above", target),
        **_stop("below", stop),
        listClientOrderId=oco.list_client_order_id,
        newOrderRespType="RESULT",
        timestamp=oco.signing.at_ms,
        recvWindow=oco.signing.recv_window_ms,
    )


def bracket_request(bracket: NewBracket) -> tuple[Endpoint, dict[str, Any]]:
    """Return where an entry with its exits is placed, and its parameters."""
    pays = bracket.exit_quantity is None
    if bracket.target is None:
        endpoint, legs = NEW_OPO if pays else NEW_OTO, _stop("pending", bracket.stop)
    else:
        endpoint = NEW_OPOCO if pays else NEW_OTOCO
        legs = _target("pendingAbove", bracket.target) | _stop("pendingBelow", bracket.stop)
    parameters = without_none(
        symbol=exchange_symbol(bracket.symbol),
        workingType="LIMIT",
        workingSide="BUY",
        workingTimeInForce="FOK",
        workingQuantity=plain(bracket.quantity),
        workingPrice=plain(bracket.price),
        workingClientOrderId=bracket.client_order_id,
        pendingSide="SELL",
        pendingQuantity=plain(bracket.exit_quantity) if bracket.exit_quantity is not None else None,
        **legs,
        listClientOrderId=bracket.list_client_order_id,
        newOrderRespType="FULL",
        timestamp=bracket.signing.at_ms,
        recvWindow=bracket.signing.recv_window_ms,
    )
    return endpoint, parameters


def _target(leg: str, target: Target) -> dict[str, Any]:
    return {
        f"{leg}Type": "LIMIT_MAKER",
        f"{leg}Price": plain(target.price),
        f"{leg}ClientOrderId": target.client_order_id,
    }


def _stop(leg: str, stop: Stop) -> dict[str, Any]:
    limited = {} if stop.price is None else {f"{leg}Price": plain(stop.price), f"{leg}TimeInForce": "GTC"}
    return {
        f"{leg}Type": "STOP_LOSS_LIMIT" if limited else "STOP_LOSS",
        f"{leg}StopPrice": plain(stop.stop_price),
        **limited,
        f"{leg}ClientOrderId": stop.client_order_id,
    }


def without_none(**parameters: Any) -> dict[str, Any]:
    """Return the parameters that have a value."""
    return {name: value for name, value in parameters.items() if value is not None}
