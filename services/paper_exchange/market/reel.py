"""Recordings played for ever in both directions, without ever being played: everything is answered by place.

Invariant: even loops run forwards and odd ones backwards, so the book and the prices continue across every seam.

Trades are addressed by signed ordinals (0 is the first of loop 0). Sums over any range cost O(log n), because loops
repeat: prefix sums give quantities, sparse tables give extremes.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import accumulate

from libs.trading.matching import Quote
from services.paper_exchange.market.recording import Recording, packed
from services.paper_exchange.market.summary import Summary


@dataclass(frozen=True, slots=True)
class Print:
    """One trade of the tape: when (on the tape's time), price in ticks, quantity in lots."""

    at_ms: int
    price: int
    lots: int
    buyer_is_maker: bool


class Track:
    """One symbol's recording on endless alternation."""

    def __init__(self, recording: Recording) -> None:
        if not recording.prices or not recording.quote_times:
            raise ValueError(f"{recording.symbol}: expected trades and quotes, found none")
        self.recording = recording
        self._length_ms = recording.length_ms
        self._count = len(recording.prices)
        notionals = [price * lots for price, lots in zip(recording.prices, recording.lots, strict=True)]
        taken = [not maker for maker in recording.buyer_is_maker]
        self._lots = _prefix_sums(recording.lots)
        self._notionals = _prefix_sums(notionals)
        self._taken_lots = _prefix_sums([a * b for a, b in zip(recording.lots, taken, strict=True)])
        self._taken_notionals = _prefix_sums([a * b for a, b in zip(notionals, taken, strict=True)])
        self._highs = _sparse_table(recording.prices, max)
        self._lows = _sparse_table(recording.prices, min)

    def count_until(self, at_ms: int) -> int:
        """Return how many trades lie between the start of loop 0 and `at_ms`, inclusive; negative before it."""
        loop, offset = divmod(at_ms, self._length_ms)
        times = self.recording.trade_times
        if loop % 2:
            inside = self._count - bisect_left(times, self._length_ms - 1 - offset)
        else:
            inside = bisect_right(times, offset)
        return loop * self._count + inside

    def trade(self, ordinal: int) -> Print:
        """Return the trade with this ordinal."""
        loop, index = divmod(ordinal, self._count)
        recording = self.recording
        if loop % 2:
            index = self._count - 1 - index
            offset = self._length_ms - 1 - recording.trade_times[index]
        else:
            offset = recording.trade_times[index]
        return Print(
            at_ms=loop * self._length_ms + offset,
            price=recording.prices[index],
            lots=recording.lots[index],
            buyer_is_maker=recording.buyer_is_maker[index],
        )

    def quote_at(self, at_ms: int) -> Quote:
        """Return the best bid and ask in force at `at_ms`."""
        loop, offset = divmod(at_ms, self._length_ms)
        times = self.recording.quote_times
        begun = bisect_left(times, self._length_ms - 1 - offset) if loop % 2 else bisect_right(times, offset)
        return self.quote(max(0, begun - 1))

    def quote(self, index: int) -> Quote:
        """Return a recorded quote."""
        recording = self.recording
        return Quote(recording.bids[index], recording.bid_lots[index], recording.asks[index], recording.ask_lots[index])

    def summary(self, first: int, last: int) -> Summary | None:
        """Summarise the trades with ordinals from `first` up to, not including, `last`; `None` if there are none."""
        if first >= last:
            return None
        high, low = self._extremes(first, last)
        lots, notional, taken_lots, taken_notional = (
            self._sum_until(sums, last) - self._sum_until(sums, first)
            for sums in (self._lots, self._notionals, self._taken_lots, self._taken_notionals)
        )
        return Summary(
            open=self.trade(first).price,
            high=high,
            low=low,
            close=self.trade(last - 1).price,
            lots=lots,
            notional=notional,
            taken_lots=taken_lots,
            taken_notional=taken_notional,
            count=last - first,
        )

    def _sum_until(self, sums: Sequence[int], ordinal: int) -> int:
        loop, index = divmod(ordinal, self._count)
        inside = sums[-1] - sums[self._count - index] if loop % 2 else sums[index]
        return loop * sums[-1] + inside

    def _extremes(self, first: int, last: int) -> tuple[int, int]:
        ranges = []
        count = self._count
        first_loop, first_index = divmod(first, count)
        last_loop, last_index = divmod(last - 1, count)
        if last_loop - first_loop > 1:
            ranges.append((0, count))
        elif last_loop == first_loop:
            ranges.append(self._played(first_loop, first_index, last_index + 1))
        else:
            ranges += [self._played(first_loop, first_index, count), self._played(last_loop, 0, last_index + 1)]
        high = max(_range_query(self._highs, begin, end, max) for begin, end in ranges)
        low = min(_range_query(self._lows, begin, end, min) for begin, end in ranges)
        return high, low

    def _played(self, loop: int, begin: int, end: int) -> tuple[int, int]:
        """Return the recording's indices that positions `begin` to `end` of a loop play."""
        return (self._count - end, self._count - begin) if loop % 2 else (begin, end)


@dataclass(frozen=True, slots=True)
class TapeEvent:
    """The next thing on the tape: a quote, or a trade with its ordinal."""

    at_ms: int
    symbol: str
    quote: Quote | None
    ordinal: int


class Reel:
    """The tracks of several symbols on one time axis."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        lengths = {recording.length_ms for recording in recordings}
        if len(lengths) != 1:
            raise ValueError(f"expected recordings of one length, found {sorted(lengths)}")
        self.length_ms = lengths.pop()
        self.tracks = {recording.symbol: Track(recording) for recording in recordings}
        self._symbols = tuple(self.tracks)
        self._times, self._codes = _merge(recordings)

    def events(self, after_ms: int, until_ms: int) -> Iterator[TapeEvent]:
        """Yield what happens after `after_ms` up to and including `until_ms`, in order."""
        first_loop, last_loop = after_ms // self.length_ms, until_ms // self.length_ms
        for loop in range(first_loop, last_loop + 1):
            start = loop * self.length_ms
            begin, end = max(0, after_ms + 1 - start), min(self.length_ms - 1, until_ms - start)
            if loop % 2:
                yield from self._backwards(loop, begin, end)
            else:
                yield from self._forwards(loop, begin, end)

    def _forwards(self, loop: int, begin: int, end: int) -> Iterator[TapeEvent]:
        start = loop * self.length_ms
        for position in range(bisect_left(self._times, begin), bisect_right(self._times, end)):
            symbol, track, is_trade, index = self._decode(self._codes[position])
            at_ms = start + self._times[position]
            if is_trade:
                yield TapeEvent(at_ms, symbol, None, loop * len(track.recording.prices) + index)
            else:
                yield TapeEvent(at_ms, symbol, track.quote(index), 0)

    def _backwards(self, loop: int, begin: int, end: int) -> Iterator[TapeEvent]:
        # A quote played backwards restores the one before it, so trades meet the book that they met when recorded.
        start, latest = loop * self.length_ms, self.length_ms - 1
        first, last = bisect_right(self._times, latest - begin) - 1, bisect_left(self._times, latest - end)
        for position in range(first, last - 1, -1):
            symbol, track, is_trade, index = self._decode(self._codes[position])
            at_ms = start + latest - self._times[position]
            if is_trade:
                count = len(track.recording.prices)
                yield TapeEvent(at_ms, symbol, None, loop * count + count - 1 - index)
            else:
                yield TapeEvent(at_ms, symbol, track.quote(max(0, index - 1)), 0)

    def _decode(self, code: int) -> tuple[str, Track, int, int]:
        rest, symbol_index = divmod(code, len(self._symbols))
        symbol = self._symbols[symbol_index]
        return symbol, self.tracks[symbol], rest & 1, rest >> 1


def _merge(recordings: Sequence[Recording]) -> tuple[Sequence[int], Sequence[int]]:
    """Order all events by time; of one symbol, a trade comes after exactly the quotes recorded before it."""
    size = len(recordings)
    streams = [_coded(recording, index, size) for index, recording in enumerate(recordings)]
    times, codes = array("q"), array("q")
    for at_ms, _, code in merge(*streams):
        times.append(at_ms)
        codes.append(code)
    return times, codes


def _coded(recording: Recording, symbol_index: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Yield one symbol's events in order, as time, symbol and code."""
    trade, trades = 0, len(recording.trade_times)
    for index, at_ms in enumerate(recording.quote_times):
        while trade < trades and recording.quotes_before[trade] <= index:
            yield recording.trade_times[trade], symbol_index, (trade << 1 | 1) * size + symbol_index
            trade += 1
        yield at_ms, symbol_index, (index << 1) * size + symbol_index
    for rest in range(trade, trades):
        yield recording.trade_times[rest], symbol_index, (rest << 1 | 1) * size + symbol_index


def _prefix_sums(values: Sequence[int]) -> Sequence[int]:
    return packed(accumulate(values, initial=0))


def _sparse_table(values: Sequence[int], pick: Callable[[int, int], int]) -> list[Sequence[int]]:
    """Row k holds the extreme of every 2**k consecutive values (Bender and Farach-Colton, 2000)."""
    rows = [values]
    width = 1
    while 2 * width <= len(values):
        above = rows[-1]
        rows.append(packed(map(pick, above, above[width:])))
        width *= 2
    return rows


def _range_query(rows: list[Sequence[int]], begin: int, end: int, pick: Callable[[int, int], int]) -> int:
    level = (end - begin).bit_length() - 1
    return pick(rows[level][begin], rows[level][end - (1 << level)])
