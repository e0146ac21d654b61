"""The public endpoints: what trades here, at which prices, and what traded when.

Invariant: every answer is computed from the venue's present state; nothing is cached.
"""

from collections.abc import Callable
from itertools import islice
from typing import Any

from libs.trading.matching import Side
from services.paper_exchange.api.gate import Call, Endpoint
from services.paper_exchange.api.limits import RATE_LIMITS
from services.paper_exchange.api.parameters import Parameters
from services.paper_exchange.api.selection import check_status, permitted_symbols, zone_ms
from services.paper_exchange.api.statistics import Statistics
from services.paper_exchange.market.history import Candle, Trade
from services.paper_exchange.market.intervals import INTERVALS
from services.paper_exchange.venue.errors import ApiError
from services.paper_exchange.venue.rules import SymbolRules
from services.paper_exchange.venue.venue import Venue

Json = dict[str, Any]
_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1_000, 50), (5_000, 250))


class MarketData:
    """Answers of the public endpoints.

    Args:
        venue: The exchange.
        update_id: Returns the id of a symbol's last change of book.
    """

    def __init__(self, *, venue: Venue, update_id: Callable[[str], int]) -> None:
        self._venue = venue
        self._update_id = update_id
        self._statistics = Statistics(venue=venue)

    def endpoints(self) -> list[Endpoint]:
        """Return the public endpoints."""
        span = ("startTime", "endTime", "limit")
        return [
            Endpoint("GET", "/api/v3/ping", lambda _: {}, ws_method="ping"),
            Endpoint("GET", "/api/v3/time", lambda call: {"serverTime": call.now_ms}, ws_method="time"),
            Endpoint(
                "GET",
                "/api/v3/exchangeInfo",
                self.exchange_info,
                weight=20,
                allowed=("symbol", "symbols", "permissions", "showPermissionSets", "symbolStatus"),
                ws_method="exchangeInfo",
            ),
            Endpoint(
                "GET",
                "/api/v3/depth",
                self.depth,
                weight=_depth_weight,
                mandatory=("symbol",),
                allowed=("limit", "symbolStatus"),
                ws_method="depth",
            ),
            Endpoint(
                "GET",
                "/api/v3/trades",
                self.trades,
                weight=25,
                mandatory=("symbol",),
                allowed=("limit",),
                ws_method="trades.recent",
            ),
            Endpoint(
                "GET",
                "/api/v3/historicalTrades",
                self.trades,
                weight=25,
                mandatory=("symbol",),
                allowed=("limit", "fromId"),
                ws_method="trades.historical",
            ),
            Endpoint(
                "GET",
                "/api/v3/aggTrades",
                self.aggregate_trades,
                weight=4,
                mandatory=("symbol",),
                allowed=("fromId", *span),
                ws_method="trades.aggregate",
            ),
            *(
                Endpoint(
                    "GET",
                    f"/api/v3/{name}",
                    self.klines,
                    weight=2,
                    mandatory=("symbol", "interval"),
                    allowed=("timeZone", *span),
                    ws_method=name,
                )
                for name in ("klines", "uiKlines")
            ),
            Endpoint(
                "GET",
                "/api/v3/avgPrice",
                self.average_price,
                weight=2,
                mandatory=("symbol",),
                ws_method="avgPrice",
            ),
        ]

    def exchange_info(self, call: Call) -> Json:
        """Return what trades here and under which rules."""
        shows_sets = _is_true(call.parameters, "showPermissionSets", default=True)
        hidden: Json = {} if shows_sets else {"permissionSets": []}
        venue = self._venue
        symbols = permitted_symbols(call.parameters, venue)
        return {
            "timezone": "UTC",
            "serverTime": call.now_ms,
            "rateLimits": list(RATE_LIMITS),
            "exchangeFilters": [],
            "symbols": [{**venue.listing.rules(symbol).describe(venue.status(symbol)), **hidden} for symbol in symbols],
        }

    def depth(self, call: Call) -> Json:
        """Return the best levels of the book."""
        rules = self._rules(call)
        check_status(call.parameters, self._venue)
        limit = call.parameters.limit(default=100, maximum=5_000)
        book = self._venue.books[rules.symbol]
        return {
            "lastUpdateId": self._update_id(rules.symbol),
            "bids": [level_text(rules, *level) for level in islice(book.levels(Side.BUY), limit)],
            "asks": [level_text(rules, *level) for level in islice(book.levels(Side.SELL), limit)],
        }

    def trades(self, call: Call) -> list[Json]:
        """Return recent trades, or those from an id on."""
        rules = self._rules(call)
        limit = call.parameters.limit(default=500, maximum=1_000)
        first_id = call.parameters.optional_integer("fromId")
        history = self._venue.history
        trades = (
            history.recent(rules.symbol, limit) if first_id is None else history.from_id(rules.symbol, first_id, limit)
        )
        return [
            {
                "id": trade.trade_id,
                "price": rules.price_text(trade.price),
                "qty": rules.quantity_text(trade.lots),
                "quoteQty": rules.notional_text(trade.price * trade.lots),
                "time": trade.at_ms,
                "isBuyerMaker": trade.buyer_is_maker,
                "isBestMatch": True,
            }
            for trade in trades
        ]

    def aggregate_trades(self, call: Call) -> list[Json]:
        """Return trades in the aggregate form; here every trade is an aggregate of its own."""
        rules = self._rules(call)
        parameters, history = call.parameters, self._venue.history
        limit = parameters.limit(default=500, maximum=1_000)
        first_id = parameters.optional_integer("fromId")
        start_ms, end_ms = parameters.moment_ms("startTime"), parameters.moment_ms("endTime")
        if first_id is not None:
            if start_ms is not None or end_ms is not None:
                raise ApiError(-1128, "Combination of optional parameters invalid.")
            trades = history.from_id(rules.symbol, first_id, limit)
        elif start_ms is not None:
            trades = history.since(rules.symbol, start_ms, limit)
            trades = [trade for trade in trades if end_ms is None or trade.at_ms <= end_ms]
        else:
            trades = history.recent(rules.symbol, limit, before_ms=end_ms)
        return [_aggregate(rules, trade) for trade in trades]

    def klines(self, call: Call) -> list[list[Any]]:
        """Return candles."""
        rules = self._rules(call)
        parameters = call.parameters
        interval = parameters.choice(
            "interval", {name: name for name in INTERVALS}, ApiError(-1120, "Invalid interval.")
        )
        candles = self._venue.history.candles(
            rules.symbol,
            interval,
            start_ms=parameters.moment_ms("startTime"),
            end_ms=parameters.moment_ms("endTime"),
            limit=parameters.limit(default=500, maximum=1_000),
            now_ms=call.now_ms,
            zone_ms=zone_ms(parameters),
        )
        return [_kline(rules, candle) for candle in candles]

    def average_price(self, call: Call) -> Json:
        """Return the average price of the last minutes."""
        rules = self._rules(call)
        return {
            "mins": rules.average_minutes,
            "price": self._statistics.average_price(rules.symbol),
            "closeTime": self._venue.history.last_trade(rules.symbol).at_ms,
        }

    def _rules(self, call: Call) -> SymbolRules:
        return call.parameters.rules(self._venue.symbols)


