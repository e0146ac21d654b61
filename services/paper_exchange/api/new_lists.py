"""Reading new order lists from parameters: five kinds, which differ in what waits for what.

Invariant: what leaves here is a list of well-formed orders; whether the market takes it is the venue's question.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from libs.trading.matching import Side
from services.paper_exchange.api.new_orders import generated_id, read_one
from services.paper_exchange.api.parameters import Parameters
from services.paper_exchange.venue.errors import ApiError
from services.paper_exchange.venue.orders import NewList, NewOrder
from services.paper_exchange.venue.rules import SymbolRules

_WORKING = "working"
_WORKING_KINDS = frozenset({"LIMIT", "LIMIT_MAKER"})
_ALWAYS = ("ClientOrderId", "IcebergQty", "TimeInForce", "StrategyId", "StrategyType")
_OF_LEGS = (*_ALWAYS, "Price", "StopPrice", "TrailingDelta")


@dataclass(frozen=True, slots=True)
class ListKind:
    """One kind of order list, by the names of its parameters.

    Args:
        name: As paths and methods have it.
        legs: What the names of the legs' parameters begin with, the one above the market first.
        waits: Whether the legs wait for a working order.
        pays: Whether they sell what the working order bought, and so have no quantity of their own.
    """

    name: str
    legs: tuple[str, ...]
    waits: bool = True
    pays: bool = False

    @property
    def orders(self) -> int:
        """How many orders it has."""
        return len(self.legs) + self.waits

    @property
    def mandatory(self) -> tuple[str, ...]:
        """The parameters that must be sent; the documents forget that two legs need two types."""
        return tuple(self._mandatory())

    @property
    def allowed(self) -> tuple[str, ...]:
        """The parameters that may be sent."""
        working = [f"{_WORKING}{field}" for field in _ALWAYS] if self.waits else []
        legs = [f"{leg}{field}" for leg in self.legs for field in _OF_LEGS]
        return ("listClientOrderId", "newOrderRespType", "selfTradePreventionMode", *working, *legs)

    @property
    def side(self) -> str:
        """The parameter that says which way the legs trade."""
        return "pendingSide" if self.waits else "side"

    @property
    def quantity(self) -> str:
        """The parameter that says how much the legs trade."""
        return "pendingQuantity" if self.waits else "quantity"

    def _mandatory(self) -> Iterator[str]:
        yield "symbol"
        if self.waits:
            yield from (f"{_WORKING}{field}" for field in ("Type", "Side", "Price", "Quantity"))
        yield self.side
        if not self.pays:
            yield self.quantity
        yield from (f"{leg}Type" for leg in self.legs)


LIST_KINDS = (
    ListKind("oco", ("above", "below"), waits=False),
    ListKind("oto", ("pending",)),
    ListKind("otoco", ("pendingAbove", "pendingBelow")),
    ListKind("opo", ("pending",), pays=True),
    ListKind("opoco", ("pendingAbove", "pendingBelow"), pays=True),
)


def read_list(parameters: Parameters, rules: SymbolRules, kind: ListKind) -> NewList:
    """Return the list of orders that a client asks for.

    Raises:
        ApiError: Its parameters do not make orders of their types, or its orders no list of this kind.
    """
    working = _read_working(parameters, rules) if kind.waits else None
    side = parameters.side(kind.side)
    if working is not None and kind.pays:
        if working.side is not Side.BUY:
            raise ApiError(-1222, "Working order in an OPO list must be a bid.")
        if side is not Side.SELL:
            raise ApiError(-1223, "Pending orders in an OPO list must be asks.")
    lots = 0 if kind.pays else parameters.multiple(kind.quantity, rules.step_units, "LOT_SIZE")
    legs = tuple(
        read_one(parameters, rules, side, parameters.order_type(f"{leg}Type"), lots=lots, leg=leg) for leg in kind.legs
    )
    client_id = parameters.client_id("listClientOrderId") or generated_id()
    return NewList(client_id=client_id, legs=legs, working=working, pays=kind.pays)


def _read_working(parameters: Parameters, rules: SymbolRules) -> NewOrder:
    kind = parameters.order_type(f"{_WORKING}Type")
    if kind not in _WORKING_KINDS:
        raise ApiError(-1116, "Invalid orderType.")
    side = parameters.side(f"{_WORKING}Side")
    lots = parameters.multiple(f"{_WORKING}Quantity", rules.step_units, "LOT_SIZE")
    return read_one(parameters, rules, side, kind, lots=lots, leg=_WORKING)
