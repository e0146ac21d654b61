"""What may be traded and in which units: the symbols, their filters and their exact arithmetic.

Invariant: money is an integer number of 1e-8 units; prices are ticks, quantities are lots.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

UNIT = 100_000_000
COMMISSION_RATE = Decimal("0.001")
_COMMISSION_DIVISOR = 1_000
ORDER_TYPES = (
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)
SELF_TRADE_MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER")
DEFAULT_SELF_TRADE_MODE = "EXPIRE_MAKER"


def text_of(units: int) -> str:
    """Return an amount of 1e-8 units as Binance writes numbers: always eight decimals."""
    sign, units = ("-", -units) if units < 0 else ("", units)
    return f"{sign}{units // UNIT}.{units % UNIT:08d}"


def units_of(number: Decimal) -> int:
    """Return a number of at most eight decimals in 1e-8 units."""
    return int(number.scaleb(8))


def commission_on(units: int) -> int:
    """Return the commission on an amount received: 0.1 %, rounded half up to 1e-8."""
    return (units + _COMMISSION_DIVISOR // 2) // _COMMISSION_DIVISOR


@dataclass(frozen=True, slots=True)
class SymbolRules:
    """One listed symbol; the fields in units are 1e-8 of the asset.

    Where the figures are from: tick, step, their maxima, the percent multipliers, and the numbers of orders and stops,
    Binance's exchangeInfo; parts of an iceberg, its change log (100 since 2026-03-12); trailing deltas, lists and
    icebergs, the examples of its filter page. It gives neither symbol a MAX_POSITION.
    """

    symbol: str
    base: str
    quote: str
    tick_units: int
    step_units: int
    market_lots_max: int
    price_max_units: int = 1_000_000 * UNIT
    lots_max_units: int = 9_000 * UNIT
    notional_min_units: int = 5 * UNIT
    notional_max_units: int = 9_000_000 * UNIT
    price_multiplier_up: int = 5
    price_divisor_down: int = 5
    average_minutes: int = 5
    orders_max: int = 200
    stops_max: int = 5
    lists_max: int = 20
    icebergs_max: int = 5
    iceberg_parts_max: int = 100
    trailing_delta_min: int = 10
    trailing_delta_max: int = 2_000
    position_max_units: int | None = None

    def __post_init__(self) -> None:
        if self.tick_units * self.step_units % UNIT:
            raise ValueError(f"{self.symbol}: a tick times a lot must be whole 1e-8 units of {self.quote}")

    @property
    def lots_max(self) -> int:
        """The largest quantity of one order, in lots."""
        return self.lots_max_units // self.step_units

    def notional(self, ticks: int, lots: int) -> int:
        """Return price times quantity, exactly, in 1e-8 units of the quote asset."""
        return ticks * lots * self.notional_factor

    @property
    def notional_factor(self) -> int:
        """The 1e-8 units of the quote asset in one tick times one lot."""
        return self.tick_units * self.step_units // UNIT

    def base_units(self, lots: int) -> int:
        """Return a quantity in 1e-8 units of the base asset."""
        return lots * self.step_units

    def price_text(self, ticks: int) -> str:
        """Return a price as Binance writes it."""
        return text_of(ticks * self.tick_units)

    def quantity_text(self, lots: int) -> str:
        """Return a quantity as Binance writes it."""
        return text_of(lots * self.step_units)

    def notional_text(self, ticks_lots: int) -> str:
        """Return a sum of prices times quantities as Binance writes it."""
        return text_of(ticks_lots * self.notional_factor)

    def describe(self, status: str) -> Mapping[str, Any]:
        """Return the symbol as exchangeInfo shows it: what is not offered here is not claimed."""
        up, down = str(self.price_multiplier_up), f"0.{10 // self.price_divisor_down}"
        return {
            "symbol": self.symbol,
            "status": status,
            "baseAsset": self.base,
            "baseAssetPrecision": 8,
            "quoteAsset": self.quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "baseCommissionPrecision": 8,
            "quoteCommissionPrecision": 8,
            "orderTypes": list(ORDER_TYPES),
            "icebergAllowed": True,
            "ocoAllowed": True,
            "otoAllowed": True,
            "opoAllowed": True,
            "quoteOrderQtyMarketAllowed": True,
            "allowTrailingStop": True,
            "cancelReplaceAllowed": False,
            "amendAllowed": False,
            "pegInstructionsAllowed": False,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": [
                {
                    "filterType": "PRICE_FILTER",
                    "minPrice": text_of(self.tick_units),
                    "maxPrice": text_of(self.price_max_units),
                    "tickSize": text_of(self.tick_units),
                },
                {
                    "filterType": "LOT_SIZE",
                    "minQty": text_of(self.step_units),
                    "maxQty": text_of(self.lots_max_units),
                    "stepSize": text_of(self.step_units),
                },
                {"filterType": "ICEBERG_PARTS", "limit": self.iceberg_parts_max},
                {
                    "filterType": "MARKET_LOT_SIZE",
                    "minQty": text_of(0),
                    "maxQty": self.quantity_text(self.market_lots_max),
                    "stepSize": text_of(0),
                },
                {
                    "filterType": "TRAILING_DELTA",
                    "minTrailingAboveDelta": self.trailing_delta_min,
                    "maxTrailingAboveDelta": self.trailing_delta_max,
                    "minTrailingBelowDelta": self.trailing_delta_min,
                    "maxTrailingBelowDelta": self.trailing_delta_max,
                },
                {
                    "filterType": "PERCENT_PRICE_BY_SIDE",
                    "bidMultiplierUp": up,
                    "bidMultiplierDown": down,
                    "askMultiplierUp": up,
                    "askMultiplierDown": down,
                    "avgPriceMins": self.average_minutes,
                },
                {
                    "filterType": "NOTIONAL",
                    "minNotional": text_of(self.notional_min_units),
                    "applyMinToMarket": True,
                    "maxNotional": text_of(self.notional_max_units),
                    "applyMaxToMarket": False,
                    "avgPriceMins": self.average_minutes,
                },
                {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": self.orders_max},
                {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": self.lists_max},
                {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": self.stops_max},
                {"filterType": "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": self.icebergs_max},
                *self._position_filters(),
            ],
            "permissions": [],
            "permissionSets": [["SPOT"]],
            "defaultSelfTradePreventionMode": DEFAULT_SELF_TRADE_MODE,
            "allowedSelfTradePreventionModes": list(SELF_TRADE_MODES),
        }

    def _position_filters(self) -> list[Mapping[str, Any]]:
        if self.position_max_units is None:
            return []
        return [{"filterType": "MAX_POSITION", "maxPosition": text_of(self.position_max_units)}]


LISTED = {
    rules.symbol: rules
    for rules in (
        SymbolRules("BTCUSDT", "BTC", "USDT", tick_units=1_000_000, step_units=1_000, market_lots_max=12_000_000),
        SymbolRules("ETHUSDT", "ETH", "USDT", tick_units=1_000_000, step_units=10_000, market_lots_max=20_000_000),
    )
}
