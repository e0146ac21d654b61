"""The public endpoints of last prices, best prices and the statistics of a day.

Invariant: every answer is computed from the venue's present state; nothing is cached.
"""

from collections.abc import Callable
from typing import Any

from libs.trading.matching import Side
from services.paper_exchange.api.gate import Call, Endpoint
from services.paper_exchange.api.parameters import DAY_MS, Parameters
from services.paper_exchange.market.history import Candle
from services.paper_exchange.venue.errors import ApiError
from services.paper_exchange.venue.rules import LISTED, SymbolRules, text_of
from services.paper_exchange.venue.venue import Venue

Json = dict[str, Any]
_WEIGHTS = ((20, 2), (100, 40))
_ALL_WEIGHT = 80


class Tickers:
    """Answers of the ticker endpoints."""

    def __init__(self, *, venue: Venue) -> None:
        self._venue = venue

    def endpoints(self) -> list[Endpoint]:
        """Return the ticker endpoints."""
        several = ("symbol", "symbols", "symbolStatus")
        return [
            Endpoint(
                "GET",
                "/api/v3/ticker/24hr",
                self.ticker_24h,
                weight=self._ticker_weight,
                allowed=("type", *several),
                ws_method="ticker.24hr",
            ),
            Endpoint(
                "GET",
                "/api/v3/ticker/price",
                self.ticker_price,
                weight=_price_weight,
                allowed=several,
                ws_method="ticker.price",
            ),
            Endpoint(
                "GET",
                "/api/v3/ticker/bookTicker",
                self.ticker_book,
                weight=_price_weight,
                allowed=several,
                ws_method="ticker.book",
            ),
        ]

    def ticker_24h(self, call: Call) -> Json | list[Json]:
        """Return the statistics of the last 24 hours."""
        kinds = {"FULL": self.full_ticker, "MINI": self.mini_ticker}
        error = ApiError(-1139, "Invalid ticker type.")
        ticker = call.parameters.choice("type", kinds, error) if "type" in call.parameters else self.full_ticker
        return self._for_symbols(call, ticker)

    def ticker_price(self, call: Call) -> Json | list[Json]:
        """Return last prices."""
        return self._for_symbols(
            call,
            lambda symbol: {
                "symbol": symbol,
                "price": LISTED[symbol].price_text(self._venue.history.last_trade(symbol).price),
            },
        )

    def ticker_book(self, call: Call) -> Json | list[Json]:
        """Return best bids and asks."""
        return self._for_symbols(call, lambda symbol: {"symbol": symbol} | self._best(symbol))

    def full_ticker(self, symbol: str) -> Json:
        """Return all statistics of the last 24 hours."""
        rules = LISTED[symbol]
        candle = self._day(symbol)
        summary = candle.summary
        before = self._venue.history.recent(symbol, 1, before_ms=candle.start_ms - 1)[0].price
        change = summary.close - summary.open
        average = round(summary.notional / summary.lots) if summary.lots else summary.close
        return (
            {
                "symbol": symbol,
                "priceChange": text_of(change * rules.tick_units),
                "priceChangePercent": f"{100 * change / summary.open:.3f}",
                "weightedAvgPrice": rules.price_text(average),
                "prevClosePrice": rules.price_text(before),
                "lastPrice": rules.price_text(summary.close),
                "lastQty": rules.quantity_text(self._venue.history.last_trade(symbol).lots),
            }
            | self._best(symbol)
            | _statistics(rules, candle)
        )

    def mini_ticker(self, symbol: str) -> Json:
        """Return the short statistics of the last 24 hours."""
        rules = LISTED[symbol]
        candle = self._day(symbol)
        return {"symbol": symbol, "lastPrice": rules.price_text(candle.summary.close)} | _statistics(rules, candle)

    def _day(self, symbol: str) -> Candle:
        now_ms = self._venue.now_ms
        return self._venue.history.candle(symbol, now_ms - DAY_MS, now_ms + 1)

    def _best(self, symbol: str) -> Json:
        rules, book = LISTED[symbol], self._venue.books[symbol]
        bid, ask = book.best(Side.BUY) or (0, 0), book.best(Side.SELL) or (0, 0)
        return {
            "bidPrice": rules.price_text(bid[0]),
            "bidQty": rules.quantity_text(bid[1]),
            "askPrice": rules.price_text(ask[0]),
            "askQty": rules.quantity_text(ask[1]),
        }

    def _for_symbols(self, call: Call, answer: Callable[[str], Json]) -> Json | list[Json]:
        symbols = call.parameters.symbols(self._venue.symbols)
        if "symbol" in call.parameters and symbols is not None:
            return answer(symbols[0])
        return [answer(symbol) for symbol in symbols or self._venue.symbols]

    def _ticker_weight(self, parameters: Parameters) -> int:
        symbols = parameters.symbols(self._venue.symbols)
        if symbols is None:
            return _ALL_WEIGHT
        return next((weight for count, weight in _WEIGHTS if len(symbols) <= count), _ALL_WEIGHT)


def _statistics(rules: SymbolRules, candle: Candle) -> Json:
    summary = candle.summary
    return {
        "openPrice": rules.price_text(summary.open),
        "highPrice": rules.price_text(summary.high),
        "lowPrice": rules.price_text(summary.low),
        "volume": rules.quantity_text(summary.lots),
        "quoteVolume": rules.notional_text(summary.notional),
        "openTime": candle.start_ms,
        "closeTime": candle.end_ms - 1,
        "firstId": candle.first_trade_id,
        "lastId": candle.last_trade_id,
        "count": summary.count,
    }


def _price_weight(parameters: Parameters) -> int:
    return 2 if "symbol" in parameters else 4
