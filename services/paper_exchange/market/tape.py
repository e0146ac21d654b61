"""The market as a function of its own time: one reel, or several spliced one after another.

Invariant: the tape is immutable; the same tape read at the same place gives the same prices for ever.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from libs.trading.matching import Quote
from services.paper_exchange.market.reel import Print, Reel, TapeEvent
from services.paper_exchange.market.summary import Summary

BEGINNING = -(1 << 62)
END = 1 << 62


class Market(Protocol):
    """What an exchange needs to know of any market; a place is a moment of the market's own time."""

    identity: str
    symbols: tuple[str, ...]

    def place_at_start(self, place_ms: int, now_ms: int) -> int:
        """Return where the market goes on at `now_ms`, having stood at `place_ms`."""
        ...

    def is_halted(self, at_ms: int) -> bool:
        """Return whether trading is suspended."""
        ...

    def quote_at(self, symbol: str, at_ms: int) -> Quote:
        """Return the best bid and ask in force."""
        ...

    def count_until(self, symbol: str, at_ms: int) -> int:
        """Return the ordinal of the first trade after `at_ms`."""
        ...

    def trade(self, symbol: str, ordinal: int) -> Print:
        """Return the trade with this ordinal."""
        ...

    def summary(self, symbol: str, first: int, last: int) -> Summary | None:
        """Summarise the trades with ordinals from `first` up to, not including, `last`; `None` if there are none."""
        ...

    def events(self, after_ms: int, until_ms: int) -> Iterator[TapeEvent]:
        """Yield what happens after `after_ms` up to and including `until_ms`, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Splice:
    """A reel in force after `after_ms` of the tape; the reel's own time is the tape's less `shift_ms`."""

    after_ms: int
    shift_ms: int
    reel: Reel


@dataclass(frozen=True, slots=True)
class Halt:
    """A stretch (from exclusive, to inclusive) in which the exchange accepts no order."""

    after_ms: int
    until_ms: int


class Tape:
    """Reels in the order in which they are in force.

    Args:
        splices: At least one; the first is in force since ever, whatever its `after_ms`.
        halts: When trading is suspended.
        identity: Names the market, so that a journal is never continued on another one.
    """

    def __init__(self, splices: Sequence[Splice], *, identity: str, halts: Sequence[Halt] = ()) -> None:
        first, *later = splices
        self._splices = (replace(first, after_ms=BEGINNING), *later)
        self._halts = tuple(halts)
        self.identity = identity
        self.symbols = tuple(first.reel.tracks)
        self._ordinal_shifts = {symbol: self._shift_ordinals(symbol) for symbol in self.symbols}

    @classmethod
    def of(cls, reel: Reel, *, identity: str) -> "Tape":
        """Return a tape of one reel."""
        return cls([Splice(BEGINNING, 0, reel)], identity=identity)

    def place_at_start(self, place_ms: int, now_ms: int) -> int:  # noqa: ARG002 - what a live market needs
        """Return where the market goes on: exactly where it stood."""
        return place_ms

    def is_halted(self, at_ms: int) -> bool:
        """Return whether trading is suspended."""
        return any(halt.after_ms < at_ms <= halt.until_ms for halt in self._halts)

    def quote_at(self, symbol: str, at_ms: int) -> Quote:
        """Return the best bid and ask in force."""
        splice = self._splices[self._index(at_ms)]
        return splice.reel.tracks[symbol].quote_at(at_ms - splice.shift_ms)

    def count_until(self, symbol: str, at_ms: int) -> int:
        """Return the ordinal of the first trade after `at_ms`."""
        index = self._index(at_ms)
        splice = self._splices[index]
        inside = splice.reel.tracks[symbol].count_until(at_ms - splice.shift_ms)
        return inside + self._ordinal_shifts[symbol][index]

    def trade(self, symbol: str, ordinal: int) -> Print:
        """Return the trade with this ordinal."""
        index = self._index_of_ordinal(symbol, ordinal)
        splice = self._splices[index]
        trade = splice.reel.tracks[symbol].trade(ordinal - self._ordinal_shifts[symbol][index])
        return replace(trade, at_ms=trade.at_ms + splice.shift_ms)

    def summary(self, symbol: str, first: int, last: int) -> Summary | None:
        """Summarise the trades with ordinals from `first` up to, not including, `last`; `None` if there are none."""
        total: Summary | None = None
        while first < last:
            index = self._index_of_ordinal(symbol, first)
            splice, shift = self._splices[index], self._ordinal_shifts[symbol][index]
            end = min(last, self._first_ordinal(symbol, index + 1))
            part = splice.reel.tracks[symbol].summary(first - shift, end - shift)
            if part is not None:
                total = part if total is None else total.followed_by(part)
            first = end
        return total

    def events(self, after_ms: int, until_ms: int) -> Iterator[TapeEvent]:
        """Yield what happens after `after_ms` up to and including `until_ms`, in order."""
        while after_ms < until_ms:
            index = self._index(after_ms + 1)
            splice = self._splices[index]
            end = min(until_ms, self._end(index))
            shift = splice.shift_ms
            for event in splice.reel.events(after_ms - shift, end - shift):
                if len(self._splices) == 1:
                    yield event
                else:
                    ordinal = event.ordinal + (self._ordinal_shifts[event.symbol][index] if not event.quote else 0)
                    yield TapeEvent(event.at_ms + shift, event.symbol, event.quote, ordinal)
            after_ms = end

    def _end(self, index: int) -> int:
        return self._splices[index + 1].after_ms if index + 1 < len(self._splices) else END

    def _index(self, at_ms: int) -> int:
        return bisect_left(self._splices, at_ms, lo=1, key=lambda splice: splice.after_ms) - 1

    def _first_ordinal(self, symbol: str, index: int) -> int:
        if index == 0:
            return BEGINNING
        if index == len(self._splices):
            return END
        splice = self._splices[index]
        inside = splice.reel.tracks[symbol].count_until(splice.after_ms - splice.shift_ms)
        return inside + self._ordinal_shifts[symbol][index]

    def _index_of_ordinal(self, symbol: str, ordinal: int) -> int:
        index = len(self._splices) - 1
        while ordinal < self._first_ordinal(symbol, index):
            index -= 1
        return index

    def _shift_ordinals(self, symbol: str) -> Mapping[int, int]:
        shifts = {0: 0}
        for index in range(1, len(self._splices)):
            before, splice = self._splices[index - 1], self._splices[index]
            reached = before.reel.tracks[symbol].count_until(splice.after_ms - before.shift_ms) + shifts[index - 1]
            begun = splice.reel.tracks[symbol].count_until(splice.after_ms - splice.shift_ms)
            shifts[index] = reached - begun
        return shifts
