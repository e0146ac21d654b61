"""Returns of an equity curve, and how much they scatter.

Invariant: equal to empyrical (`annual_return`, `annual_volatility`, `downside_risk`) and to quantstats (`comp`, `cagr`,
`volatility`) for the same returns and the same number of periods a year.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import expm1, fsum, log1p, sqrt

_YEAR_S = 365 * 86_400
_GROWTH_MAX = 700.0  # e to this power is about the greatest number
_TWO = 2  # a sample of one does not scatter


def periods_per_year(interval_s: int) -> float:
    """Return how many intervals a year of 365 days has; this market never closes, where others count 252 days."""
    return _YEAR_S / interval_s


def simple_returns(equity: Sequence[float]) -> list[float]:
    """Return the change of each mark as a fraction of the one before.

    Args:
        equity: Marks above zero, oldest first, the opening balance included.

    Raises:
        ValueError: A mark is not above zero: what follows is no return on anything.
    """
    if not all(mark > 0.0 for mark in equity):
        raise ValueError("expected an equity above zero at every mark, found one that is not")
    return [after / before - 1.0 for before, after in pairwise(equity)]


def total_return(returns: Sequence[float]) -> float:
    """Return what the returns compound to, as a fraction; 0 without any.

    Args:
        returns: Fractions above -1.
    """
    return expm1(_growth(returns))


def annual_return(returns: Sequence[float], periods: float) -> float | None:
    """Return the constant yearly return (CAGR) that comes to the same.

    None without returns, and where it is too large for a number: a good minute is no year.

    Args:
        returns: Fractions above -1.
        periods: Of them in a year.
    """
    if not returns:
        return None
    growth = _growth(returns) * periods / len(returns)
    return expm1(growth) if growth < _GROWTH_MAX else None


def annual_volatility(returns: Sequence[float], periods: float) -> float | None:
    """Return the sample standard deviation of the returns over a year; None for fewer than two."""
    deviation = sample_deviation(returns)
    return None if deviation is None else deviation * sqrt(periods)


def downside_deviation(returns: Sequence[float], periods: float, required: float = 0.0) -> float | None:
    """Return how far returns fall short of `required` (each), in the root mean square of all, over a year."""
    if not returns:
        return None
    shortfalls = fsum(min(value - required, 0.0) ** 2 for value in returns)
    return sqrt(shortfalls / len(returns)) * sqrt(periods)


def mean(values: Sequence[float]) -> float:
    """Return the average of at least one value."""
    return fsum(values) / len(values)


def sample_deviation(values: Sequence[float]) -> float | None:
    """Return the standard deviation with one degree of freedom less; 0 for equal values, None for fewer than two."""
    if len(values) < _TWO:
        return None
    if min(values) == max(values):
        return 0.0  # the mean of equal values may differ from them in the last bit
    average = mean(values)
    return sqrt(fsum((value - average) ** 2 for value in values) / (len(values) - 1))


def _growth(returns: Sequence[float]) -> float:
    """Return the logarithm of what the returns compound to."""
    return fsum(map(log1p, returns))
