"""Sliding windows that never take a value away again, so that nothing drifts and nothing cancels.

Values come in rounds of `period`. The last `period` values are an end of the round before and the beginning of this
one: what the ends hold is worked out when a round is complete, what the beginning holds grows with every value, and the
two are joined. That is O(1) a value on average and at most `period` steps at once (the queue of two stacks; Tangwongsan
et al., "General incremental sliding-window aggregation", PVLDB 8(7), 2015).

Invariant: the results are those of the last `period` values alone, with no more error than adding them up once has.
"""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from math import inf, nan

NOTHING = 1e-300
"""Less than this is no movement: in a market that stands still for ever averages decay until their digits run out."""


class RollingSum:
    """Sum of the last `period` values."""

    __slots__ = ("_beginning", "_ends", "_period", "_round", "value")

    def __init__(self, period: int) -> None:
        require_period(period, lowest=1)
        self._period = period
        self._round: list[float] = []
        self._beginning = 0.0
        self._ends: list[float] = []  # sums of the last 1, 2, … values of the round before; empty before it
        self.value: float | None = None

    def update(self, value: float) -> float | None:
        """Take the next value and return the sum, None before `period` values."""
        self._round.append(value)
        self._beginning += value
        count = len(self._round)
        if count == self._period:
            self.value = self._beginning
            self._ends = list(accumulate(reversed(self._round)))
            self._round.clear()
            self._beginning = 0.0
        elif self._ends:
            self.value = self._ends[~count] + self._beginning
        return self.value


class RollingMoments:
    """Mean of the last `period` values and their squared distances from it; NaN before `period` values."""

    __slots__ = ("_ends", "_mean", "_period", "_round", "_squares", "mean", "squares")

    def __init__(self, period: int) -> None:
        require_period(period, lowest=1)
        self._period = period
        self._round: list[float] = []
        self._mean = 0.0
        self._squares = 0.0
        self._ends: list[tuple[float, float]] = []  # mean and squares of the last 1, 2, … values of the round before
        self.mean = nan
        self.squares = nan

    @property
    def is_warm(self) -> bool:
        """Whether there are moments."""
        return bool(self._ends)

    def update(self, value: float) -> None:
        """Take the next value."""
        self._round.append(value)
        count = len(self._round)
        distance = value - self._mean
        self._mean += distance / count
        self._squares += distance * (value - self._mean)
        if count == self._period:
            self.mean, self.squares = self._mean, self._squares
            self._ends = list(_moments(reversed(self._round)))
            self._round.clear()
            self._mean = self._squares = 0.0
        elif self._ends:
            # Chan, Golub and LeVeque (1979): the moments of two groups together. Only positive numbers are added.
            end_mean, end_squares = self._ends[~count]
            between = self._mean - end_mean
            share = count / self._period
            self.mean = end_mean + between * share
            self.squares = end_squares + self._squares + between * between * share * (self._period - count)


class RollingExtremes:
    """The highest high and the lowest low of the last `period` pairs; NaN before there are as many."""

    __slots__ = (
        "_ends_high",
        "_ends_low",
        "_high",
        "_low",
        "_period",
        "_round_high",
        "_round_low",
        "highest",
        "lowest",
    )

    def __init__(self, period: int) -> None:
        require_period(period, lowest=1)
        self._period = period
        self._round_high: list[float] = []
        self._round_low: list[float] = []
        self._high = -inf
        self._low = inf
        self._ends_high: list[float] = []  # extremes of the last 1, 2, … pairs of the round before; empty before it
        self._ends_low: list[float] = []
        self.highest = nan
        self.lowest = nan

    @property
    def is_warm(self) -> bool:
        """Whether there are extremes."""
        return bool(self._ends_high)

    def update(self, high: float, low: float) -> None:
        """Take the next pair."""
        # max() and min() of two would read better and cost three times as much.
        if high > self._high:  # noqa: PLR1730 - speed, see above
            self._high = high
        if low < self._low:  # noqa: PLR1730 - speed, see above
            self._low = low
        self._round_high.append(high)
        self._round_low.append(low)
        count = len(self._round_high)
        if count == self._period:
            self.highest, self.lowest = self._high, self._low
            self._begin_round()
        elif self._ends_high:
            end_high, end_low = self._ends_high[~count], self._ends_low[~count]
            self.highest = end_high if end_high > self._high else self._high  # noqa: FURB136 - speed, see above
            self.lowest = end_low if end_low < self._low else self._low  # noqa: FURB136 - speed, see above

    def _begin_round(self) -> None:
        self._ends_high = list(accumulate(reversed(self._round_high), max))
        self._ends_low = list(accumulate(reversed(self._round_low), min))
        self._round_high.clear()
        self._round_low.clear()
        self._high, self._low = -inf, inf


def _moments(values: Iterable[float]) -> Iterator[tuple[float, float]]:
    """Yield mean and squared distances of the first 1, 2, … values (Welford 1962)."""
    mean = squares = 0.0
    for count, value in enumerate(values, start=1):
        distance = value - mean
        mean += distance / count
        squares += distance * (value - mean)
        yield mean, squares


def require_period(period: int, *, lowest: int) -> None:
    """Refuse a period that no window can have.

    Raises:
        ValueError: `period` is less than `lowest`.
    """
    if period < lowest:
        raise ValueError(f"expected a period of at least {lowest}, found {period}")
