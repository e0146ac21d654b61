"""Orders, order lists and fills, and how the journal writes them.

Invariant: reading a record back gives the same order, list or fill.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from libs.trading.matching import Side, TimeInForce
from services.paper_exchange.venue.rules import LISTED, SymbolRules, text_of, units_of

STOP_TYPES = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})
LIMIT_TYPES = frozenset({"LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})
OPEN_STATES = frozenset({"NEW", "PARTIALLY_FILLED"})
NO_LIST = -1
NOT_YET = -1


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What a client asks for; prices in ticks, `quote_units` in 1e-8 of the quote asset; 0 means not given."""

    rules: SymbolRules
    side: Side
    kind: str
    client_id: str
    time_in_force: TimeInForce = TimeInForce.GTC
    lots: int = 0
    quote_units: int = 0
    price: int = 0
    stop_price: int = 0
    prevention: str = ""
    strategy_id: int | None = None
    strategy_type: int | None = None

    @property
    def is_stop(self) -> bool:
        """Whether it waits for the market to reach its stop price."""
        return self.kind in STOP_TYPES

    @property
    def triggers_below(self) -> bool:
        """Whether a falling market triggers it (a rising one otherwise)."""
        return self.kind.startswith("STOP_LOSS") == (self.side is Side.SELL)


