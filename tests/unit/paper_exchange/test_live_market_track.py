"""What is kept of a live market: one symbol's past, and the order in which things are shown."""

import pytest

from libs.common.clock import epoch_ms
from libs.trading.matching import Quote
from services.paper_exchange.market.live import LiveMarket
from services.paper_exchange.market.live_track import MINUTE_MS, PRINTS_MAX, Block, LiveTrack
from services.paper_exchange.market.reel import Print
from services.paper_exchange.market.summary import Summary
from tests.support.clock import FakeClock

QUOTE = Quote(99, 5, 101, 5)
NOON_MS = 1_760_000_040_000 // MINUTE_MS * MINUTE_MS


def a_candle(start_ms: int, *, count: int = 10, lots: int = 50, low: int = 90, high: int = 110) -> Block:
    return Block(start_ms, Summary(100, high, low, 105, lots, lots * 100, lots // 2, lots * 50, count))


def a_track(prints: int = 3, *, blocks: int = 2, spacing_ms: int = 1_000, first_id: int = 1_000) -> LiveTrack:
    """Candles of the minutes before noon, and trades of one lot at rising prices from noon on."""
    return LiveTrack(
        [a_candle(NOON_MS - (blocks - index) * MINUTE_MS) for index in range(blocks)],
        [a_print(index, spacing_ms) for index in range(prints)],
        first_id=first_id,
        quote=QUOTE,
    )


def a_print(index: int, spacing_ms: int = 1_000) -> Print:
    return Print(NOON_MS + index * spacing_ms, 100 + index, 1, buyer_is_maker=index % 2 == 0)


def test_ordinals_are_the_ids_of_the_feed_and_reach_back_through_the_candles():
    track = a_track()

    assert track.next_id == 1_003
    assert track.count_until(NOON_MS + 1_000) == 1_002
    assert track.count_until(NOON_MS - 1) == 1_000
    assert track.count_until(NOON_MS - MINUTE_MS - 1) == 990
    assert track.count_until(0) == 980


def test_a_range_over_candles_and_trades_is_exact():
    track = a_track()

    total = track.summary(980, 1_003)

    assert total == Summary(
        open=100,
        high=110,
        low=90,
        close=102,
        lots=50 + 50 + 3,
        notional=5_000 + 5_000 + 100 + 101 + 102,
        taken_lots=25 + 25 + 1,
        taken_notional=2_500 + 2_500 + 101,
        count=23,
    )
    assert track.summary(1_001, 1_001) is None


def test_a_part_of_a_candle_is_its_share():
    part = a_track().summary(990, 994)

    assert part is not None
    assert (part.count, part.lots, part.low, part.high) == (4, 20, 90, 110)


def test_what_lies_before_the_oldest_candle_counts_for_nothing():
    track = a_track()

    assert track.summary(0, 990) == track.summary(980, 990)
    assert track.trade(0) == track.trade(980)


def test_of_a_candle_the_first_and_last_price_are_known():
    track = a_track()

    assert [track.trade(ordinal).price for ordinal in (980, 985, 989, 1_000, 1_002)] == [100, 100, 105, 100, 102]
    assert track.trade(980).lots == 5
    assert a_track(blocks=0).trade(0).price == 100


def test_trades_that_are_forgotten_live_on_in_their_minutes():
    count = PRINTS_MAX + 500
    track = a_track(1, spacing_ms=100)
    for index in range(1, count):
        track.add(a_print(index, 100))

    for minutes in (0, 1, 5, 20, 33):
        first = 1_000 + minutes * 600
        total = track.summary(first, first + 600)
        assert total is not None
        prices = [100 + minutes * 600 + index for index in range(600)]
        assert (total.open, total.high, total.low, total.close) == (prices[0], prices[-1], prices[0], prices[-1])
        assert (total.count, total.lots, total.notional) == (600, 600, sum(prices))
    whole = track.summary(1_000, track.next_id)
    assert whole is not None
    assert whole.count == count
    assert whole.notional == sum(100 + index for index in range(count))
    assert track.count_until(NOON_MS + count * 100) == track.next_id == 1_000 + count


def test_a_track_needs_a_trade():
    with pytest.raises(ValueError, match="at least one trade"):
        a_track(0)


def a_market(clock: FakeClock, *symbols: str) -> LiveMarket:
    tracks = {symbol: a_track() for symbol in symbols or ("BTCUSDT",)}
    return LiveMarket(tracks, identity="test", clock=clock, silence_s_max=10)


def test_what_arrives_is_shown_once_after_the_present_and_in_its_order():
    clock = FakeClock()
    market = a_market(clock)
    now_ms = epoch_ms(clock.now())

    market.add_trade("BTCUSDT", price=100, lots=1, buyer_is_maker=True)
    market.add_quote("BTCUSDT", Quote(100, 1, 102, 1))

    assert list(market.events(now_ms - 50, now_ms)) == []
    trade, quote = market.events(now_ms, now_ms + 100)
    assert (trade.quote, trade.ordinal, quote.quote) == (None, 1_003, Quote(100, 1, 102, 1))
    assert now_ms < trade.at_ms <= quote.at_ms
    assert market.trade("BTCUSDT", 1_003).at_ms == trade.at_ms
    assert list(market.events(now_ms + 100, now_ms + 200)) == []


def test_what_arrives_late_takes_place_after_what_was_shown():
    clock = FakeClock()
    market = a_market(clock)
    shown_ms = epoch_ms(clock.now()) + 5_000  # the exchange's clock is ahead of ours

    assert list(market.events(shown_ms, shown_ms + 10)) == []
    market.add_trade("BTCUSDT", price=100, lots=1, buyer_is_maker=True)

    assert [event.at_ms for event in market.events(shown_ms, shown_ms + 10)] == [shown_ms + 1]


def test_a_live_market_never_stands_still():
    assert a_market(FakeClock()).place_at_start(5, 9_000) == 9_000


def test_one_silent_symbol_suspends_trading_until_it_is_heard():
    clock = FakeClock()
    market = a_market(clock, "BTCUSDT", "ETHUSDT")
    clock.advance(9)
    market.add_quote("BTCUSDT", QUOTE)
    assert not market.is_halted(0)

    clock.advance(2)
    assert market.is_halted(0)

    market.add_quote("ETHUSDT", QUOTE)
    assert not market.is_halted(0)


def test_after_a_gap_only_what_was_missed_is_shown():
    clock = FakeClock()
    market = a_market(clock)
    now_ms = epoch_ms(clock.now())

    market.renew("BTCUSDT", a_track(4), [a_print(4), a_print(5)])

    events = list(market.events(now_ms, now_ms + 100))
    assert [event.ordinal for event in events] == [1_004, 1_005, 0]
    assert market.next_id("BTCUSDT") == 1_006
    assert market.quote_at("BTCUSDT", 0) == QUOTE


def test_what_another_numbering_makes_meaningless_is_not_shown():
    clock = FakeClock()
    market = a_market(clock)
    market.add_trade("BTCUSDT", price=100, lots=1, buyer_is_maker=True)

    market.renew("BTCUSDT", a_track(first_id=5), [])

    events = list(market.events(0, epoch_ms(clock.now()) + 100))
    assert [event.quote for event in events] == [QUOTE]
    assert market.next_id("BTCUSDT") == 8
