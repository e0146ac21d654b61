"""From Binance's exchangeInfo to the core's instruments.

Invariant: a filter that is missing or unreadable is an error here, never a limit of zero further on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from libs.common.errors import RetryableError
from libs.trading.instruments import Instrument
from libs.trading.market import OrderType

_OFF: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Listing:
    """An instrument with what the exchange says about its order types and its lists.

    Attributes:
        oto_allowed: Whether orders of a list may wait for another one of it.
        opo_allowed: Whether they may sell what that one bought.
    """

    instrument: Instrument
    order_types: frozenset[OrderType]
    oto_allowed: bool = False
    opo_allowed: bool = False


def exchange_symbol(symbol: str) -> str:
    """Return the exchange's spelling of a symbol: `BTC/USDT` is `BTCUSDT` there."""
    return symbol.replace("/", "")


def parse_listings(exchange_info: Any, symbols: Iterable[str]) -> dict[str, Listing]:
    """Return the trading rules of these symbols from the body of `GET /api/v3/exchangeInfo`.

    Raises:
        RetryableError: A symbol or one of its filters is missing or unreadable.
    """
    entries = exchange_info.get("symbols") if isinstance(exchange_info, dict) else None
    if not isinstance(entries, list):
        raise RetryableError("exchangeInfo: expected a list of symbols, found none")
    by_name = {entry.get("symbol"): entry for entry in entries if isinstance(entry, dict)}
    listings: dict[str, Listing] = {}
    for symbol in symbols:
        entry = by_name.get(exchange_symbol(symbol))
        if entry is None:
            raise RetryableError(f"exchangeInfo: expected {symbol}, found no such symbol")
        try:
            listings[symbol] = _listing(symbol, entry)
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            raise RetryableError(f"exchangeInfo: {symbol}: expected its filters, found {error!r}") from error
    return listings


def _listing(symbol: str, entry: Mapping[str, Any]) -> Listing:
    filters = {one["filterType"]: one for one in entry["filters"]}
    price = filters["PRICE_FILTER"]
    lot = filters["LOT_SIZE"]
    market_lot = filters.get("MARKET_LOT_SIZE", {})
    notional = filters.get("NOTIONAL") or filters["MIN_NOTIONAL"]
    percent = filters.get("PERCENT_PRICE_BY_SIDE", {})
    position = filters.get("MAX_POSITION", {})
    known = set(OrderType)
    return Listing(
        instrument=Instrument(
            symbol=symbol,
            base=entry["baseAsset"],
            quote=entry["quoteAsset"],
            price_tick=Decimal(price["tickSize"]),
            price_min=Decimal(price["minPrice"]),
            price_max=Decimal(price["maxPrice"]),
            quantity_step=Decimal(lot["stepSize"]),
            quantity_min=Decimal(lot["minQty"]),
            quantity_max=Decimal(lot["maxQty"]),
            market_quantity_step=Decimal(market_lot.get("stepSize", _OFF)),
            market_quantity_min=Decimal(market_lot.get("minQty", _OFF)),
            market_quantity_max=Decimal(market_lot.get("maxQty", _OFF)),
            notional_min=Decimal(notional["minNotional"]),
            notional_max=_optional(notional, "maxNotional"),
            bid_multiplier_up=_optional(percent, "bidMultiplierUp"),
            bid_multiplier_down=_optional(percent, "bidMultiplierDown"),
            ask_multiplier_up=_optional(percent, "askMultiplierUp"),
            ask_multiplier_down=_optional(percent, "askMultiplierDown"),
            notional_min_binds_market=bool(notional.get("applyMinToMarket", notional.get("applyToMarket", True))),
            notional_max_binds_market=bool(notional.get("applyMaxToMarket", False)),
            position_max=_optional(position, "maxPosition"),
            orders_max=_count(filters, "MAX_NUM_ORDERS", "maxNumOrders"),
            triggered_max=_count(filters, "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders"),
            lists_max=_count(filters, "MAX_NUM_ORDER_LISTS", "maxNumOrderLists"),
            oco_allowed=bool(entry.get("ocoAllowed", False)),
            trading=entry["status"] == "TRADING",
        ),
        order_types=frozenset(OrderType(name) for name in entry["orderTypes"] if name in known),
        oto_allowed=bool(entry.get("otoAllowed", False)),
        opo_allowed=bool(entry.get("opoAllowed", False)),
    )


def _optional(entry: Mapping[str, Any], name: str) -> Decimal | None:
    return Decimal(entry[name]) if name in entry else None


def _count(filters: Mapping[str, Any], filter_type: str, name: str) -> int | None:
    return int(filters[filter_type][name]) if filter_type in filters else None
