"""Sizing."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.trading.sizing import NoSizeReason, Size, fixed_fraction, position_quantity
from tests.unit.trading.trading_builders import an_instrument


def test_the_notional_is_the_asked_share_of_the_equity():
    assert position_quantity(Decimal(10_000), Decimal(50_000), Decimal(2), an_instrument()) == Decimal(
        "0.004"
    )  # 10 000 USDT x 2 % / 50 000 USDT per BTC


@given(
    equity=st.decimals(min_value=1, max_value=10**9, places=8),
    price=st.decimals(min_value="0.01", max_value=10**6, places=2),
    percent=st.decimals(min_value="0.01", max_value=100, places=2),
)
def test_a_size_never_costs_more_than_the_share_and_always_passes_the_filters(equity, price, percent):
    instrument = an_instrument()
    size = fixed_fraction(equity, price, percent, instrument)

    assert size.quantity * price <= equity * percent / 100
    assert (size.quantity == 0) is (size.reason is not None)
    if size.quantity:
        assert instrument.floor_quantity(size.quantity) == size.quantity
        assert instrument.notional_min <= size.quantity * price <= instrument.notional_max


@pytest.mark.parametrize(
    ("equity", "price", "percent", "reason"),
    [
        ("0", "50000", "2", NoSizeReason.INPUT_IS_NOT_POSITIVE),
        ("NaN", "50000", "2", NoSizeReason.INPUT_IS_NOT_POSITIVE),
        ("10000", "0", "2", NoSizeReason.INPUT_IS_NOT_POSITIVE),
        ("10000", "50000", "0", NoSizeReason.INPUT_IS_NOT_POSITIVE),
        ("10", "50000", "2", NoSizeReason.QUANTITY_IS_BELOW_MINIMUM),  # 0.2 USDT, 0.000004 BTC
        ("200", "50000", "2", NoSizeReason.NOTIONAL_IS_BELOW_MINIMUM),  # 4 USDT
    ],
)
def test_there_is_no_size_without_its_reason(equity, price, percent, reason):
    size = fixed_fraction(Decimal(equity), Decimal(price), Decimal(percent), an_instrument())

    assert size == Size(Decimal(0), reason)


def test_the_minimum_notional_itself_is_enough():
    assert position_quantity(Decimal(250), Decimal(50_000), Decimal(2), an_instrument()) == Decimal("0.0001")  # 5 USDT


def test_the_minimum_quantity_itself_is_enough():
    instrument = an_instrument(quantity_min=Decimal("0.004"))

    assert position_quantity(Decimal(10_000), Decimal(50_000), Decimal(2), instrument) == Decimal("0.004")


def test_a_quantity_below_a_minimum_of_several_steps_is_none():
    instrument = an_instrument(quantity_min=Decimal("0.01"))

    size = fixed_fraction(Decimal(10_000), Decimal(50_000), Decimal(2), instrument)

    assert size.reason is NoSizeReason.QUANTITY_IS_BELOW_MINIMUM  # 0.004 BTC


def test_the_greatest_order_caps_the_size():
    instrument = an_instrument(quantity_max=Decimal("0.001"))

    assert position_quantity(Decimal(10_000), Decimal(50_000), Decimal(2), instrument) == Decimal("0.001")


@pytest.mark.parametrize("notional_max", [None, Decimal(0)])
def test_without_a_greatest_notional_the_share_alone_counts(notional_max):
    instrument = an_instrument(notional_max=notional_max)

    assert position_quantity(Decimal(10_000), Decimal(50_000), Decimal(2), instrument) == Decimal("0.004")
