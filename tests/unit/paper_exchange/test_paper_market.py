"""Tapes, their endless loops, their history and the generated market."""

import json
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies

from libs.common.errors import ConfigurationError, InvalidMessageError
from services.paper_exchange.market.generated import generated_tape
from services.paper_exchange.market.history import History
from services.paper_exchange.market.intervals import INTERVALS, candle_start, next_candle_start
from services.paper_exchange.market.recording import dump_recording, load_recording
from services.paper_exchange.market.reel import Reel, Track
from services.paper_exchange.market.scenario import Scenario, load_scenario
from services.paper_exchange.market.source import open_tape, recorded_tape
from services.paper_exchange.market.tape import Tape
from services.paper_exchange.market.timeline import Segment, Timeline
from tests.unit.paper_exchange.paper_exchange_builders import PRICE, a_recording

SYMBOLS = ("BTCUSDT", "ETHUSDT")
SMALL = a_recording(
    quotes=[(0, PRICE), (3_000, PRICE + 5), (6_000, PRICE - 5)],
    trades=[(1, PRICE, 1), (3_500, PRICE + 6, 2), (6_000, PRICE - 5, 3), (9_999, PRICE - 4, 4)],
    length_ms=10_000,
)


@pytest.fixture(scope="module")
def recorded() -> Tape:
    return recorded_tape(SYMBOLS)


@pytest.fixture(scope="module")
def calm() -> Tape:
    return generated_tape(SYMBOLS, seed=7, scenario=a_scenario())


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_ten_thousand_loops_stay_within_two_per_cent_of_the_recording(recorded, symbol):
    reel = recorded._splices[0].reel
    recording = reel.tracks[symbol].recording
    high, low = max(recording.prices), min(recording.prices)

    for loop in range(10_000):
        start_ms = loop * reel.length_ms
        first, last = (recorded.count_until(symbol, at_ms - 1) for at_ms in (start_ms, start_ms + reel.length_ms))
        summary = recorded.summary(symbol, first, last)
        assert summary is not None
        assert summary.count == len(recording.prices)
        assert (summary.high, summary.low) == (high, low)
        # The price goes on across the seam: the last trade of a loop is the first of the next.
        assert recorded.trade(symbol, last).price == summary.close
        assert recorded.quote_at(symbol, start_ms).bid == recorded.quote_at(symbol, start_ms - 1).bid

    everything = recorded.summary(symbol, 0, recorded.count_until(symbol, 10_000 * reel.length_ms))
    assert everything is not None
    assert everything.high <= high * Decimal("1.02")
    assert everything.low >= low * Decimal("0.98")


def test_a_tape_played_backwards_shows_each_trade_the_book_it_was_recorded_with():
    reel = Reel([SMALL])

    forwards = quotes_at_trades(reel, 0)
    backwards = quotes_at_trades(reel, 1)

    assert backwards == forwards[::-1]


def quotes_at_trades(reel: Reel, loop: int):
    track = reel.tracks["BTCUSDT"]
    start_ms = loop * reel.length_ms
    quote = track.quote_at(start_ms - 1)
    seen = []
    for event in reel.events(start_ms - 1, start_ms + reel.length_ms - 1):
        if event.quote is not None:
            quote = event.quote
        else:
            seen.append((track.trade(event.ordinal).price, quote.bid))
    return seen


@settings(deadline=None)
@given(first=strategies.integers(-50, 50), count=strategies.integers(0, 60))
def test_a_summary_equals_the_trades_one_by_one(first, count):
    track = Track(SMALL)
    trades = [track.trade(ordinal) for ordinal in range(first, first + count)]

    summary = track.summary(first, first + count)

    if not trades:
        assert summary is None
        return
    assert summary is not None
    assert summary.open == trades[0].price
    assert summary.close == trades[-1].price
    assert summary.high == max(trade.price for trade in trades)
    assert summary.low == min(trade.price for trade in trades)
    assert summary.lots == sum(trade.lots for trade in trades)
    assert summary.notional == sum(trade.lots * trade.price for trade in trades)


@settings(deadline=None)
@given(begin=strategies.integers(-40_000, 40_000), length=strategies.integers(0, 30_000))
def test_events_are_those_that_the_counts_say(begin, length):
    reel = Reel([SMALL])
    track = reel.tracks["BTCUSDT"]

    ordinals = [event.ordinal for event in reel.events(begin, begin + length) if event.quote is None]

    assert ordinals == list(range(track.count_until(begin), track.count_until(begin + length)))
    assert [track.trade(ordinal).at_ms for ordinal in ordinals] == sorted(
        track.trade(ordinal).at_ms for ordinal in ordinals
    )


