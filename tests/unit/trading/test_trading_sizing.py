"""Sizing."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.trading.market import OrderType, Side
from libs.trading.sizing import (
    NoSizeReason,
    Size,
    fixed_fraction,
    position_quantity,
    risk_per_trade,
    volatility_target,
)
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


EQUITY, PRICE = Decimal(10_000), Decimal(50_000)

amounts = st.decimals(min_value=1, max_value=10**9, places=8)
positive_prices = st.decimals(min_value="0.01", max_value=10**6, places=2)
percentages = st.decimals(min_value="0.01", max_value=100, places=2)


def by_volatility(**changes: object) -> Size:
    values: dict[str, object] = {
        "equity": EQUITY,
        "price": PRICE,
        "volatility_pct": Decimal(80),
        "target_pct": Decimal(16),
        "position_size_pct_max": Decimal(50),
        "instrument": an_instrument(),
    }
    return volatility_target(**(values | changes))  # type: ignore[arg-type] # a builder's overrides have many types


def by_risk(**changes: object) -> Size:
    values: dict[str, object] = {
        "equity": EQUITY,
        "price": PRICE,
        "stop_loss": Decimal(49_000),
        "risk_pct": Decimal(1),
        "position_size_pct_max": Decimal(100),
        "instrument": an_instrument(),
    }
    return risk_per_trade(**(values | changes))  # type: ignore[arg-type] # a builder's overrides have many types


def test_a_market_twice_as_wild_is_held_half_as_large():
    assert by_volatility().quantity == Decimal("0.04")  # 10 000 x 16 / 80 / 50 000
    assert by_volatility(volatility_pct=Decimal(160)).quantity == Decimal("0.02")


def test_a_calm_market_is_held_up_to_the_greatest_share():
    assert by_volatility(volatility_pct=Decimal(8)).quantity == Decimal("0.1")  # 10 000 x 50 % / 50 000


def test_the_loss_at_the_stop_is_the_asked_share_of_the_equity():
    assert by_risk().quantity == Decimal("0.1")  # 10 000 x 1 % / (50 000 - 49 000)


def test_the_costs_of_the_round_trip_are_part_of_the_risk():
    size = by_risk(cost_rate=Decimal("0.002"))

    assert size.quantity == Decimal("0.09090")  # 100 / (1000 + 50 000 x 0.2 %)


def test_a_near_stop_does_not_make_the_position_greater_than_its_share():
    assert by_risk(stop_loss=Decimal(49_999)).quantity == Decimal("0.2")  # 10 000 / 50 000


@pytest.mark.parametrize("stop_loss", [50_000, 50_001])
def test_a_stop_that_does_not_stand_below_the_price_gives_no_size(stop_loss):
    assert by_risk(stop_loss=Decimal(stop_loss)) == Size(Decimal(0), NoSizeReason.STOP_IS_NOT_BELOW_PRICE)


@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity"])
def test_what_is_not_positive_gives_no_size(value):
    nothing = Size(Decimal(0), NoSizeReason.INPUT_IS_NOT_POSITIVE)

    for name in ("equity", "price", "volatility_pct", "target_pct", "position_size_pct_max"):
        assert by_volatility(**{name: Decimal(value)}) == nothing
    for name in ("equity", "price", "stop_loss", "risk_pct", "position_size_pct_max"):
        assert by_risk(**{name: Decimal(value)}) == nothing


@pytest.mark.parametrize("cost_rate", ["-0.001", "NaN"])
def test_costs_that_cannot_be_give_no_size(cost_rate):
    assert by_risk(cost_rate=Decimal(cost_rate)).reason is NoSizeReason.INPUT_IS_NOT_POSITIVE


@given(equity=amounts, price=positive_prices, volatility=percentages, target=percentages, share=percentages)
def test_a_size_by_volatility_keeps_within_target_and_share(equity, price, volatility, target, share):
    instrument = an_instrument()
    size = by_volatility(
        equity=equity, price=price, volatility_pct=volatility, target_pct=target, position_size_pct_max=share
    )

    assert size.quantity * price * volatility <= equity * target
    assert size.quantity * price <= equity * share / 100
    assert (size.quantity == 0) is (size.reason is not None)
    if size.quantity:
        assert instrument.violations(OrderType.LIMIT, Side.BUY, size.quantity, price, price) == ()
    more = size.quantity + instrument.quantity_step
    if size.reason is None and more <= instrument.quantity_max and more * price <= instrument.notional_max:
        assert more * price * volatility > equity * target or more * price > equity * share / 100


@given(equity=amounts, price=positive_prices, depth=percentages, risk=percentages, share=percentages)
def test_a_size_by_risk_keeps_within_risk_and_share(equity, price, depth, risk, share):
    stop_loss = price * (100 - depth) / 100 or price / 2
    size = by_risk(equity=equity, price=price, stop_loss=stop_loss, risk_pct=risk, position_size_pct_max=share)

    assert size.quantity * (price - stop_loss) <= equity * risk / 100
    assert size.quantity * price <= equity * share / 100
    assert (size.quantity == 0) is (size.reason is not None)
