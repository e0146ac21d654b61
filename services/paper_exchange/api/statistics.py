"""What the prices of a stretch of time come to, as the ticker endpoints and streams show it.

Invariant: the same stretch gives the same figures, asked for or streamed.
"""

from typing import Any

from services.paper_exchange.market.history import Candle
from services.paper_exchange.market.summary import Summary
from services.paper_exchange.venue.rules import LISTED, UNIT, SymbolRules, text_of
from services.paper_exchange.venue.venue import Venue

Json = dict[str, Any]
MINUTE_MS = 60_000
DAY_MS = 86_400_000


class Statistics:
    """The stretches that tickers are about; all but the trading day end at the present."""

    def __init__(self, *, venue: Venue) -> None:
        self._venue = venue

    def last_day(self, symbol: str) -> Candle:
        """Return the last 24 hours."""
        return self._since(symbol, self._venue.now_ms - DAY_MS)

    def window(self, symbol: str, length_ms: int) -> Candle:
        """Return a window that begins at a full minute, so it is up to a minute longer than asked for."""
        return self._since(symbol, (self._venue.now_ms - length_ms) // MINUTE_MS * MINUTE_MS)

    def trading_day(self, symbol: str, zone_ms: int) -> Candle:
        """Return the day of a time zone; what of it lies ahead has no trades yet."""
        start_ms = (self._venue.now_ms + zone_ms) // DAY_MS * DAY_MS - zone_ms
        return self._venue.history.candle(symbol, start_ms, start_ms + DAY_MS)

    def average_price(self, symbol: str) -> str:
        """Return the average price of the last minutes."""
        rules = LISTED[symbol]
        candle = self._since(symbol, self._venue.now_ms - rules.average_minutes * MINUTE_MS)
        return _average(rules, candle.summary)

    def _since(self, symbol: str, start_ms: int) -> Candle:
        return self._venue.history.candle(symbol, start_ms, self._venue.now_ms + 1)


def short_statistics(symbol: str, candle: Candle) -> Json:
    """Return what a ticker of type MINI shows."""
    rules, summary = LISTED[symbol], candle.summary
    return {
        "symbol": symbol,
        "openPrice": rules.price_text(summary.open),
        "highPrice": rules.price_text(summary.high),
        "lowPrice": rules.price_text(summary.low),
        "lastPrice": rules.price_text(summary.close),
        "volume": rules.quantity_text(summary.lots),
        "quoteVolume": rules.notional_text(summary.notional),
        "openTime": candle.start_ms,
        "closeTime": candle.end_ms - 1,
        "firstId": candle.first_trade_id,
        "lastId": candle.last_trade_id,
        "count": summary.count,
    }


def full_statistics(symbol: str, candle: Candle) -> Json:
    """Return what a ticker of type FULL shows."""
    rules, summary = LISTED[symbol], candle.summary
    change = summary.close - summary.open
    return short_statistics(symbol, candle) | {
        "priceChange": text_of(change * rules.tick_units),
        "priceChangePercent": f"{100 * change / summary.open:.3f}",
        "weightedAvgPrice": _average(rules, summary),
    }


def _average(rules: SymbolRules, summary: Summary) -> str:
    """Return the price weighted by quantity to eight decimals, or the last one where nothing traded."""
    if not summary.lots:
        return rules.price_text(summary.close)
    return text_of(summary.notional * rules.notional_factor * UNIT // rules.base_units(summary.lots))