def test_a_recording_reads_back_as_it_was_written(tmp_path):
    path = tmp_path / "a.recording"
    path.write_bytes(dump_recording(SMALL))

    read = load_recording(path)

    for name in ("quote_times", "bids", "asks", "trade_times", "prices", "lots", "buyer_is_maker", "quotes_before"):
        assert list(getattr(read, name)) == list(getattr(SMALL, name)), name


@pytest.mark.parametrize("content", [b"", b"{}", b"{}\nxx", b"no json\nxx"])
def test_a_damaged_recording_is_refused(tmp_path, content):
    path = tmp_path / "bad.recording"
    path.write_bytes(content)

    with pytest.raises(InvalidMessageError, match="unreadable recording"):
        load_recording(path)


def test_recordings_of_different_lengths_or_without_trades_are_refused():
    with pytest.raises(ValueError, match="one length"):
        Reel([SMALL, a_recording(symbol="ETHUSDT")])
    with pytest.raises(ValueError, match="found none"):
        Reel([a_recording(trades=[])])


def a_scenario(**parts: object) -> Scenario:
    return Scenario.model_validate(parts)


def test_the_same_seed_gives_the_same_market_and_another_seed_another_one(calm):
    same, other = (generated_tape(SYMBOLS, seed=seed, scenario=a_scenario()) for seed in (7, 8))

    assert list(calm.events(0, 60_000)) == list(same.events(0, 60_000))
    assert list(calm.events(0, 60_000)) != list(other.events(0, 60_000))


def test_a_crash_moves_prices_by_its_share_over_its_time_and_leaves_the_past_alone(calm):
    crash = a_scenario(crashes=[{"at_s": 30, "change_pct": -15, "over_s": 5}])
    crashed = generated_tape(SYMBOLS, seed=7, scenario=crash)

    for at_ms, share in ((-1_000, 1.0), (29_999, 1.0), (32_500, 0.925), (35_000, 0.85), (5_000_000, 0.85)):
        expected = calm.quote_at("BTCUSDT", at_ms).bid * share
        assert crashed.quote_at("BTCUSDT", at_ms).bid == pytest.approx(expected, rel=0.0015), (
            at_ms
        )  # 15 % in 5 s, a quote in 40 ms
    ordinals = [
        event.ordinal for event in crashed.events(-5_000, 60_000) if event.quote is None and event.symbol == "BTCUSDT"
    ]
    assert ordinals == list(range(ordinals[0], ordinals[0] + len(ordinals)))
    summary = crashed.summary("BTCUSDT", ordinals[0], ordinals[-1] + 1)
    prices = [crashed.trade("BTCUSDT", ordinal).price for ordinal in ordinals]
    assert summary is not None
    assert (summary.high, summary.low) == (max(prices), min(prices))


def test_a_gap_moves_prices_at_once_and_a_halt_and_a_silence_stop_them():
    scenario = a_scenario(
        gaps=[{"at_s": 10, "change_pct": 2}], halts=[{"at_s": 20, "for_s": 5}], silences=[{"at_s": 40, "for_s": 5}]
    )
    tape = generated_tape(SYMBOLS, seed=7, scenario=scenario)

    before, after = tape.quote_at("BTCUSDT", 9_990).bid, tape.quote_at("BTCUSDT", 10_001).bid
    assert after / before == pytest.approx(1.02, rel=0.001)
    assert list(tape.events(20_000, 25_000)) == list(tape.events(40_000, 45_000)) == []
    assert tape.is_halted(25_000)
    assert not tape.is_halted(25_001)
    assert not tape.is_halted(42_000)


@pytest.mark.parametrize(
    "text", ["no json", '{"crash": []}', '{"crashes": [{"at_s": -1, "change_pct": 1, "over_s": 1}]}']
)
def test_a_wrong_scenario_is_named(tmp_path, text):
    path = tmp_path / "scenario.json"
    path.write_text(text)

    with pytest.raises(ConfigurationError, match=r"scenario\.json"):
        load_scenario(path)


