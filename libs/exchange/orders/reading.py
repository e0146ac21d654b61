"""Binance's JSON of orders and trades, read into typed reports.

Invariant: a record is read whole or not at all (`UnreadableReplyError`); a field that is missing is never a zero, but
for the quantity of an order that waits to sell what its list is still to buy, which the exchange leaves out.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from libs.common.errors import RetryableError
from libs.exchange.orders.port import Balance, OrderReport, TradeReport
from libs.trading.market import OrderType, Side
from libs.trading.orders import OrderStatus


class UnreadableReplyError(RetryableError):
    """An answer that is not what the exchange documents: nothing is concluded from it."""

    def __init__(self, what: str, error: Exception) -> None:
        super().__init__(f"{what}: expected the exchange's documented form, found {error!r}")


STATUSES: Final[Mapping[str, OrderStatus]] = {
    "NEW": OrderStatus.ACCEPTED,
    "PENDING_NEW": OrderStatus.ACCEPTED,  # it waits for the working order of its list
    "PENDING_CANCEL": OrderStatus.ACCEPTED,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "REJECTED": OrderStatus.REJECTED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
}

_PENDING: Final = "PENDING_NEW"
_MALFORMED: Final = (KeyError, TypeError, ValueError, InvalidOperation)


class Reader:
    """Reads reports of the symbols that the configuration names; others keep the exchange's spelling."""

    def __init__(self, symbols: Mapping[str, str]) -> None:
        """Take the symbols as `{exchange's spelling: ours}`."""
        self._symbols = symbols

    def order(self, body: Any) -> OrderReport:
        """Read an order from a placement (FULL or RESULT), a query, a cancel or a list's order report.

        Raises:
            UnreadableReplyError: A field is missing or malformed.
        """
        try:
            symbol = self._symbols.get(body["symbol"], body["symbol"])
            # In the answer to a cancel `clientOrderId` is the cancel's own id.
            client_order_id = str(body.get("origClientOrderId") or body["clientOrderId"])
            exchange_order_id = str(body["orderId"])
            side = Side(body["side"])
            at_ms = int(body.get("transactTime", body.get("updateTime", 0)))
            return OrderReport(
                symbol=symbol,
                exchange_order_id=exchange_order_id,
                client_order_id=client_order_id,
                order_list_id=list_id(body["orderListId"]),
                status=STATUSES[body["status"]],
                side=side,
                order_type=OrderType(body["type"]),
                quantity=_quantity(body),
                filled_quantity=Decimal(body["executedQty"]),
                filled_amount=Decimal(body["cummulativeQuoteQty"]),
                at_ms=at_ms,
                reason=str(body.get("expiryReason", "")),
                trades=tuple(
                    TradeReport(
                        symbol=symbol,
                        trade_id=int(fill["tradeId"]),
                        exchange_order_id=exchange_order_id,
                        client_order_id=client_order_id,
                        side=side,
                        quantity=Decimal(fill["qty"]),
                        price=Decimal(fill["price"]),
                        commission=Decimal(fill["commission"]),
                        commission_asset=str(fill["commissionAsset"]),
                        maker=False,  # what fills in the answer to its placement took liquidity
                        at_ms=at_ms,
                    )
                    for fill in body.get("fills", ())
                ),
            )
        except _MALFORMED as error:
            raise UnreadableReplyError("order", error) from error

    def trade(self, body: Any) -> TradeReport:
        """Read one entry of `GET /api/v3/myTrades`.

        Raises:
            UnreadableReplyError: A field is missing or malformed.
        """
        try:
            return TradeReport(
                symbol=self._symbols.get(body["symbol"], body["symbol"]),
                trade_id=int(body["id"]),
                exchange_order_id=str(body["orderId"]),
                client_order_id=None,
                side=Side.BUY if body["isBuyer"] else Side.SELL,
                quantity=Decimal(body["qty"]),
                price=Decimal(body["price"]),
                commission=Decimal(body["commission"]),
                commission_asset=str(body["commissionAsset"]),
                maker=bool(body["isMaker"]),
                at_ms=int(body["time"]),
            )
        except _MALFORMED as error:
            raise UnreadableReplyError("trade", error) from error


def _quantity(body: Mapping[str, Any]) -> Decimal:
    waits = body["status"] == _PENDING and "origQty" not in body
    return Decimal(0) if waits else Decimal(body["origQty"])


def balances(body: Any) -> dict[str, Balance]:
    """Read the balances of `GET /api/v3/account`.

    Raises:
        UnreadableReplyError: A field is missing or malformed.
    """
    try:
        return {
            str(entry["asset"]): Balance(free=Decimal(entry["free"]), locked=Decimal(entry["locked"]))
            for entry in body["balances"]
        }
    except _MALFORMED as error:
        raise UnreadableReplyError("account", error) from error


def list_id(value: Any) -> str | None:
    """Return the id of an order list; the exchange writes -1 for none."""
    return None if int(value) < 0 else str(value)
