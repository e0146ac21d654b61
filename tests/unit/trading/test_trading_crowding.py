"""The filters that look at what stands beside a new order, and those that bind some order types only."""

from decimal import Decimal
from typing import Any

import pytest

from libs.trading.instruments import Beside, Filter, FilterViolation
from libs.trading.market import OrderType, Side
from libs.trading.risk import RefusalReason, Refused, TradingState, assess
from tests.unit.trading.trading_builders import NOW, a_market, an_entry, an_exposure, an_instrument, limits

REFERENCE = Decimal(50_000)
OCO = (OrderType.LIMIT_MAKER, OrderType.STOP_LOSS)


def crowding(
    *order_types: OrderType, side: Side = Side.BUY, quantity: str = "1", beside: Beside | None = None, **most: object
) -> tuple[FilterViolation, ...]:
    instrument = an_instrument(**most)
    return instrument.crowding(order_types or (OrderType.LIMIT,), side, Decimal(quantity), beside or Beside())


def test_a_symbol_without_limits_is_never_crowded():
    assert crowding(*OCO, beside=Beside(held=Decimal(10**6), orders=10**6, triggered=10**6, lists=10**6)) == ()


def test_a_purchase_may_bring_what_is_held_and_being_bought_to_exactly_the_maximum():
    beside = Beside(held=Decimal("1.5"), buying=Decimal("0.1"))

    assert crowding(quantity="0.4", beside=beside, position_max=Decimal(2)) == ()
    assert crowding(quantity="0.40001", beside=beside, position_max=Decimal(2)) == (
        FilterViolation(Filter.MAX_POSITION, "at most 2", "2.00001"),
    )
    assert crowding(side=Side.SELL, quantity="9", beside=beside, position_max=Decimal(2)) == ()


def test_a_list_counts_as_its_orders_and_as_one_list():
    most: dict[str, Any] = {"orders_max": 10, "triggered_max": 5, "lists_max": 3}

    assert crowding(*OCO, beside=Beside(orders=8, triggered=4, lists=2), **most) == ()
    assert crowding(*OCO, beside=Beside(orders=9, triggered=5, lists=3), **most) == (
        FilterViolation(Filter.MAX_NUM_ORDERS, "at most 10", "11"),
        FilterViolation(Filter.MAX_NUM_ALGO_ORDERS, "at most 5", "6"),
        FilterViolation(Filter.MAX_NUM_ORDER_LISTS, "at most 3", "4"),
    )


def test_what_is_not_of_a_kind_is_not_refused_for_too_many_of_it():
    beside = Beside(orders=5, triggered=9, lists=9)

    assert crowding(OrderType.LIMIT, beside=beside, orders_max=10, triggered_max=5, lists_max=3) == ()


@pytest.mark.parametrize("order_type", [OrderType.STOP_LOSS, OrderType.TAKE_PROFIT])
def test_a_trigger_may_lie_anywhere_and_bounds_the_notional_from_below_only(order_type):
    instrument = an_instrument(notional_max=Decimal(1_000))

    assert instrument.violations(order_type, Side.SELL, Decimal(1), Decimal(5_000), REFERENCE) == ()
    assert [
        violation.filter
        for violation in instrument.violations(order_type, Side.SELL, Decimal("0.00001"), Decimal(5_000), REFERENCE)
    ] == [Filter.NOTIONAL]


@pytest.mark.parametrize(
    ("stop_price", "fails"), [("0.01", []), ("0.001", [Filter.PRICE_FILTER] * 2), ("0", [Filter.PRICE_FILTER])]
)
def test_the_trigger_of_an_order_with_a_limit_keeps_the_price_filter_and_no_other(stop_price, fails):
    found = an_instrument().violations(
        OrderType.STOP_LOSS_LIMIT, Side.SELL, Decimal("0.001"), REFERENCE, REFERENCE, stop_price=Decimal(stop_price)
    )

    assert [violation.filter for violation in found] == fails


@pytest.mark.parametrize(
    ("quantity", "binds", "fails"),
    [
        ("0.00009", {}, [Filter.NOTIONAL]),
        ("0.00009", {"notional_min_binds_market": False}, []),
        ("1", {"notional_max": Decimal(1_000)}, []),
        ("1", {"notional_max": Decimal(1_000), "notional_max_binds_market": True}, [Filter.NOTIONAL]),
    ],
)
def test_the_exchange_says_which_bound_of_the_notional_holds_for_market_orders(quantity, binds, fails):
    found = an_instrument(**binds).violations(OrderType.MARKET, Side.BUY, Decimal(quantity), None, REFERENCE)

    assert [violation.filter for violation in found] == fails


def test_an_entry_beyond_the_exchanges_maximum_position_is_refused():
    market = a_market(instrument=an_instrument(position_max=Decimal("0.001")))

    answer = assess(an_entry(), an_exposure(), market, limits(), TradingState.ACTIVE, NOW)

    assert answer == Refused(RefusalReason.EXCHANGE_FILTER_FAILS, "MAX_POSITION: at most 0.001", "0.00396")
