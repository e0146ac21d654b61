"""What is asked of Binance about orders: the endpoints with their costs, and the parameters of an order.

Invariant: amounts leave as the exact digits of a Decimal. Costs are those of Binance's endpoint list: an accepted order
costs no weight, but a refused one does, so it is reckoned with.
"""

from dataclasses import dataclass
from typing import Any, Final

from libs.exchange.instruments import exchange_symbol
from libs.exchange.orders.port import NewOco, NewOrder
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
    below_limit = oco.below_price is not None
    return without_none(
        symbol=exchange_symbol(oco.symbol),
        side="SELL",
        quantity=plain(oco.quantity),
        aboveType="LIMIT_MAKER",
        abovePrice=plain(oco.above_price),
        aboveClientOrderId=oco.above_client_order_id,
        belowType="STOP_LOSS_LIMIT" if below_limit else "STOP_LOSS",
        belowStopPrice=plain(oco.below_stop_price),
        belowPrice=plain(oco.below_price) if oco.below_price is not None else None,
        belowTimeInForce="GTC" if below_limit else None,
        belowClientOrderId=oco.below_client_order_id,
        listClientOrderId=oco.list_client_order_id,
        newOrderRespType="RESULT",
        timestamp=oco.signing.at_ms,
        recvWindow=oco.signing.recv_window_ms,
    )


def without_none(**parameters: Any) -> dict[str, Any]:
    """Return the parameters that have a value."""
    return {name: value for name, value in parameters.items() if value is not None}