def test_a_market_is_opened_by_its_name(tmp_path):
    path = tmp_path / "scenario.json"
    path.write_text(json.dumps({"gaps": [{"at_s": 1, "change_pct": 1}]}))

    assert open_tape("recorded", ["BTCUSDT"], seed=1, scenario_file=None).symbols == ("BTCUSDT",)
    assert "gaps" in open_tape("generated", ["BTCUSDT"], seed=1, scenario_file=path).identity


@settings(deadline=None)
@given(at_ms=strategies.integers(0, 4_000_000_000_000), interval=strategies.sampled_from(INTERVALS))
def test_candles_tile_time(at_ms, interval):
    start = candle_start(interval, at_ms)
    following = next_candle_start(interval, start)

    assert start <= at_ms < following
    assert candle_start(interval, following) == following
    assert candle_start(interval, following - 1) == start


@given(
    stops=strategies.lists(strategies.tuples(strategies.integers(1, 5_000), strategies.integers(0, 5_000)), max_size=4),
    speed=strategies.sampled_from([Fraction(1), Fraction(1, 3), Fraction(7, 2), Fraction(40)]),
)
@settings(max_examples=60, deadline=None)
def test_what_lies_at_a_place_is_shown_at_its_moment_and_not_before(stops, speed):
    timeline = Timeline([Segment(1_000_000, 0, speed)])
    wall_ms = 1_000_000
    for running_ms, down_ms in stops:
        place_ms = timeline.place_at(wall_ms + running_ms)
        wall_ms += running_ms + down_ms
        timeline.resume(Segment(wall_ms, place_ms, speed))

    for place_ms in range(-50, timeline.place_at(wall_ms + 100), 37):
        shown_at_ms = timeline.wall_at(place_ms)
        assert timeline.place_at(shown_at_ms) >= place_ms
        assert timeline.place_at(shown_at_ms - 1) < place_ms


def test_a_market_that_stands_still_shows_nothing_new():
    timeline = Timeline([Segment(1_000, 50, Fraction(0))])

    assert timeline.place_at(999_999) == 50
    with pytest.raises(ValueError, match="at least one"):
        Timeline([])


def test_trades_of_clients_are_numbered_among_those_of_the_tape():
    tape = Tape.of(Reel([SMALL]), identity="test")
    timeline = Timeline([Segment(1_000_000, 0, Fraction(1))])
    history = History(tape=tape, timeline=timeline, place_ms=4_000)
    for price in (PRICE + 100, PRICE + 200):
        history.add_client_trade("BTCUSDT", at_ms=1_004_000, price=price, lots=5, buyer_is_maker=False)
    history.place_ms = 9_999

    trades = history.recent("BTCUSDT", 6)
    candle = history.candle("BTCUSDT", 1_004_000, 1_005_000)
    wide = history.candle("BTCUSDT", 1_003_000, 1_007_000)
    empty = history.candle("BTCUSDT", 1_005_000, 1_005_500)

    assert [trade.trade_id for trade in trades] == list(range(trades[0].trade_id, trades[0].trade_id + 6))
    assert [trade.price for trade in trades] == [PRICE, PRICE + 6, PRICE + 100, PRICE + 200, PRICE - 5, PRICE - 4]
    assert (candle.summary.open, candle.summary.close, candle.summary.taken_lots) == (PRICE + 100, PRICE + 200, 10)
    assert (wide.summary.open, wide.summary.high, wide.summary.close) == (PRICE + 6, PRICE + 200, PRICE - 5)
    assert (empty.summary.open, empty.summary.count) == (PRICE + 200, 0)
    assert history.from_id("BTCUSDT", trades[1].trade_id, 3) == trades[1:4]
    assert history.since("BTCUSDT", 1_004_000, 3) == trades[2:5]
    assert history.recent("BTCUSDT", 2, before_ms=1_004_000) == trades[2:4]


def test_consecutive_candles_add_up_to_the_trades():
    tape = Tape.of(Reel([SMALL]), identity="test")
    history = History(tape=tape, timeline=Timeline([Segment(1_000_000, 0, Fraction(1))]), place_ms=60_000)

    candles = history.candles("BTCUSDT", "1s", start_ms=1_000_000 - 20_000, end_ms=None, limit=1_000, now_ms=1_060_000)

    assert all(after.start_ms == before.end_ms for before, after in pairwise(candles))
    assert sum(candle.summary.count for candle in candles) == tape.count_until("BTCUSDT", 60_000) - tape.count_until(
        "BTCUSDT", -20_001
    )
