"""The exchange's filters."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.trading.instruments import Filter, FilterViolation
from libs.trading.market import OrderType, Side
from tests.unit.trading.trading_builders import an_instrument

REFERENCE = Decimal(50_000)


def violations(
    order_type: OrderType = OrderType.LIMIT,
    side: Side = Side.BUY,
    quantity: str = "1",
    price: str | None = "50000",
    reference_price: Decimal | None = REFERENCE,
    **changes: object,
) -> tuple[FilterViolation, ...]:
    return an_instrument(**changes).violations(
        order_type, side, Decimal(quantity), None if price is None else Decimal(price), reference_price
    )


def filters(*args: Any, **kwargs: Any) -> list[Filter]:
    return [violation.filter for violation in violations(*args, **kwargs)]


def test_a_good_limit_order_has_no_violations():
    assert violations() == ()


def test_a_good_market_order_has_no_violations():
    assert violations(OrderType.MARKET, price=None) == ()


@pytest.mark.parametrize(
    ("price", "fails"),
    [
        ("10000.00", []),  # 50 000 x 0.2
        ("9999.99", [Filter.PERCENT_PRICE_BY_SIDE]),
        ("250000.00", []),  # 50 000 x 5
        ("250000.01", [Filter.PERCENT_PRICE_BY_SIDE]),
        ("50000.001", [Filter.PRICE_FILTER]),
        ("1000000.01", [Filter.PRICE_FILTER, Filter.PERCENT_PRICE_BY_SIDE]),
        ("0", [Filter.PRICE_FILTER]),
        ("NaN", [Filter.PRICE_FILTER]),
        (None, [Filter.PRICE_FILTER]),
    ],
)
def test_prices_are_bounded_and_on_the_tick(price, fails):
    assert filters(price=price) == fails


def test_a_price_below_the_minimum_fails_the_price_filter():
    assert filters(price="0.5", price_min=Decimal(1), bid_multiplier_down=None) == [
        Filter.PRICE_FILTER,
        Filter.NOTIONAL,
    ]


def test_sells_have_their_own_multipliers():
    changes = {"ask_multiplier_down": Decimal("0.9"), "bid_multiplier_down": Decimal("0.5")}

    assert filters(side=Side.BUY, price="44000", **changes) == []
    assert filters(side=Side.SELL, price="44000", **changes) == [Filter.PERCENT_PRICE_BY_SIDE]  # below 45 000


def test_one_multiplier_may_be_missing():
    assert filters(price="250000.01", bid_multiplier_up=None) == []
    assert filters(price="9999.99", bid_multiplier_up=None) == [Filter.PERCENT_PRICE_BY_SIDE]
    assert filters(price="9999.99", bid_multiplier_down=None) == []


def test_without_a_reference_price_the_percent_price_cannot_be_kept():
    assert filters(reference_price=None) == [Filter.PERCENT_PRICE_BY_SIDE]
    assert filters(reference_price=None, bid_multiplier_up=None, bid_multiplier_down=None) == []


@pytest.mark.parametrize(
    ("quantity", "fails"),
    [
        ("0.00010", []),  # 5 USDT
        ("0.00009", [Filter.NOTIONAL]),
        ("0.000105", [Filter.LOT_SIZE]),
        ("9000.00001", [Filter.LOT_SIZE, Filter.NOTIONAL]),
        ("0", [Filter.LOT_SIZE, Filter.LOT_SIZE, Filter.NOTIONAL]),
        ("NaN", [Filter.LOT_SIZE]),
        ("180", []),  # 9 000 000 USDT
        ("180.00001", [Filter.NOTIONAL]),
    ],
)
def test_quantities_and_notionals_are_bounded_and_on_the_step(quantity, fails):
    assert filters(quantity=quantity) == fails


def test_market_orders_keep_both_lot_sizes_and_have_no_greatest_notional():
    lots = {"market_quantity_min": Decimal("0.001"), "market_quantity_step": Decimal("0.001")}

    assert filters(OrderType.MARKET, quantity="0.0005", price=None, **lots) == [Filter.MARKET_LOT_SIZE] * 2
    assert filters(OrderType.MARKET, quantity="100.00001", price=None) == [Filter.MARKET_LOT_SIZE]
    assert filters(OrderType.MARKET, quantity="100", price=None, notional_max=Decimal(1000)) == []


def test_market_orders_are_measured_at_the_reference_price():
    assert filters(OrderType.MARKET, quantity="0.00009", price=None) == [Filter.NOTIONAL]
    assert filters(OrderType.MARKET, price=None, reference_price=None) == [Filter.NOTIONAL]


def test_an_instrument_without_a_greatest_notional_takes_any():
    assert filters(quantity="9000", notional_max=None) == []


def test_a_bound_of_zero_is_switched_off():
    off = {"price_max": Decimal(0), "price_tick": Decimal(0), "bid_multiplier_up": None}

    assert filters(price="2000000.001", quantity="1", **off) == []


def test_a_violation_says_what_was_expected_and_what_was_found():
    assert violations(quantity="0.00009") == (FilterViolation(Filter.NOTIONAL, "at least 5", "4.5"),)


@given(quantity=st.decimals(min_value=0, max_value=20_000, places=8))
def test_a_floored_quantity_is_never_more_and_always_passes_the_lot_size(quantity):
    floored = an_instrument().floor_quantity(quantity)

    assert floored <= quantity
    if floored > 0:
        assert Filter.LOT_SIZE not in filters(quantity=str(floored))


@given(quantity=st.decimals(min_value=0, max_value=20_000, places=8))
def test_a_floored_market_quantity_keeps_the_bounds_of_market_orders(quantity):
    floored = an_instrument(market_quantity_step=Decimal("0.001")).floor_market_quantity(quantity)

    assert floored <= min(quantity, 100)
    assert floored % Decimal("0.001") == 0


def test_a_maximum_of_zero_caps_no_quantity():
    instrument = an_instrument(quantity_max=Decimal(0), market_quantity_max=Decimal(0))

    assert instrument.floor_quantity(Decimal(10_000)) == 10_000
    assert instrument.floor_market_quantity(Decimal(10_000)) == 10_000
