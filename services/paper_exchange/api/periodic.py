"""The streams that come by the clock: candles, depth updates and tickers.

Invariant: every candle that closes while its stream has a subscriber is sent closed exactly once.
"""

from itertools import islice
from typing import Any

from libs.trading.matching import Side
from services.paper_exchange.api.feed import Feed
from services.paper_exchange.api.market_data import level_text
from services.paper_exchange.api.tickers import Tickers
from services.paper_exchange.market.history import Candle
from services.paper_exchange.market.intervals import INTERVALS, candle_start, next_candle_start
from services.paper_exchange.venue.rules import LISTED
from services.paper_exchange.venue.venue import Venue

PERIOD_MS = 100
_TICKER_MS = 1_000
_CANDLE_MS = {"1s": 1_000}
_CANDLE_MS_DEFAULT = 2_000
_PARTIAL_DEPTHS = (5, 10, 20)
_CANDLES_AT_ONCE_MAX = 60

Json = dict[str, Any]


class Periodic:
    """Publish what is due."""

    def __init__(self, *, venue: Venue, feed: Feed, tickers: Tickers) -> None:
        self._venue = venue
        self._feed = feed
        self._tickers = tickers
        self._candle_starts: dict[str, int] = {}
        self._due_at_ms: dict[str, int] = {}

    def publish(self) -> None:
        """Publish what is due at the venue's present."""
        now_ms = self._venue.now_ms
        self._publish_depths(now_ms)
        for stream in self._feed.streams:
            name, _, kind = stream.partition("@")
            symbol = name.upper()
            if stream == "!miniTicker@arr":
                if self._is_due(stream, now_ms, _TICKER_MS):
                    self._feed.publish(stream, [self._mini_ticker(each, now_ms) for each in self._venue.symbols])
            elif symbol not in self._venue.symbols:
                continue
            elif kind.startswith("kline_"):
                self._publish_candles(stream, symbol, kind.removeprefix("kline_"), now_ms)
            elif kind == "miniTicker" and self._is_due(stream, now_ms, _TICKER_MS):
                self._feed.publish(stream, self._mini_ticker(symbol, now_ms))
            elif kind == "ticker" and self._is_due(stream, now_ms, _TICKER_MS):
                self._feed.publish(stream, self._ticker(symbol, now_ms))
        self._feed.flush()

    def _is_due(self, stream: str, now_ms: int, period_ms: int) -> bool:
        if now_ms < self._due_at_ms.get(stream, 0):
            return False
        if len(self._due_at_ms) > len(tuple(self._feed.streams)):
            self._due_at_ms = {known: self._due_at_ms.get(known, 0) for known in self._feed.streams}
        self._due_at_ms[stream] = (now_ms // period_ms + 1) * period_ms
        return True

    def _publish_candles(self, stream: str, symbol: str, interval: str, now_ms: int) -> None:
        if interval not in INTERVALS:
            return
        present = candle_start(interval, now_ms)
        start = max(
            self._candle_starts.get(stream, present),
            candle_start(interval, now_ms, candles_back=_CANDLES_AT_ONCE_MAX),
        )
        while start < present:
            following = next_candle_start(interval, start)
            candle = self._venue.history.candle(symbol, start, following)
            self._feed.publish(stream, _kline(candle, symbol, interval, now_ms, closed=True))
            start = following
        self._candle_starts = {known: at for known, at in self._candle_starts.items() if self._feed.wants(known)}
        self._candle_starts[stream] = present
        if self._is_due(stream, now_ms, _CANDLE_MS.get(interval, _CANDLE_MS_DEFAULT)):
            candle = self._venue.history.candle(symbol, present, next_candle_start(interval, present))
            self._feed.publish(stream, _kline(candle, symbol, interval, now_ms, closed=False))

    def _publish_depths(self, now_ms: int) -> None:
        for symbol in self._venue.symbols:
            changes, book, rules = self._feed.changes[symbol], self._venue.books[symbol], LISTED[symbol]
            lower = symbol.lower()
            for levels in _PARTIAL_DEPTHS:
                for stream in (f"{lower}@depth{levels}", f"{lower}@depth{levels}@100ms"):
                    if self._feed.wants(stream):
                        snapshot = {
                            "lastUpdateId": changes.update_id,
                            "bids": [level_text(rules, *each) for each in islice(book.levels(Side.BUY), levels)],
                            "asks": [level_text(rules, *each) for each in islice(book.levels(Side.SELL), levels)],
                        }
                        self._feed.publish(stream, snapshot)
            streams = [stream for stream in (f"{lower}@depth", f"{lower}@depth@100ms") if self._feed.wants(stream)]
            if not streams or changes.published_id == changes.update_id:
                continue
            bids, asks = (
                [level_text(rules, price, book.lots_at(side, price)) for price in sorted(changes.prices[side])]
                for side in (Side.BUY, Side.SELL)
            )
            update = {
                "e": "depthUpdate",
                "E": now_ms,
                "s": symbol,
                "U": changes.published_id + 1,
                "u": changes.update_id,
                "b": bids[::-1],
                "a": asks,
            }
            changes.clear()
            for stream in streams:
                self._feed.publish(stream, update)

    def _mini_ticker(self, symbol: str, now_ms: int) -> Json:
        ticker = self._tickers.mini_ticker(symbol)
        return {
            "e": "24hrMiniTicker",
            "E": now_ms,
            "s": symbol,
            "c": ticker["lastPrice"],
            "o": ticker["openPrice"],
            "h": ticker["highPrice"],
            "l": ticker["lowPrice"],
            "v": ticker["volume"],
            "q": ticker["quoteVolume"],
        }

    def _ticker(self, symbol: str, now_ms: int) -> Json:
        ticker = self._tickers.full_ticker(symbol)
        return {
            "e": "24hrTicker",
            "E": now_ms,
            "s": symbol,
            "p": ticker["priceChange"],
            "P": ticker["priceChangePercent"],
            "w": ticker["weightedAvgPrice"],
            "x": ticker["prevClosePrice"],
            "c": ticker["lastPrice"],
            "Q": ticker["lastQty"],
            "b": ticker["bidPrice"],
            "B": ticker["bidQty"],
            "a": ticker["askPrice"],
            "A": ticker["askQty"],
            "o": ticker["openPrice"],
            "h": ticker["highPrice"],
            "l": ticker["lowPrice"],
            "v": ticker["volume"],
            "q": ticker["quoteVolume"],
            "O": ticker["openTime"],
            "C": ticker["closeTime"],
            "F": ticker["firstId"],
            "L": ticker["lastId"],
            "n": ticker["count"],
        }


def _kline(candle: Candle, symbol: str, interval: str, now_ms: int, *, closed: bool) -> Json:
    rules, summary = LISTED[symbol], candle.summary
    return {
        "e": "kline",
        "E": now_ms,
        "s": symbol,
        "k": {
            "t": candle.start_ms,
            "T": candle.end_ms - 1,
            "s": symbol,
            "i": interval,
            "f": candle.first_trade_id,
            "L": candle.last_trade_id,
            "o": rules.price_text(summary.open),
            "c": rules.price_text(summary.close),
            "h": rules.price_text(summary.high),
            "l": rules.price_text(summary.low),
            "v": rules.quantity_text(summary.lots),
            "n": summary.count,
            "x": closed,
            "q": rules.notional_text(summary.notional),
            "V": rules.quantity_text(summary.taken_lots),
            "Q": rules.notional_text(summary.taken_notional),
            "B": "0",
        },
    }
