"""Exact arithmetic on prices, quantities and amounts.

Invariant: a result is exact or an exception (`decimal.Inexact`), and `to_decimal` is the one place where floats become
money.
"""

from contextlib import AbstractContextManager
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow, localcontext
from typing import TypeGuard

# 50 digits hold the product of any two numbers of the exchange (20 digits before and after the point are its most)
# with room for sums; what needs more is a bug, and the trap says so.
EXACT = Context(prec=50, traps=[InvalidOperation, DivisionByZero, Overflow, Inexact])

_HALF = Decimal("0.5")


def exact() -> AbstractContextManager[Context]:
    """Return a context manager inside which every Decimal operator is exact or raises `decimal.Inexact`."""
    return localcontext(EXACT)


def is_positive(value: Decimal | None) -> TypeGuard[Decimal]:
    """Whether `value` is there, a number, finite and above zero: what a price, a limit or a baseline must be."""
    return value is not None and value.is_finite() and value > 0


def round_down(value: Decimal, step: Decimal) -> Decimal:
    """Return the greatest multiple of `step` that is at most `value`.

    Raises:
        ValueError: `step` is not positive, or `value` is not finite.
    """
    _require_step(value, step)
    multiple = EXACT.multiply(EXACT.divide_int(value, step), step)  # divide_int cuts towards zero
    return multiple if multiple <= value else EXACT.subtract(multiple, step)


def round_up(value: Decimal, step: Decimal) -> Decimal:
    """Return the smallest multiple of `step` that is at least `value`.

    Raises:
        ValueError: `step` is not positive, or `value` is not finite.
    """
    multiple = round_down(value, step)
    return multiple if multiple == value else EXACT.add(multiple, step)


def round_to_tick(value: Decimal, tick: Decimal) -> Decimal:
    """Return the multiple of `tick` nearest to `value`; a value halfway goes up.

    Raises:
        ValueError: `tick` is not positive, or `value` is not finite.
    """
    _require_step(value, tick)
    # Only compared, never added: a value of 1e-300, which an indicator may yield, has too many places for any sum.
    towards_zero = EXACT.multiply(EXACT.divide_int(value, tick), tick)
    remainder = EXACT.remainder(value, tick)
    half = EXACT.multiply(tick, _HALF)
    if remainder >= half:
        return EXACT.add(towards_zero, tick)
    return EXACT.subtract(towards_zero, tick) if remainder < -half else towards_zero


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Whether `value` is a whole number of `step`.

    Raises:
        ValueError: `step` is not positive, or `value` is not finite.
    """
    _require_step(value, step)
    return EXACT.remainder(value, step) == 0


def plain(value: Decimal) -> str:
    """Return `value` as digits alone: no exponent, no trailing zeros, no negative zero.

    Raises:
        ValueError: `value` is not finite.
    """
    if not value.is_finite():
        raise ValueError(f"expected a finite number, found {value}")
    if value == 0:
        return "0"
    digits = format(value, "f")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def to_decimal(value: float, step: Decimal) -> Decimal:
    """Return the float of an indicator as money: the nearest multiple of `step`, a value halfway going up.

    The shortest digits that denote the float are what is rounded, so that 0.15 is 0.15 and not a little less.

    Raises:
        ValueError: `value` is not finite, or `step` is not positive.
    """
    return round_to_tick(Decimal(repr(float(value))), step)


def _require_step(value: Decimal, step: Decimal) -> None:
    if not is_positive(step):
        raise ValueError(f"expected a step above zero, found {step}")
    if not value.is_finite():
        raise ValueError(f"expected a finite number, found {value}")
