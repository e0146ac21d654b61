"""Exact arithmetic on prices, quantities and amounts.

Invariant: a result is exact or an exception (`decimal.Inexact`), and `to_decimal` is the one place where floats become
money.
"""

from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow, getcontext, setcontext
from typing import TypeGuard

# 50 digits hold the product of any two numbers of the exchange (20 digits before and after the point are its most)
# with room for sums; what needs more is a bug, and the trap says so.
EXACT = Context(prec=50, traps=[InvalidOperation, DivisionByZero, Overflow, Inexact])

_ONE, _TWO = Decimal(1), Decimal(2)


class exact:  # noqa: N801 - reads as the keyword that it is used like
    """Within it, every Decimal operator is exact or raises `decimal.Inexact`; nothing may be awaited there.

    What `decimal.localcontext` does, without the copy of the context that makes it twice as dear.
    """

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = getcontext()
        setcontext(EXACT)

    def __exit__(self, *_: object) -> None:
        setcontext(self._before)


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
    ticks, remainder = EXACT.divmod(value, tick)  # towards zero
    if remainder:
        # Only doubled, never added: a value of 1e-300, which an indicator may yield, has too many places for any sum.
        twice = EXACT.multiply(remainder, _TWO)
        if twice >= tick:
            ticks = EXACT.add(ticks, _ONE)
        elif twice < -tick:
            ticks = EXACT.subtract(ticks, _ONE)
    return EXACT.multiply(ticks, tick)


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
    if step.is_finite() and step > 0 and value.is_finite():
        return
    if not is_positive(step):
        raise ValueError(f"expected a step above zero, found {step}")
    raise ValueError(f"expected a finite number, found {value}")
