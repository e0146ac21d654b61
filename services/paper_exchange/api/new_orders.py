"""Reading new orders from parameters: which type takes which, and in what units.

Invariant: what leaves here is a well-formed order of its type; whether the market takes it is the venue's question.
"""

import secrets
import string

from libs.trading.matching import Side, TimeInForce
from services.paper_exchange.api.parameters import Parameters
from services.paper_exchange.venue.errors import ApiError, filter_failure, missing, needless, rejected
from services.paper_exchange.venue.orders import LIMIT_TYPES, STOP_TYPES, NewOrder
from services.paper_exchange.venue.rules import DEFAULT_SELF_TRADE_MODE, SymbolRules

NEW_ORDER_MANDATORY = ("symbol", "side", "type")
NEW_ORDER_ALLOWED = (
    "timeInForce",
    "quantity",
    "quoteOrderQty",
    "price",
    "newClientOrderId",
    "strategyId",
    "strategyType",
    "stopPrice",
    "trailingDelta",
    "icebergQty",
    "newOrderRespType",
    "selfTradePreventionMode",
)
OCO_MANDATORY = ("symbol", "side", "quantity", "aboveType", "belowType")
OCO_ALLOWED = (
    "listClientOrderId",
    "newOrderRespType",
    "selfTradePreventionMode",
    *(
        f"{leg}{field}"
        for leg in ("above", "below")
        for field in (
            "ClientOrderId",
            "IcebergQty",
            "Price",
            "StopPrice",
            "TrailingDelta",
            "TimeInForce",
            "StrategyId",
            "StrategyType",
        )
    ),
)
_TIMED_TYPES = frozenset({"LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})
_ID_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 22


def generated_id() -> str:
    """Return a client id for an order whose client named none."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))


def read_new_order(parameters: Parameters, rules: SymbolRules) -> NewOrder:
    """Return the order that a client asks for.

    Raises:
        ApiError: Its parameters do not make an order of its type.
    """
    side, kind = parameters.side(), parameters.order_type()
    quote_units = 0
    if kind == "MARKET" and "quoteOrderQty" in parameters:
        if "quantity" in parameters:
            raise needless("quantity")
        quote_units = parameters.units("quoteOrderQty")
        if not quote_units:
            raise filter_failure("NOTIONAL")
        lots = 0
    elif "quoteOrderQty" in parameters:
        raise needless("quoteOrderQty")
    elif kind == "MARKET" and "quantity" not in parameters:
        raise ApiError(-1102, "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!")
    else:
        lots = parameters.multiple("quantity", rules.step_units, "LOT_SIZE")
    return _read(parameters, rules, side, kind, lots=lots, quote_units=quote_units, leg="")


def read_oco(parameters: Parameters, rules: SymbolRules) -> tuple[NewOrder, NewOrder]:
    """Return the two orders of an OCO, the one above the market first.

    Raises:
        ApiError: Their parameters do not make orders of their types.
    """
    side = parameters.side()
    lots = parameters.multiple("quantity", rules.step_units, "LOT_SIZE")
    above, below = (
        _read(parameters, rules, side, parameters.order_type(f"{leg}Type"), lots=lots, quote_units=0, leg=leg)
        for leg in ("above", "below")
    )
    return above, below


def _read(
    parameters: Parameters, rules: SymbolRules, side: Side, kind: str, *, lots: int, quote_units: int, leg: str
) -> NewOrder:
    def name(field: str) -> str:
        return f"{leg}{field}" if leg else field[0].lower() + field[1:]

    if name("IcebergQty") in parameters:
        raise rejected("Iceberg orders are not supported for this symbol.")
    if name("TrailingDelta") in parameters:
        raise rejected("Trailing stop orders are not supported for this symbol.")
    timed, priced, stopped = kind in _TIMED_TYPES, kind in LIMIT_TYPES, kind in STOP_TYPES
    for field, wanted in (("TimeInForce", timed), ("Price", priced), ("StopPrice", stopped)):
        if wanted and name(field) not in parameters:
            raise missing(name(field))
        if not wanted and name(field) in parameters:
            raise needless(name(field))
    return NewOrder(
        rules=rules,
        side=side,
        kind=kind,
        client_id=parameters.client_id(f"{leg}ClientOrderId" if leg else "newClientOrderId") or generated_id(),
        time_in_force=parameters.time_in_force(name("TimeInForce")) if timed else TimeInForce.GTC,
        lots=lots,
        quote_units=quote_units,
        price=parameters.multiple(name("Price"), rules.tick_units, "PRICE_FILTER") if priced else 0,
        stop_price=parameters.multiple(name("StopPrice"), rules.tick_units, "PRICE_FILTER") if stopped else 0,
        prevention=_prevention(parameters),
        strategy_id=parameters.optional_integer(name("StrategyId")),
        strategy_type=parameters.optional_integer(name("StrategyType")),
    )


def _prevention(parameters: Parameters) -> str:
    name = "selfTradePreventionMode"
    return parameters.text(name) if name in parameters else DEFAULT_SELF_TRADE_MODE
