"""Reading new orders from parameters: which type takes which, and in what units.

Invariant: what leaves here is a well-formed order of its type; whether the market takes it is the venue's question.
"""

import secrets
import string

from libs.trading.matching import Side, TimeInForce
from services.paper_exchange.api.parameters import Parameters
from services.paper_exchange.venue.errors import ApiError, filter_failure, missing, needless, one_of_two
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
_TIMED_TYPES = frozenset({"LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})
_RESPONSE_TYPES = {name: name for name in ("ACK", "RESULT", "FULL")}
_STRATEGY_TYPE_MIN = 1_000_000
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
        raise one_of_two("quantity", "quoteOrderQty")
    else:
        lots = parameters.multiple("quantity", rules.step_units, "LOT_SIZE")
    return read_one(parameters, rules, side, kind, lots=lots, quote_units=quote_units)


def response_type(parameters: Parameters, default: str) -> str:
    """Return how much an answer to a new order is to tell.

    Raises:
        ApiError: There is no such type.
    """
    if "newOrderRespType" not in parameters:
        return default
    error = ApiError(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")
    return parameters.choice("newOrderRespType", _RESPONSE_TYPES, error)


def read_one(
    parameters: Parameters,
    rules: SymbolRules,
    side: Side,
    kind: str,
    *,
    lots: int,
    quote_units: int = 0,
    leg: str = "",
) -> NewOrder:
    """Return an order of a type and size that are known already.

    Args:
        parameters: Have the rest of it.
        rules: Of its symbol.
        side: Which way it trades.
        kind: Its type.
        lots: Its quantity.
        quote_units: Its amount, where that sizes it.
        leg: What the names of its parameters begin with where it is part of a list.

    Raises:
        ApiError: The parameters do not make an order of this type.
    """

    def name(field: str) -> str:
        return f"{leg}{field}" if leg else field[0].lower() + field[1:]

    timed, priced, stopped = kind in _TIMED_TYPES, kind in LIMIT_TYPES, kind in STOP_TYPES
    trails = name("TrailingDelta") in parameters
    for field, allowed, wanted in (
        ("TimeInForce", timed, timed),
        ("Price", priced, priced),
        ("StopPrice", stopped, stopped and not trails),
        ("TrailingDelta", stopped, False),
        ("IcebergQty", priced, False),
    ):
        if name(field) in parameters and not allowed:
            raise needless(name(field))
        if name(field) not in parameters and wanted:
            raise missing(name(field)) if field != "StopPrice" else one_of_two(name(field), name("TrailingDelta"))
    time_in_force = parameters.time_in_force(name("TimeInForce")) if timed else TimeInForce.GTC
    stops_at = name("StopPrice") in parameters
    return NewOrder(
        rules=rules,
        side=side,
        kind=kind,
        client_id=parameters.client_id(f"{leg}ClientOrderId" if leg else "newClientOrderId") or generated_id(),
        time_in_force=time_in_force,
        lots=lots,
        quote_units=quote_units,
        price=parameters.multiple(name("Price"), rules.tick_units, "PRICE_FILTER") if priced else 0,
        stop_price=parameters.multiple(name("StopPrice"), rules.tick_units, "PRICE_FILTER") if stops_at else 0,
        prevention=_prevention(parameters),
        strategy_id=parameters.optional_integer(name("StrategyId")),
        strategy_type=_strategy_type(parameters, name("StrategyType")),
        iceberg_lots=_iceberg_lots(parameters, rules, time_in_force, leg),
        trailing_delta=_trailing_delta(parameters, name("TrailingDelta")) if trails else 0,
    )


def _iceberg_lots(parameters: Parameters, rules: SymbolRules, time_in_force: TimeInForce, leg: str) -> int:
    name = f"{leg}IcebergQty" if leg else "icebergQty"
    if name not in parameters or not parameters.units(name):
        return 0
    if time_in_force is not TimeInForce.GTC:
        if leg:
            raise ApiError(-1160, f"Parameter '{name}' is not supported if '{leg}TimeInForce' is not GTC.")
        raise ApiError(-1014, "Unsupported order combination.")
    return parameters.multiple(name, rules.step_units, "LOT_SIZE")


def _trailing_delta(parameters: Parameters, name: str) -> int:
    delta = parameters.integer(name)
    if not delta:
        raise filter_failure("TRAILING_DELTA")
    return delta


def _strategy_type(parameters: Parameters, name: str) -> int | None:
    strategy_type = parameters.optional_integer(name)
    if strategy_type is not None and strategy_type < _STRATEGY_TYPE_MIN:
        raise ApiError(-1134, f"{name} was less than {_STRATEGY_TYPE_MIN}.")
    return strategy_type


def _prevention(parameters: Parameters) -> str:
    name = "selfTradePreventionMode"
    return parameters.text(name) if name in parameters else DEFAULT_SELF_TRADE_MODE
