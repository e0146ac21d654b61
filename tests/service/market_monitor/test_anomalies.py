"""When a market is not calm, and when the exchange counts as lost."""

from decimal import Decimal

import pytest

from libs.common.contracts.vocabulary import MarketCondition
from services.market_monitor.domain.anomalies import VOLATILITY_MINUTES, AnomalyDetector, Thresholds
from services.market_monitor.domain.connection import (
    ANSWER_AGE_MS_MAX,
    REPORTED_AFTER_MS,
    RESTORED_AFTER_MS,
    ClockComparison,
    OutageNews,
    Reachability,
)

START_MS = 1_000_000


def a_detector(**limits: object) -> AnomalyDetector:
    values: dict[str, object] = {
        "data_age_ms_max": 5_000,
        "volatility_rate_max": Decimal("0.02"),
        "spread_rate_max": Decimal("0.005"),
        "jump_rate_max": Decimal("0.03"),
        "jump_window_s": 10,
        "clock_skew_ms_max": 500,
        "calm_after_s": 10,
    }
    detector = AnomalyDetector(Thresholds(**(values | limits)), now_ms=START_MS)  # type: ignore[arg-type]  # a builder
    detector.on_quote(Decimal("99.99"), Decimal("100.01"), START_MS)
    return detector


def conditions(detector: AnomalyDetector, at_ms: int, *, skew_ms: int = 0) -> tuple[MarketCondition, ...]:
    return detector.conditions(at_ms, skew_ms=skew_ms)


def test_a_fresh_quiet_market_has_no_conditions() -> None:
    assert conditions(a_detector(), START_MS) == ()


def test_data_is_stale_beyond_its_greatest_age() -> None:
    detector = a_detector()

    assert conditions(detector, START_MS + 5_000) == ()
    assert conditions(detector, START_MS + 5_001) == (MarketCondition.STALE_DATA,)


def test_a_market_that_never_delivers_becomes_stale() -> None:
    detector = AnomalyDetector(a_detector()._thresholds, now_ms=START_MS)

    assert conditions(detector, START_MS + 5_001) == (MarketCondition.STALE_DATA,)


@pytest.mark.parametrize(("last", "is_jump"), [("103", False), ("103.01", True), ("97.08", True), ("97.09", False)])
def test_a_move_beyond_the_limit_within_the_window_is_a_jump(last: str, is_jump: bool) -> None:  # noqa: FBT001 - a table
    detector = a_detector()
    detector.on_trade(Decimal(100), START_MS)
    detector.on_trade(Decimal(last), START_MS + 9_000)

    assert (MarketCondition.PRICE_JUMP in conditions(detector, START_MS + 9_000)) is is_jump  # 3 % of the lowest price


def test_the_same_move_over_a_longer_time_is_no_jump() -> None:
    detector = a_detector()
    detector.on_trade(Decimal(100), START_MS)
    detector.on_trade(Decimal(104), START_MS + 11_000)

    assert conditions(detector, START_MS + 11_000) == ()


def test_a_jump_within_one_second_is_seen() -> None:
    detector = a_detector()
    detector.on_trade(Decimal(100), START_MS)
    detector.on_trade(Decimal(90), START_MS + 1)
    detector.on_trade(Decimal(100), START_MS + 2)

    assert conditions(detector, START_MS + 2) == (MarketCondition.PRICE_JUMP,)


def test_a_market_is_calm_again_only_after_the_whole_calm_time() -> None:
    detector = a_detector()
    detector.on_quote(Decimal(99), Decimal(101), START_MS)  # 2 %
    assert conditions(detector, START_MS) == (MarketCondition.WIDE_SPREAD,)

    detector.on_quote(Decimal("99.99"), Decimal("100.01"), START_MS + 9_999)

    assert conditions(detector, START_MS + 9_999) == (MarketCondition.WIDE_SPREAD,)
    assert conditions(detector, START_MS + 10_000) == ()


@pytest.mark.parametrize(("bid", "ask"), [("100", "100"), ("101", "100")])
def test_a_locked_or_crossed_book_is_a_condition(bid: str, ask: str) -> None:
    detector = a_detector()
    detector.on_quote(Decimal(bid), Decimal(ask), START_MS)

    assert conditions(detector, START_MS) == (MarketCondition.CROSSED_BOOK,)


def test_volatility_is_unknown_until_there_are_enough_minutes() -> None:
    detector = a_detector()
    for minute in range(VOLATILITY_MINUTES):
        detector.on_minute(minute * 60_000, Decimal(100 + 10 * (minute % 2)))

    assert detector.volatility_rate is None


