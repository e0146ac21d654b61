"""Sides, candles and quotes."""

from decimal import Decimal

import pytest

from libs.trading.market import Side
from tests.unit.trading.trading_builders import a_candle, a_quote


def test_the_opposite_of_a_side_undoes_it():
    assert Side.BUY.opposite is Side.SELL
    assert Side.SELL.opposite is Side.BUY


def test_a_candle_closes_when_the_next_one_opens():
    assert a_candle(7, interval_s=300).close_at_ms == a_candle(8, interval_s=300).open_at_ms


def test_the_spread_is_a_fraction_of_the_mid():
    quote = a_quote(bid="99", ask="101")

    assert quote.mid == 100
    assert quote.spread_rate == Decimal("0.02")  # 2 / 100


@pytest.mark.parametrize(
    ("bid", "ask", "crossed", "plausible"),
    [
        ("99", "100", False, True),
        ("100", "100", False, False),  # locked
        ("101", "100", True, False),
        ("0", "100", False, False),
        ("-1", "100", False, False),
    ],
)
def test_a_quote_is_plausible_only_when_its_bid_is_above_zero_and_below_its_ask(bid, ask, crossed, plausible):
    quote = a_quote(bid=bid, ask=ask)

    assert quote.is_crossed is crossed
    assert quote.is_plausible is plausible


@pytest.mark.parametrize(("bid", "ask"), [("NaN", "1"), ("1", "NaN"), ("1", "Infinity")])
def test_a_quote_that_is_no_number_is_not_plausible(bid, ask):
    assert not a_quote(bid=bid, ask=ask).is_plausible
