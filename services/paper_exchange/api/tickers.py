"""The public endpoints of last prices, best prices and the statistics of a stretch of time.

Invariant: every answer is computed from the venue's present state; nothing is cached.

Sources: weights, windows and what each type of ticker has are in Binance's "Market Data Endpoints".
"""

import re
from collections.abc import Callable
from typing import Any

from libs.trading.matching import Side
from services.paper_exchange.api.gate import Call, Endpoint, Weight
from services.paper_exchange.api.parameters import Parameters
from services.paper_exchange.api.selection import named_symbols, selected_symbols, zone_ms
from services.paper_exchange.api.statistics import (
    DAY_MS,
    MINUTE_MS,
    Statistics,
    full_statistics,
    short_statistics,
)
from services.paper_exchange.market.history import Candle
from services.paper_exchange.venue.errors import ApiError
from services.paper_exchange.venue.rules import LISTED
from services.paper_exchange.venue.venue import Venue

Json = dict[str, Any]
_WEIGHTS = ((20, 2), (100, 40))
_ALL_WEIGHT = 80
_SYMBOL_WEIGHT, _SYMBOLS_WEIGHT_MAX = 4, 200
_WINDOW = re.compile(r"([0-9]{1,2})([mhd])")
_WINDOWS = {"m": (59, MINUTE_MS), "h": (23, 60 * MINUTE_MS), "d": (7, DAY_MS)}
WINDOW_DEFAULT = "1d"


class Tickers:
    """Answers of the ticker endpoints."""

    def __init__(self, *, venue: Venue) -> None:
        self._venue = venue
        self._statistics = Statistics(venue=venue)

    def endpoints(self) -> list[Endpoint]:
        """Return the ticker endpoints."""
        several = ("symbol", "symbols", "symbolStatus")

        def ticker(path: str, handler: Callable[[Call], Any], weight: Weight, name: str, *more: str) -> Endpoint:
            return Endpoint("GET", f"/api/v3/{path}", handler, weight=weight, allowed=(*more, *several), ws_method=name)

        each = self._weight_of_each
        return [
            ticker("ticker/24hr", self.ticker_24h, self._weight_of_day, "ticker.24hr", "type"),
            ticker("ticker/tradingDay", self.ticker_trading_day, each, "ticker.tradingDay", "type", "timeZone"),
            ticker("ticker", self.ticker_window, each, "ticker", "type", "windowSize"),
            ticker("ticker/price", self.ticker_price, _price_weight, "ticker.price"),
            ticker("ticker/bookTicker", self.ticker_book, _price_weight, "ticker.book"),
        ]

    def ticker_24h(self, call: Call) -> Json | list[Json]:
        """Return the statistics of the last 24 hours."""
        symbols = selected_symbols(call.parameters, self._venue)
        return _for_symbols(call, symbols, self.mini_ticker if _is_short(call) else self.full_ticker)

    def ticker_trading_day(self, call: Call) -> Json | list[Json]:
        """Return the statistics of the present day."""
        zone = zone_ms(call.parameters)
        return self._for_candles(call, lambda symbol: self._statistics.trading_day(symbol, zone))

    def ticker_window(self, call: Call) -> Json | list[Json]:
        """Return the statistics of a window that ends now."""
        parameters = call.parameters
        length_ms = window_ms(parameters.text("windowSize") if "windowSize" in parameters else WINDOW_DEFAULT)
        return self._for_candles(call, lambda symbol: self._statistics.window(symbol, length_ms))

    def ticker_price(self, call: Call) -> Json | list[Json]:
        """Return last prices."""
        return _for_symbols(
            call,
            selected_symbols(call.parameters, self._venue),
            lambda symbol: {
                "symbol": symbol,
                "price": LISTED[symbol].price_text(self._venue.history.last_trade(symbol).price),
            },
        )

    def ticker_book(self, call: Call) -> Json | list[Json]:
        """Return best bids and asks."""
        symbols = selected_symbols(call.parameters, self._venue)
        return _for_symbols(call, symbols, lambda symbol: {"symbol": symbol} | self._best(symbol))

    def full_ticker(self, symbol: str) -> Json:
        """Return all statistics of the last 24 hours."""
        rules, history = LISTED[symbol], self._venue.history
        candle = self._statistics.last_day(symbol)
        before = history.recent(symbol, 1, before_ms=candle.start_ms - 1)[0].price
        last_lots = history.last_trade(symbol).lots
        return (
            full_statistics(symbol, candle)
            | {"prevClosePrice": rules.price_text(before), "lastQty": rules.quantity_text(last_lots)}
            | self._best(symbol)
        )

    def mini_ticker(self, symbol: str) -> Json:
        """Return the short statistics of the last 24 hours."""
        return short_statistics(symbol, self._statistics.last_day(symbol))

    def _best(self, symbol: str) -> Json:
        rules, book = LISTED[symbol], self._venue.books[symbol]
        bid, ask = book.best(Side.BUY) or (0, 0), book.best(Side.SELL) or (0, 0)
        return {
            "bidPrice": rules.price_text(bid[0]),
            "bidQty": rules.quantity_text(bid[1]),
            "askPrice": rules.price_text(ask[0]),
            "askQty": rules.quantity_text(ask[1]),
        }

    def _for_candles(self, call: Call, candle: Callable[[str], Candle]) -> Json | list[Json]:
        symbols = named_symbols(call.parameters, self._venue)
        write = short_statistics if _is_short(call) else full_statistics
        return _for_symbols(call, symbols, lambda symbol: write(symbol, candle(symbol)))

    def _weight_of_day(self, parameters: Parameters) -> int:
        symbols = parameters.symbols(self._venue.symbols)
        if symbols is None:
            return _ALL_WEIGHT
        return next((weight for count, weight in _WEIGHTS if len(symbols) <= count), _ALL_WEIGHT)

    def _weight_of_each(self, parameters: Parameters) -> int:
        symbols = parameters.symbols(self._venue.symbols) or ()
        return min(max(1, len(symbols)) * _SYMBOL_WEIGHT, _SYMBOLS_WEIGHT_MAX)


def window_ms(name: str) -> int:
    """Return the length of a window such as `15m`, `4h` or `7d`.

    Raises:
        ApiError: There is no such window.
    """
    match = _WINDOW.fullmatch(name)
    if match is not None:
        count, (most, length_ms) = int(match[1]), _WINDOWS[match[2]]
        if 1 <= count <= most:
            return count * length_ms
    raise ApiError(-1130, "Data sent for parameter 'windowSize' is not valid.")


def _is_short(call: Call) -> bool:
    error = ApiError(-1139, "Invalid ticker type.")
    return "type" in call.parameters and call.parameters.choice("type", {"FULL": False, "MINI": True}, error)


def _for_symbols(call: Call, symbols: list[str], answer: Callable[[str], Json]) -> Json | list[Json]:
    if "symbol" in call.parameters:
        return answer(symbols[0])
    return [answer(symbol) for symbol in symbols]


def _price_weight(parameters: Parameters) -> int:
    return 2 if "symbol" in parameters else 4
