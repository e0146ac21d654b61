"""The order state machine."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.trading.orders import TERMINAL, OrderStatus, OrderView, merge

ORDERED = 10


def a_view(status: OrderStatus = OrderStatus.SUBMITTED, filled: int = 0, **changes: object) -> OrderView:
    values: dict[str, object] = {
        "client_order_id": "x-1",
        "quantity": Decimal(ORDERED),
        "filled_quantity": Decimal(filled),
    }
    return OrderView(status=status, **(values | changes))  # type: ignore[arg-type] # overrides have many types


views = st.builds(
    a_view,
    status=st.sampled_from(OrderStatus),
    filled=st.integers(min_value=0, max_value=ORDERED),
    filled_amount=st.integers(min_value=0, max_value=1000).map(Decimal),
    execution_id=st.integers(min_value=-1, max_value=5),
    exchange_order_id=st.sampled_from([None, "77"]),
)


@given(view=views)
def test_hearing_the_same_twice_changes_nothing(view):
    assert merge(view, view) == view


@given(one=views, other=views)
def test_the_order_of_hearing_does_not_matter(one, other):
    assert merge(one, other) == merge(other, one)


@given(one=views, other=views, third=views)
def test_it_does_not_matter_what_is_merged_first(one, other, third):
    assert merge(merge(one, other), third) == merge(one, merge(other, third))


@given(current=views, update=views)
def test_nothing_that_was_known_is_forgotten(current, update):
    merged = merge(current, update)

    assert merged.status.rank >= current.status.rank
    assert merged.filled_quantity >= current.filled_quantity
    assert merged.execution_id >= current.execution_id
    assert merged.exchange_order_id or not current.exchange_order_id


@given(current=views, update=views)
def test_what_may_still_execute_is_never_more_than_was_ordered_and_not_filled(current, update):
    merged = merge(current, update)

    assert 0 <= merged.working_quantity <= ORDERED - merged.filled_quantity
    assert (merged.status is OrderStatus.FILLED) == (
        merged.filled_quantity == ORDERED
    ) or merged.filled_quantity < ORDERED


def test_a_late_acceptance_beats_the_verdict_that_it_was_not_accepted():
    merged = merge(a_view(OrderStatus.NOT_ACCEPTED), a_view(OrderStatus.ACCEPTED))

    assert merged.status is OrderStatus.ACCEPTED
    assert merged.working_quantity == ORDERED


def test_a_late_fill_of_a_cancelled_order_keeps_it_cancelled_with_the_fill():
    merged = merge(a_view(OrderStatus.CANCELED, 3), a_view(OrderStatus.PARTIALLY_FILLED, 5))

    assert (merged.status, merged.filled_quantity) == (OrderStatus.CANCELED, Decimal(5))
    assert merged.working_quantity == 0


def test_an_expired_order_may_carry_fills():
    assert a_view(OrderStatus.EXPIRED, 4).status is OrderStatus.EXPIRED


def test_fills_prove_more_than_the_status_that_came_with_them():
    assert a_view(OrderStatus.UNKNOWN, 1).status is OrderStatus.PARTIALLY_FILLED
    assert a_view(OrderStatus.UNKNOWN, ORDERED).status is OrderStatus.FILLED


@pytest.mark.parametrize(
    "status", [status for status in OrderStatus if status not in TERMINAL | {OrderStatus.PARTIALLY_FILLED}]
)
def test_an_order_that_is_not_over_works_in_full(status):
    assert a_view(status).working_quantity == ORDERED
    assert not status.is_terminal


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_an_order_that_is_over_works_no_more(status):
    assert a_view(status).working_quantity == 0
    assert status.is_terminal


@pytest.mark.parametrize("filled", [-1, ORDERED + 1])
def test_a_filled_quantity_outside_of_the_order_is_refused(filled):
    with pytest.raises(ValueError, match="expected a filled quantity from 0 to 10"):
        a_view(filled=filled)


@pytest.mark.parametrize("changes", [{"client_order_id": "x-2"}, {"quantity": Decimal(11)}])
def test_views_of_different_orders_do_not_merge(changes):
    with pytest.raises(ValueError, match="expected a view of order x-1 over 10"):
        merge(a_view(), a_view(**changes))


def test_two_orders_of_the_exchange_under_one_client_id_are_an_error():
    with pytest.raises(ValueError, match=r"expected one exchange id .* found \['7', '8'\]"):
        merge(a_view(exchange_order_id="7"), a_view(exchange_order_id="8"))
