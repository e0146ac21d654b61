"""Times in microseconds, and everything else as it is."""

import pytest

from services.paper_exchange.api.time_unit import TimeUnit
from services.paper_exchange.venue.errors import ApiError

MICROS = TimeUnit.MICROSECOND


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("", "MILLISECOND"),
        ("MILLISECOND", "MILLISECOND"),
        ("MICROSECOND", "MICROSECOND"),
        ("microsecond", "MICROSECOND"),
    ],
)
def test_a_unit_is_read_in_upper_or_lower_case(text, unit):
    assert TimeUnit.read(text).value == unit


@pytest.mark.parametrize("text", ["Microsecond", "SECOND", "1"])
def test_another_unit_is_refused(text):
    with pytest.raises(ApiError) as refused:
        TimeUnit.read(text)

    assert refused.value.code == -1194


def test_the_times_of_an_answer_change_at_every_depth_and_nothing_else_does():
    body = {"serverTime": 5, "orderId": 5, "orders": [{"time": 7, "workingTime": -1, "symbol": "T"}], "limit": 3}

    assert MICROS.of_answer(body) == {
        "serverTime": 5_000,
        "orderId": 5,
        "orders": [{"time": 7_000, "workingTime": -1, "symbol": "T"}],
        "limit": 3,
    }
    assert TimeUnit.MILLISECOND.of_answer(body) is body


def test_a_candle_ends_with_its_last_microsecond():
    row = [60_000, "1", "1", "1", "1", "2", 119_999, "3", 4, "5", "6", "0"]
    event = {"e": "kline", "E": 5, "s": "BTCUSDT", "k": {"t": 60_000, "T": 119_999, "n": 4}}

    assert MICROS.of_answer([row]) == [[60_000_000, "1", "1", "1", "1", "2", 119_999_999, "3", 4, "5", "6", "0"]]
    assert MICROS.of_event(event)["k"] == {"t": 60_000_000, "T": 119_999_999, "n": 4}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"e": "trade", "E": 1, "t": 2, "T": 3}, {"e": "trade", "E": 1_000, "t": 2, "T": 3_000}),
        ({"e": "depthUpdate", "E": 1, "U": 2, "u": 3}, {"e": "depthUpdate", "E": 1_000, "U": 2, "u": 3}),
        (
            {"e": "24hrTicker", "E": 1, "O": 2, "C": 3, "F": 4},
            {"e": "24hrTicker", "E": 1_000, "O": 2_000, "C": 3_000, "F": 4},
        ),
        ({"e": "executionReport", "C": "", "O": 2, "D": -1}, {"e": "executionReport", "C": "", "O": 2_000, "D": -1}),
        ({"e": "outboundAccountPosition", "u": 4}, {"e": "outboundAccountPosition", "u": 4_000}),
        ({"u": 400, "s": "BTCUSDT"}, {"u": 400, "s": "BTCUSDT"}),
        ([{"e": "24hrMiniTicker", "E": 1}], [{"e": "24hrMiniTicker", "E": 1_000}]),
    ],
)
def test_of_an_event_exactly_the_times_change(event, expected):
    assert MICROS.of_event(event) == expected
    assert TimeUnit.MILLISECOND.of_event(event) is event
