"""Exact arithmetic."""

from decimal import Decimal, Inexact

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.trading.money import exact, is_multiple, is_positive, plain, round_down, round_to_tick, round_up, to_decimal

amounts = st.decimals(min_value=-(10**12), max_value=10**12, places=8, allow_nan=False, allow_infinity=False)
steps = st.sampled_from(
    [Decimal(step) for step in ("0.00000001", "0.00001000", "0.01", "0.05", "0.3", "1", "10", "2.5")]
)


@given(value=amounts, step=steps)
def test_rounding_down_gives_the_multiple_at_or_just_below(value, step):
    rounded = round_down(value, step)

    assert rounded <= value < rounded + step
    assert is_multiple(rounded, step)


@given(value=amounts, step=steps)
def test_rounding_up_gives_the_multiple_at_or_just_above(value, step):
    rounded = round_up(value, step)

    assert rounded - step < value <= rounded
    assert is_multiple(rounded, step)


@given(value=amounts, step=steps)
def test_rounding_to_the_tick_is_never_off_by_more_than_half_a_tick(value, step):
    rounded = round_to_tick(value, step)

    assert abs(rounded - value) <= step / 2
    assert is_multiple(rounded, step)


@given(value=amounts, step=steps)
def test_rounding_twice_changes_nothing(value, step):
    assert round_down(round_down(value, step), step) == round_down(value, step)


def test_a_value_halfway_between_ticks_goes_up():
    assert round_to_tick(Decimal("0.125"), Decimal("0.01")) == Decimal("0.13")
    assert round_to_tick(Decimal("-0.125"), Decimal("0.01")) == Decimal("-0.12")


@given(value=amounts)
def test_plain_digits_denote_the_same_number(value):
    digits = plain(value)

    assert Decimal(digits) == value
    assert "E" not in digits
    assert digits != "-0"


@pytest.mark.parametrize(
    ("value", "digits"),
    [("1E+3", "1000"), ("1.50000000", "1.5"), ("0E-8", "0"), ("-0.00", "0"), ("1E-8", "0.00000001"), ("100", "100")],
)
def test_plain_digits_have_no_exponent_and_no_trailing_zeros(value, digits):
    assert plain(Decimal(value)) == digits


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_what_is_no_number_has_no_digits(value):
    with pytest.raises(ValueError, match="finite"):
        plain(Decimal(value))


@given(value=st.floats(min_value=-1e9, max_value=1e9), tick=st.sampled_from([Decimal("0.01"), Decimal("0.00001")]))
def test_a_float_becomes_the_nearest_multiple_of_the_tick(value, tick):
    assert abs(to_decimal(value, tick) - Decimal(repr(value))) <= tick / 2


def test_a_float_is_rounded_by_the_digits_that_people_see():
    assert to_decimal(0.145, Decimal("0.01")) == Decimal("0.15")  # its binary value is 0.14499999…


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_float_that_is_no_number_never_becomes_money(value):
    with pytest.raises(ValueError, match="finite"):
        to_decimal(value, Decimal("0.01"))


@pytest.mark.parametrize("step", ["0", "-1", "NaN", "Infinity"])
@pytest.mark.parametrize("operation", [round_down, round_up, round_to_tick, is_multiple])
def test_a_step_must_be_a_number_above_zero(operation, step):
    with pytest.raises(ValueError, match="step above zero"):
        operation(Decimal(1), Decimal(step))


def test_arithmetic_that_would_round_is_refused():
    with exact(), pytest.raises(Inexact):
        Decimal(1) / Decimal(3)


@pytest.mark.parametrize(
    ("value", "positive"), [("0.1", True), ("0", False), ("-1", False), ("NaN", False), ("Infinity", False)]
)
def test_only_a_finite_number_above_zero_is_positive(value, positive):
    assert is_positive(Decimal(value)) is positive


def test_nothing_is_not_positive():
    assert not is_positive(None)
