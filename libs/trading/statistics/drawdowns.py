"""Drawdowns: how far below its last peak the equity fell, and for how long.

Invariant: depths are fractions from -1 to 0, as in empyrical and quantstats. A duration is the number of periods from
the peak to the mark that reaches it again, or to the last mark; quantstats counts the marks below the peak, which is
one less for a drawdown that was recovered from.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Drawdown:
    """One fall from a peak.

    Attributes:
        peak: The place of the peak in the equity curve.
        trough: The place of the lowest mark; of equal ones the first.
        recovery: The first place at or above the peak again; None where there is none yet.
        depth: The trough as a fraction of the peak, less 1.
        duration: Periods from the peak to the recovery, or to the last mark.
    """

    peak: int
    trough: int
    recovery: int | None
    depth: float
    duration: int


def drawdown_series(equity: Iterable[float]) -> list[float]:
    """Return each mark as a fraction of the highest until then, less 1.

    Args:
        equity: Marks above zero, oldest first, the opening balance included.
    """
    marks = list(equity)
    return [mark / peak - 1.0 for mark, peak in zip(marks, accumulate(marks, max), strict=True)]


def drawdowns(equity: Sequence[float]) -> list[Drawdown]:
    """Return every fall from a peak, oldest first; the last one may not be over.

    Args:
        equity: Marks above zero, oldest first, the opening balance included.
    """
    return list(_drawdowns(equity))


def max_drawdown(equity: Iterable[float]) -> float:
    """Return the depth of the worst drawdown; 0 where there is none.

    Args:
        equity: Marks above zero, oldest first, the opening balance included.
    """
    return min(drawdown_series(equity), default=0.0)


def max_drawdown_of_returns(returns: Iterable[float]) -> float:
    """Return the depth of the worst drawdown of the curve that starts at 1 and earns these returns."""
    return max_drawdown(accumulate(returns, lambda wealth, value: wealth * (1.0 + value), initial=1.0))


def longest_drawdown(equity: Sequence[float]) -> int:
    """Return the duration of the longest drawdown, in periods; 0 where there is none."""
    return max((drawdown.duration for drawdown in _drawdowns(equity)), default=0)


def _drawdowns(equity: Sequence[float]) -> Iterator[Drawdown]:
    peak = trough = 0
    for place, mark in enumerate(equity):
        if mark < equity[trough]:
            trough = place
        if mark >= equity[peak]:
            if trough != peak:
                yield _drawdown(equity, peak, trough, place)
            peak = trough = place
    if trough != peak:
        yield _drawdown(equity, peak, trough, None)


def _drawdown(equity: Sequence[float], peak: int, trough: int, recovery: int | None) -> Drawdown:
    end = len(equity) - 1 if recovery is None else recovery
    return Drawdown(peak, trough, recovery, equity[trough] / equity[peak] - 1.0, end - peak)
