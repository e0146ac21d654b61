"""The user stream's events, typed.

Invariant: an execution report becomes the same `OrderReport` that a query yields, so one merge takes both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from libs.exchange.orders.port import Balance, OrderReport, TradeReport
from libs.exchange.orders.reading import STATUSES, UnreadableReplyError, list_id
from libs.trading.market import OrderType, Side

TERMINATED: Final = frozenset({"eventStreamTerminated", "serverShutdown"})
"""After these nothing more comes on this connection, though it may stay open."""


@dataclass(frozen=True, slots=True)
class StreamConnected:
    """The stream delivers from now on; what happened before must be read over REST."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancesChanged:
    """What the account now holds of the assets that an execution touched."""

    balances: Mapping[str, Balance]
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceTransferred:
    """A deposit, withdrawal or transfer: a balance changed without an order."""

    asset: str
    delta: Decimal
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderListChanged:
    """A list's state changed; its legs are reported besides."""

    symbol: str
    order_list_id: str
    list_client_order_id: str
    status: str
    reject_reason: str
    at_ms: int


UserEvent = StreamConnected | OrderReport | BalancesChanged | BalanceTransferred | OrderListChanged


def parse_event(event: Mapping[str, Any], symbols: Mapping[str, str]) -> UserEvent | None:
    """Read one event; None for types that say nothing about orders or balances.

    Args:
        event: The exchange's object.
        symbols: `{exchange's spelling: ours}`.

    Raises:
        UnreadableReplyError: A field is missing or malformed.
    """
    try:
        match event.get("e"):
            case "executionReport":
                return _execution_report(event, symbols)
            case "outboundAccountPosition":
                return BalancesChanged(
                    balances={
                        entry["a"]: Balance(free=Decimal(entry["f"]), locked=Decimal(entry["l"]))
                        for entry in event["B"]
                    },
                    at_ms=int(event["E"]),
                )
            case "balanceUpdate":
                return BalanceTransferred(asset=event["a"], delta=Decimal(event["d"]), at_ms=int(event["T"]))
            case "listStatus":
                return OrderListChanged(
                    symbol=symbols.get(event["s"], event["s"]),
                    order_list_id=str(event["g"]),
                    list_client_order_id=event["C"],
                    status=event["L"],
                    reject_reason=event["r"],
                    at_ms=int(event["T"]),
                )
            case _:
                return None
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise UnreadableReplyError(f"user stream {event.get('e')}", error) from error


def _execution_report(event: Mapping[str, Any], symbols: Mapping[str, str]) -> OrderReport:
    symbol = symbols.get(event["s"], event["s"])
    # On a cancel `c` is the cancel's own id, and `C` the order's.
    client_order_id = event["C"] or event["c"]
    side = Side(event["S"])
    traded = event["x"] == "TRADE"
    trade = TradeReport(
        symbol=symbol,
        trade_id=int(event["t"]),
        exchange_order_id=str(event["i"]),
        client_order_id=client_order_id,
        side=side,
        quantity=Decimal(event["l"]),
        price=Decimal(event["L"]),
        commission=Decimal(event["n"]),
        commission_asset=str(event["N"] or ""),
        maker=bool(event["m"]),
        at_ms=int(event["T"]),
    )
    return OrderReport(
        symbol=symbol,
        exchange_order_id=str(event["i"]),
        client_order_id=client_order_id,
        order_list_id=list_id(event["g"]),
        status=STATUSES[event["X"]],
        side=side,
        order_type=OrderType(event["o"]),
        quantity=Decimal(event["q"]),
        filled_quantity=Decimal(event["z"]),
        filled_amount=Decimal(event["Z"]),
        at_ms=int(event["T"]),
        execution_id=int(event["I"]),
        reason=str(event.get("eR") or ("" if event["r"] == "NONE" else event["r"])),
        trades=(trade,) if traded else (),
    )