def test_wild_minutes_are_a_condition() -> None:
    detector = a_detector()
    for minute in range(VOLATILITY_MINUTES + 1):
        detector.on_minute(minute * 60_000, Decimal(100 + 10 * (minute % 2)))

    assert MarketCondition.HIGH_VOLATILITY in conditions(detector, START_MS)


def test_a_minute_that_is_told_twice_counts_once() -> None:
    detector = a_detector()
    for minute in range(VOLATILITY_MINUTES + 1):
        detector.on_minute(minute * 60_000, Decimal(100))
        detector.on_minute(minute * 60_000, Decimal(200))

    assert detector.volatility_rate == 0


@pytest.mark.parametrize("skew_ms", [501, -501])
def test_a_clock_too_far_off_is_a_condition(skew_ms: int) -> None:
    assert conditions(a_detector(), START_MS, skew_ms=skew_ms) == (MarketCondition.CLOCK_SKEW,)


def test_a_clock_set_back_does_not_end_a_condition() -> None:
    detector = a_detector()
    detector.miss_trades(START_MS)

    assert conditions(detector, START_MS - 3_600_000) == (MarketCondition.TRADES_MISSED,)


def test_skew_is_taken_from_the_quickest_round_trip() -> None:
    comparison = ClockComparison()
    comparison.on_sample(round_trip_ms=200, skew_ms=90)
    comparison.on_sample(round_trip_ms=4, skew_ms=11)
    comparison.on_sample(round_trip_ms=300, skew_ms=-140)

    assert comparison.skew_ms == 11


def test_skew_is_zero_until_known() -> None:
    assert ClockComparison().skew_ms == 0


def a_reachability(*, up_until_ms: int | None = START_MS) -> Reachability:
    reachability = Reachability(frame_age_ms_max=5_000, now_ms=START_MS - 10_000)
    if up_until_ms is not None:
        for at_ms in (up_until_ms - RESTORED_AFTER_MS, up_until_ms):
            reachability.on_answer(at_ms)
            reachability.on_frame(at_ms)
            reachability.news(at_ms)
    return reachability


def test_the_exchange_is_not_up_before_it_answered_and_delivered() -> None:
    reachability = a_reachability(up_until_ms=None)
    reachability.on_answer(START_MS)

    assert not reachability.is_up(START_MS)


def test_missing_answers_are_a_loss_just_beyond_their_age() -> None:
    reachability = a_reachability()
    reachability.on_frame(START_MS + ANSWER_AGE_MS_MAX)

    assert reachability.is_up(START_MS + ANSWER_AGE_MS_MAX)
    assert not reachability.is_up(START_MS + ANSWER_AGE_MS_MAX + 1)


def test_a_silent_stream_is_a_loss_although_requests_are_answered() -> None:
    reachability = a_reachability()
    reachability.on_answer(START_MS + 5_001)

    assert not reachability.is_up(START_MS + 5_001)


def test_an_outage_is_told_once_and_its_end_once() -> None:
    reachability = a_reachability()
    lost_ms = START_MS + ANSWER_AGE_MS_MAX + 1
    told = [reachability.news(lost_ms + step_ms) for step_ms in range(0, 20_000, 500)]
    back_ms = lost_ms + 20_000
    for at_ms in range(back_ms, back_ms + 3_000, 500):
        reachability.on_answer(at_ms)
        reachability.on_frame(at_ms)
        told.append(reachability.news(at_ms))

    assert [news for news in told if news is not None] == [OutageNews.LOST, OutageNews.RESTORED]
    assert told.index(OutageNews.LOST) * 500 == REPORTED_AFTER_MS


def test_a_short_outage_is_not_told() -> None:
    reachability = a_reachability()
    lost_ms = START_MS + ANSWER_AGE_MS_MAX + 1
    told = [reachability.news(lost_ms), reachability.news(lost_ms + REPORTED_AFTER_MS - 1)]
    for at_ms in range(lost_ms + REPORTED_AFTER_MS, lost_ms + REPORTED_AFTER_MS + 3_000, 500):
        reachability.on_answer(at_ms)
        reachability.on_frame(at_ms)
        told.append(reachability.news(at_ms))

    assert set(told) == {None}


def test_new_thresholds_hold_from_the_next_look_on_and_prices_are_kept() -> None:
    detector = a_detector()
    detector.on_trade(Decimal(100), START_MS)
    detector.on_trade(Decimal(102), START_MS + 9_000)
    calm = conditions(detector, START_MS + 9_000)

    detector.configure(a_detector(jump_rate_max=Decimal("0.01"), jump_window_s=20)._thresholds)

    assert calm == ()
    assert conditions(detector, START_MS + 9_000) == (MarketCondition.PRICE_JUMP,)  # 2 % within 20 s
