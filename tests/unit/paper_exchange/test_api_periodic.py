"""The streams that come by the clock, on a venue whose clock only the test moves."""

import json
from pathlib import Path
from typing import Any

from services.paper_exchange.api.feed import Feed
from services.paper_exchange.api.periodic import PERIOD_MS, Periodic
from services.paper_exchange.api.tickers import Tickers
from services.paper_exchange.api.time_unit import TimeUnit
from tests.unit.paper_exchange.paper_exchange_builders import VenueBench

CANDLES = "btcusdt@kline_1s"


class Listening:
    """A connection that remembers what it was sent."""

    combined = False
    unit = TimeUnit.MILLISECOND

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.outbox: Any = self

    def put(self, frame: str) -> None:
        self.events.append(json.loads(frame))


class Streams:
    """A venue, its feed, and its clock's steps of a tenth of a second."""

    def __init__(self, directory: Path) -> None:
        self.bench = VenueBench(directory)
        venue = self.bench.venue
        self.feed = Feed(symbols=venue.symbols, first_update_id=1)
        self._periodic = Periodic(venue=venue, feed=self.feed, tickers=Tickers(venue=venue))

    def run(self, seconds: int) -> None:
        for _ in range(seconds * 1_000 // PERIOD_MS):
            self.bench.clock.move(PERIOD_MS)
            self.bench.venue.advance()
            self._periodic.publish()


def closed(listening: Listening) -> list[int]:
    return [event["k"]["t"] for event in listening.events if event["k"]["x"]]


def test_each_candle_that_closes_is_sent_closed_once(tmp_path):
    streams, listening = Streams(tmp_path), Listening()
    streams.feed.subscribe([CANDLES], listening)

    streams.run(seconds=5)

    starts = closed(listening)
    assert len(starts) == 5
    assert starts == [starts[0] + number * 1_000 for number in range(5)]


def test_a_stream_that_nobody_heard_for_a_while_begins_with_the_present(tmp_path):
    streams, first, second = Streams(tmp_path), Listening(), Listening()
    streams.feed.subscribe([CANDLES], first)
    streams.run(seconds=2)
    streams.feed.unsubscribe([CANDLES], first)
    streams.run(seconds=20)
    resubscribed_ms = streams.bench.venue.now_ms

    streams.feed.subscribe([CANDLES], second)
    streams.run(seconds=2)

    assert len(closed(second)) == 2
    assert min(closed(second)) >= resubscribed_ms - 1_000
