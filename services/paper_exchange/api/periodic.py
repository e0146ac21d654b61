"""The streams that come by the clock: candles, depth updates, tickers and average prices.

Invariant: every candle that closes while its stream has a subscriber is sent closed exactly once.
"""

import re
from typing import Any

from services.paper_exchange.api.depth import DepthStreams
from services.paper_exchange.api.feed import Feed
from services.paper_exchange.api.schedule import Schedule
from services.paper_exchange.api.statistics import Statistics, full_statistics
from services.paper_exchange.api.ticker_events import full_ticker, short_ticker, window_ticker
from services.paper_exchange.api.tickers import Tickers, window_ms
from services.paper_exchange.market.history import Candle
from services.paper_exchange.market.intervals import INTERVALS, candle_start, next_candle_start
from services.paper_exchange.venue.rules import LISTED
from services.paper_exchange.venue.venue import Venue

PERIOD_MS = 100
_SECOND_MS = 1_000
_CANDLE_MS = {"1s": 1_000}
_CANDLE_MS_DEFAULT = 2_000
_CANDLES_AT_ONCE_MAX = 60
_KLINE = re.compile(rf"kline_({'|'.join(INTERVALS)})(@\+08:00)?")
_EIGHT_HOURS_MS = 8 * 3_600_000
_EACH_SECOND = re.compile(r"miniTicker|ticker|avgPrice|ticker_(1h|4h|1d)")
_OF_ALL = re.compile(r"miniTicker|ticker_(1h|4h|1d)")

Json = dict[str, Any]


class Periodic:
    """Publish what is due."""

    def __init__(self, *, venue: Venue, feed: Feed, tickers: Tickers) -> None:
        self._venue = venue
        self._feed = feed
        self._tickers = tickers
        self._statistics = Statistics(venue=venue)
        self._schedule = Schedule(lambda: feed.streams)
        self._depth = DepthStreams(venue=venue, feed=feed, schedule=self._schedule)
        self._candle_starts: dict[str, int] = {}

    def publish(self) -> None:
        """Publish what is due at the venue's present."""
        now_ms = self._venue.now_ms
        self._depth.publish(now_ms)
        symbols = {symbol.lower(): symbol for symbol in self._venue.symbols}
        # Whoever listens to a stream that nobody listened to is sent nothing from the time between.
        self._candle_starts = {known: at for known, at in self._candle_starts.items() if self._feed.wants(known)}
        for stream in self._feed.streams:
            name, _, kind = stream.partition("@")
            if name in symbols:
                self._publish_one(stream, symbols[name], kind, now_ms)
            elif kind == "arr" and name.startswith("!"):
                self._publish_all(stream, name[1:], now_ms)
        self._feed.flush()

    def _publish_one(self, stream: str, symbol: str, kind: str, now_ms: int) -> None:
        if (match := _KLINE.fullmatch(kind)) is not None:
            self._publish_candles(stream, symbol, match[1], _EIGHT_HOURS_MS if match[2] else 0, now_ms)
        elif _EACH_SECOND.fullmatch(kind) is not None and self._schedule.is_due(stream, now_ms, _SECOND_MS):
            self._feed.publish(stream, self._event_of(kind, symbol, now_ms))

    def _publish_all(self, stream: str, kind: str, now_ms: int) -> None:
        if _OF_ALL.fullmatch(kind) is not None and self._schedule.is_due(stream, now_ms, _SECOND_MS):
            self._feed.publish(stream, [self._event_of(kind, symbol, now_ms) for symbol in self._venue.symbols])

    def _event_of(self, kind: str, symbol: str, now_ms: int) -> Json:
        match kind:
            case "miniTicker":
                return short_ticker(self._tickers.mini_ticker(symbol), now_ms)
            case "ticker":
                return full_ticker(self._tickers.full_ticker(symbol), now_ms)
            case "avgPrice":
                return {
                    "e": "avgPrice",
                    "E": now_ms,
                    "s": symbol,
                    "i": f"{LISTED[symbol].average_minutes}m",
                    "w": self._statistics.average_price(symbol),
                    "T": self._venue.history.last_trade(symbol).at_ms,
                }
            case _:
                window = kind.removeprefix("ticker_")
                statistics = full_statistics(symbol, self._statistics.window(symbol, window_ms(window)))
                return window_ticker(window, statistics, now_ms)

    def _publish_candles(self, stream: str, symbol: str, interval: str, zone_ms: int, now_ms: int) -> None:
        present = candle_start(interval, now_ms, zone_ms=zone_ms)
        start = max(
            self._candle_starts.get(stream, present),
            candle_start(interval, now_ms, candles_back=_CANDLES_AT_ONCE_MAX, zone_ms=zone_ms),
        )
        while start < present:
            following = next_candle_start(interval, start, zone_ms=zone_ms)
            candle = self._venue.history.candle(symbol, start, following)
            self._feed.publish(stream, _kline(candle, symbol, interval, now_ms, closed=True))
            start = following
        self._candle_starts[stream] = present
        if self._schedule.is_due(stream, now_ms, _CANDLE_MS.get(interval, _CANDLE_MS_DEFAULT)):
            candle = self._venue.history.candle(symbol, present, next_candle_start(interval, present, zone_ms=zone_ms))
            self._feed.publish(stream, _kline(candle, symbol, interval, now_ms, closed=False))


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