@dataclass(slots=True)
class Order:
    """An accepted order; `locked` is what it holds back, in 1e-8 of the asset it gives."""

    order_id: int
    account: str
    request: NewOrder
    lots: int
    created_ms: int
    updated_ms: int
    list_id: int = NO_LIST
    working_ms: int = NOT_YET
    executed: int = 0
    spent: int = 0
    status: str = "NEW"
    locked: int = 0
    expiry_reason: str = ""

    @property
    def symbol(self) -> str:
        """The symbol it trades."""
        return self.request.rules.symbol

    @property
    def side(self) -> Side:
        """Which way it trades."""
        return self.request.side

    @property
    def remaining(self) -> int:
        """Lots not executed yet."""
        return self.lots - self.executed

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return self.status in OPEN_STATES

    @property
    def is_working(self) -> bool:
        """Whether it has reached the book (a stop has not before its trigger)."""
        return self.working_ms != NOT_YET

    @property
    def gives(self) -> str:
        """The asset it pays with."""
        return self.request.rules.quote if self.side is Side.BUY else self.request.rules.base

    @property
    def receives(self) -> str:
        """The asset it is paid in, and its commission is charged in."""
        return self.request.rules.base if self.side is Side.BUY else self.request.rules.quote

    def record(self) -> dict[str, Any]:
        """Return the order as the journal writes it."""
        request, rules = self.request, self.request.rules
        return {
            "type": "order",
            "order_id": self.order_id,
            "account": self.account,
            "symbol": rules.symbol,
            "side": request.side.value,
            "order_type": request.kind,
            "time_in_force": request.time_in_force.value,
            "client_order_id": request.client_id,
            "quantity": rules.quantity_text(self.lots),
            "quote_order_quantity": text_of(request.quote_units),
            "price": rules.price_text(request.price),
            "stop_price": rules.price_text(request.stop_price),
            "executed_quantity": rules.quantity_text(self.executed),
            "executed_quote": rules.notional_text(self.spent),
            "status": self.status,
            "order_list_id": self.list_id,
            "locked": text_of(self.locked),
            "created_at_ms": self.created_ms,
            "updated_at_ms": self.updated_ms,
            "working_at_ms": self.working_ms,
            "self_trade_prevention": request.prevention,
            "strategy_id": request.strategy_id,
            "strategy_type": request.strategy_type,
            "expiry_reason": self.expiry_reason,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Order":
        """Return the order that `record` describes."""
        rules = LISTED[record["symbol"]]
        request = NewOrder(
            rules=rules,
            side=Side(record["side"]),
            kind=record["order_type"],
            client_id=record["client_order_id"],
            time_in_force=TimeInForce(record["time_in_force"]),
            lots=_count(record["quantity"], rules.step_units),
            quote_units=_count(record["quote_order_quantity"], 1),
            price=_count(record["price"], rules.tick_units),
            stop_price=_count(record["stop_price"], rules.tick_units),
            prevention=record["self_trade_prevention"],
            strategy_id=record["strategy_id"],
            strategy_type=record["strategy_type"],
        )
        return cls(
            order_id=record["order_id"],
            account=record["account"],
            request=request,
            lots=_count(record["quantity"], rules.step_units),
            created_ms=record["created_at_ms"],
            updated_ms=record["updated_at_ms"],
            list_id=record["order_list_id"],
            working_ms=record["working_at_ms"],
            executed=_count(record["executed_quantity"], rules.step_units),
            spent=_count(record["executed_quote"], rules.notional_factor),
            status=record["status"],
            locked=_count(record["locked"], 1),
            expiry_reason=record["expiry_reason"],
        )


@dataclass(slots=True)
class OrderList:
    """One cancels the other: two orders of which at most one trades."""

    list_id: int
    account: str
    symbol: str
    client_id: str
    order_ids: tuple[int, ...]
    created_ms: int
    done: bool = False

    def record(self) -> dict[str, Any]:
        """Return the list as the journal writes it."""
        return {
            "type": "order_list",
            "order_list_id": self.list_id,
            "account": self.account,
            "symbol": self.symbol,
            "list_client_order_id": self.client_id,
            "contingency": "OCO",
            "order_ids": list(self.order_ids),
            "created_at_ms": self.created_ms,
            "done": self.done,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "OrderList":
        """Return the list that `record` describes."""
        return cls(
            list_id=record["order_list_id"],
            account=record["account"],
            symbol=record["symbol"],
            client_id=record["list_client_order_id"],
            order_ids=tuple(record["order_ids"]),
            created_ms=record["created_at_ms"],
            done=record["done"],
        )


@dataclass(frozen=True, slots=True)
class AccountFill:
    """One account's side of a trade; `place_ms` is where the tape stood."""

    trade_id: int
    order_id: int
    client_id: str
    list_id: int
    account: str
    symbol: str
    side: Side
    price: int
    lots: int
    commission: int
    commission_asset: str
    is_maker: bool
    at_ms: int
    place_ms: int

    def record(self) -> dict[str, Any]:
        """Return the fill as the journal writes it."""
        rules = LISTED[self.symbol]
        return {
            "type": "fill",
            "trade_id": self.trade_id,
            "order_id": self.order_id,
            "client_order_id": self.client_id,
            "order_list_id": self.list_id,
            "account": self.account,
            "symbol": self.symbol,
            "side": self.side.value,
            "price": rules.price_text(self.price),
            "quantity": rules.quantity_text(self.lots),
            "quote_quantity": rules.notional_text(self.price * self.lots),
            "commission": text_of(self.commission),
            "commission_asset": self.commission_asset,
            "maker": self.is_maker,
            "at_ms": self.at_ms,
            "place_ms": self.place_ms,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "AccountFill":
        """Return the fill that `record` describes."""
        rules = LISTED[record["symbol"]]
        return cls(
            trade_id=record["trade_id"],
            order_id=record["order_id"],
            client_id=record["client_order_id"],
            list_id=record["order_list_id"],
            account=record["account"],
            symbol=record["symbol"],
            side=Side(record["side"]),
            price=_count(record["price"], rules.tick_units),
            lots=_count(record["quantity"], rules.step_units),
            commission=_count(record["commission"], 1),
            commission_asset=record["commission_asset"],
            is_maker=record["maker"],
            at_ms=record["at_ms"],
            place_ms=record["place_ms"],
        )


def _count(text: str, unit: int) -> int:
    return units_of(Decimal(text)) // unit
