"""The streams of order books: what changed, and the best levels.

Invariant: the updates of one stream leave no gap: each begins with the id after the last one of the one before.
"""

from itertools import islice
from typing import Any

from libs.trading.matching import Side
from services.paper_exchange.api.feed import BookChanges, Feed
from services.paper_exchange.api.market_data import level_text
from services.paper_exchange.api.schedule import Schedule
from services.paper_exchange.venue.rules import LISTED
from services.paper_exchange.venue.venue import Venue

_SLOW_MS = 1_000
_LEVELS = (5, 10, 20)

Json = dict[str, Any]


class _Collected:
    """What changed since the last update of one stream."""

    def __init__(self, published_id: int) -> None:
        self.published_id = published_id
        self.prices: dict[Side, set[int]] = {side: set() for side in Side}

    def add(self, changes: BookChanges) -> None:
        """Add what changed since the last tenth of a second."""
        for side, prices in changes.prices.items():
            self.prices[side] |= prices


class DepthStreams:
    """Publishes `@depth`, `@depth@100ms` and the partial depths; to be called every 100 ms."""

    def __init__(self, *, venue: Venue, feed: Feed, schedule: Schedule) -> None:
        self._venue = venue
        self._feed = feed
        self._schedule = schedule
        self._collected: dict[str, _Collected] = {}

    def publish(self, now_ms: int) -> None:
        """Publish what is due."""
        for symbol in self._venue.symbols:
            lower = symbol.lower()
            for levels in _LEVELS:
                self._publish_levels(f"{lower}@depth{levels}", symbol, levels, now_ms)
            changes = self._feed.changes[symbol]
            for stream, is_slow in ((f"{lower}@depth@100ms", False), (f"{lower}@depth", True)):
                if not self._feed.wants(stream):
                    self._collected.pop(stream, None)
                    continue
                collected = self._collected.setdefault(stream, _Collected(changes.published_id))
                collected.add(changes)
                if not is_slow or self._schedule.is_due(stream, now_ms, _SLOW_MS):
                    self._publish_changes(stream, symbol, collected, now_ms)
            changes.clear()

    def _publish_levels(self, stream: str, symbol: str, levels: int, now_ms: int) -> None:
        slow, fast = self._feed.wants(stream), self._feed.wants(f"{stream}@100ms")
        if not slow and not fast:
            return
        rules, book = LISTED[symbol], self._venue.books[symbol]
        snapshot = {
            "lastUpdateId": self._feed.changes[symbol].update_id,
            "bids": [level_text(rules, *each) for each in islice(book.levels(Side.BUY), levels)],
            "asks": [level_text(rules, *each) for each in islice(book.levels(Side.SELL), levels)],
        }
        if fast:
            self._feed.publish(f"{stream}@100ms", snapshot)
        if slow and self._schedule.is_due(stream, now_ms, _SLOW_MS):
            self._feed.publish(stream, snapshot)

    def _publish_changes(self, stream: str, symbol: str, collected: _Collected, now_ms: int) -> None:
        update_id = self._feed.changes[symbol].update_id
        if collected.published_id == update_id:
            return
        rules, book = LISTED[symbol], self._venue.books[symbol]
        bids, asks = (
            [level_text(rules, price, book.lots_at(side, price)) for price in sorted(collected.prices[side])]
            for side in (Side.BUY, Side.SELL)
        )
        update: Json = {
            "e": "depthUpdate",
            "E": now_ms,
            "s": symbol,
            "U": collected.published_id + 1,
            "u": update_id,
            "b": bids[::-1],
            "a": asks,
        }
        self._collected[stream] = _Collected(update_id)
        self._feed.publish(stream, update)