def level_text(rules: SymbolRules, price: int, lots: int) -> list[str]:
    """Return a level of the book as Binance writes it."""
    return [rules.price_text(price), rules.quantity_text(lots)]


def _aggregate(rules: SymbolRules, trade: Trade) -> Json:
    return {
        "a": trade.trade_id,
        "p": rules.price_text(trade.price),
        "q": rules.quantity_text(trade.lots),
        "f": trade.trade_id,
        "l": trade.trade_id,
        "T": trade.at_ms,
        "m": trade.buyer_is_maker,
        "M": True,
    }


def _kline(rules: SymbolRules, candle: Candle) -> list[Any]:
    summary = candle.summary
    return [
        candle.start_ms,
        rules.price_text(summary.open),
        rules.price_text(summary.high),
        rules.price_text(summary.low),
        rules.price_text(summary.close),
        rules.quantity_text(summary.lots),
        candle.end_ms - 1,
        rules.notional_text(summary.notional),
        summary.count,
        rules.quantity_text(summary.taken_lots),
        rules.notional_text(summary.taken_notional),
        "0",
    ]


def _is_true(parameters: Parameters, name: str, *, default: bool) -> bool:
    error = ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")
    return parameters.choice(name, {"true": True, "false": False}, error) if name in parameters else default


def _depth_weight(parameters: Parameters) -> int:
    limit = parameters.limit(default=100, maximum=5_000)
    return next(weight for up_to, weight in _DEPTH_WEIGHTS if limit <= up_to)
