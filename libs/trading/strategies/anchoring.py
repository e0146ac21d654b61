"""Make recursive indicators forget: their state becomes a function of a declared number of candles.

A recursive average remembers its first value for ever (ever more faintly), so a replica that starts later differs in
the last bits, and one day in a decision. A truncated sum that adds the new and takes off the old drifts instead. So the
state is restarted at anchors that the times of the candles dictate, the same for everyone: candles are numbered from
the Unix epoch, and every `4 x warm_up` candles a successor, started from nothing `warm_up` candles before, takes over
from the state that decided so far.

    candle number mod epoch     0 ........................ epoch-warm_up ........ epoch
    deciding                    [ state started at -warm_up .................... ]
    successor                                              [ warming up ........ ] takes over at the anchor

The deciding state has thus seen at most `warm_up + epoch` candles, all since a start that the candle's own time fixes,
and that number is the `window`. Two states run side by side for a quarter of the time: 1.25 x the work, no buffer.

A gap in the candles drops everything: a state that starts with the first candle after it decides `warm_up` candles
later, until the next anchor. The last `window` candles, counted, reach back across such a gap, so replicas see it too.
Who has the missing candles (a gap of the transport, not of the market) makes a new instance and feeds it from before.

Invariant: equal last `window` candles, equal state.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Generic, NamedTuple, Protocol, TypeVar

from libs.trading.market import Candle
from libs.trading.strategies.decisions import HoldReason

_EPOCH_WARM_UPS = 4
_PLAUSIBLE_MAX = 1e30  # what no price and no volume reaches, and whose squares still add up


class CandleState(Protocol):
    """Something that is updated with every candle and starts from nothing."""

    def update(self, candle: Candle) -> None:
        """Take the next candle."""
        ...


StateT = TypeVar("StateT", bound=CandleState)


class Run(NamedTuple):
    """One state over a history: the place of its first candle, and from and to which candle (exclusive) it decides."""

    start: int
    begin: int
    end: int


class Anchored(Generic[StateT]):
    """Keeps the state that decides and, for a while before each anchor, its successor."""

    __slots__ = (
        "_deciding",
        "_due_at_ms",
        "_epoch_ms",
        "_expected_at_ms",
        "_interval_ms",
        "_successor",
        "_turn_at_ms",
        "_warm_up_ms",
        "create",
        "window",
    )

    def __init__(self, create: Callable[[], StateT], *, interval_s: int, warm_up: int) -> None:
        self.create = create
        self._interval_ms = interval_s * 1000
        self._warm_up_ms = warm_up * self._interval_ms
        self._epoch_ms = _EPOCH_WARM_UPS * self._warm_up_ms
        self._expected_at_ms: int | None = None
        self._turn_at_ms = 0  # no candle before this one starts or promotes a state
        self._deciding: StateT | None = None
        self._successor: StateT | None = None
        self._due_at_ms = 0
        self.window = warm_up + _EPOCH_WARM_UPS * warm_up

    def advance(self, candle: Candle) -> StateT | HoldReason:
        """Take the next candle and return the state that may decide on it, or why none may.

        A candle that is not taken (of the past, partial, implausible) leaves the state as it was: its complete version
        may still come, and if the following candle comes first there is a gap.
        """
        open_at_ms = candle.open_at_ms
        expected_at_ms = self._expected_at_ms
        if expected_at_ms is not None and open_at_ms < expected_at_ms:
            return HoldReason.PAST_CANDLE
        if candle.partial:
            return HoldReason.PARTIAL_CANDLE
        if (
            open_at_ms % self._interval_ms
            or not 0.0 < candle.low <= candle.close <= candle.high < _PLAUSIBLE_MAX  # NaN fails every comparison
            or not 0.0 <= candle.volume < _PLAUSIBLE_MAX
        ):
            return HoldReason.IMPLAUSIBLE_CANDLE
        self._expected_at_ms = open_at_ms + self._interval_ms

        is_after_gap = expected_at_ms is not None and open_at_ms != expected_at_ms
        if is_after_gap or open_at_ms >= self._turn_at_ms:
            self._turn(open_at_ms, is_after_gap=is_after_gap)
        if self._successor is not None:
            self._successor.update(candle)
        if self._deciding is None:
            return HoldReason.AFTER_GAP if is_after_gap else HoldReason.WARMING_UP
        self._deciding.update(candle)
        return self._deciding

    def runs(self, times: Sequence[int]) -> Iterator[Run]:
        """Yield the states that `advance` would make of candles that opened then, were it to take all of them."""
        interval_ms = self._interval_ms
        warm_up, epoch = self._warm_up_ms // interval_ms, self._epoch_ms // interval_ms
        first = 0
        while first < len(times):
            end = _end_of_stretch(times, first, interval_ms)
            to_anchored = (-self._warm_up_ms - times[first]) % self._epoch_ms // interval_ms
            starts = [*range(first + to_anchored, end, epoch)]
            if first and to_anchored >= warm_up:
                starts.insert(0, first)  # after a gap
            for start, following in pairwise([*starts, end]):
                if start + warm_up < end:
                    yield Run(start, start + warm_up, min(following + warm_up, end))
            first = end

    def _turn(self, open_at_ms: int, *, is_after_gap: bool) -> None:
        """Drop, promote and start states as the place of the candle demands, and find the next place that does."""
        if is_after_gap:
            self._deciding = self._successor = None
        elif self._successor is not None and open_at_ms == self._due_at_ms:
            self._deciding, self._successor = self._successor, None

        # The first start at or after this candle from which a state is warm exactly at an anchor.
        start_at_ms = open_at_ms + (-self._warm_up_ms - open_at_ms) % self._epoch_ms
        if is_after_gap or open_at_ms == start_at_ms:
            # The start after a gap gives way to an anchored one that comes before it is warm: that one everybody makes.
            self._successor = self.create()
            self._due_at_ms = open_at_ms + self._warm_up_ms
        if open_at_ms == start_at_ms:
            start_at_ms += self._epoch_ms
        self._turn_at_ms = start_at_ms if self._successor is None else min(start_at_ms, self._due_at_ms)


def _end_of_stretch(times: Sequence[int], first: int, interval_ms: int) -> int:
    """Return the place after the last candle up to which none is missing since `first`."""
    origin_ms = times[first] - first * interval_ms
    return bisect_left(
        range(len(times)), True, lo=first, key=lambda place: times[place] - place * interval_ms > origin_ms
    )
