"""One symbol of a live market: its latest quote, its recent trades, and candles of what was before.

Invariant: ordinals are the feed's own trade ids, without a gap from the oldest candle to the newest trade.

Places are milliseconds since 1970. A candle counts as traded at its start: inside of it nothing is known.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from libs.trading.matching import Quote
from services.paper_exchange.market.reel import Print
from services.paper_exchange.market.summary import Summary

MINUTE_MS = 60_000
PRINTS_MAX = 20_000
BLOCKS_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Block:
    """The trades of a stretch of time, in one; `summary.count` of them."""

    start_ms: int
    summary: Summary


class LiveTrack:
    """What is known of one symbol.

    Args:
        blocks: Candles in the order of time, the last one ending where the trades begin.
        prints: Recent trades, at least one.
        first_id: The feed's id of the first of them.
        quote: The best bid and ask.
    """

    def __init__(self, blocks: Sequence[Block], prints: Sequence[Print], *, first_id: int, quote: Quote) -> None:
        if not prints:
            raise ValueError("expected at least one trade, found none")
        self._blocks = list(blocks)[-BLOCKS_MAX:]
        self._prints = list(prints)
        self._first_id = first_id
        self._starts = _starts_of(self._blocks, first_id)
        self._minutes: list[Block] = []
        self._minute_starts: list[int] = []
        self._open_from = first_id
        self.quote = quote
        for index in range(1, len(self._prints)):
            self._close_minute(first_id + index)

    @property
    def next_id(self) -> int:
        """The id that the next trade has."""
        return self._first_id + len(self._prints)

    def add(self, trade: Print) -> None:
        """Take the next trade."""
        self._prints.append(trade)
        self._close_minute(self.next_id - 1)
        if len(self._prints) > PRINTS_MAX:
            self._forget_prints()

    def count_until(self, at_ms: int) -> int:
        """Return the ordinal of the first trade after `at_ms`."""
        if at_ms >= self._prints[0].at_ms:
            return self._first_id + bisect_right(self._prints, at_ms, key=lambda trade: trade.at_ms)
        index = bisect_right(self._blocks, at_ms, key=lambda block: block.start_ms)
        return self._starts[index]

    def trade(self, ordinal: int) -> Print:
        """Return the trade with this ordinal; of a candle only its first and last price are known."""
        if ordinal >= self._first_id:
            return self._prints[ordinal - self._first_id]
        index = max(0, bisect_right(self._starts, ordinal) - 1)
        if not self._blocks:
            return self._prints[0]
        block, total = self._blocks[index], self._blocks[index].summary
        is_last = ordinal == self._starts[index + 1] - 1
        lots = max(1, total.lots // total.count)
        return Print(block.start_ms, total.close if is_last else total.open, lots, 2 * total.taken_lots < total.lots)

    def summary(self, first: int, last: int) -> Summary | None:
        """Summarise the trades with ordinals from `first` up to, not including, `last`; `None` if there are none."""
        first, last = max(first, self._starts[0]), min(last, self.next_id)
        parts = []
        for starts, blocks in ((self._starts, self._blocks), (self._minute_starts, self._minutes)):
            index = max(0, bisect_right(starts, first) - 1)
            while first < last and index < len(blocks) and starts[index] <= first:
                end = min(last, starts[index] + blocks[index].summary.count)
                if first < end:
                    parts.append(self._part(blocks[index], starts[index], first, end))
                    first = end
                index += 1
        if first < last:
            parts.append(Summary.of(self._prints[first - self._first_id : last - self._first_id]))
        return _joined(parts) if parts else None

    def _part(self, block: Block, start: int, first: int, end: int) -> Summary:
        """Return what a range of a block amounts to: exactly where its trades are known, else its share."""
        total, count = block.summary, end - first
        if count == total.count:
            return total
        if start >= self._first_id:
            return Summary.of(self._prints[first - self._first_id : end - self._first_id])
        share = (count, total.count)
        return Summary(
            open=total.open,
            high=total.high,
            low=total.low,
            close=total.close,
            lots=_share(total.lots, share),
            notional=_share(total.notional, share),
            taken_lots=_share(total.taken_lots, share),
            taken_notional=_share(total.taken_notional, share),
            count=count,
        )

    def _close_minute(self, newest_id: int) -> None:
        """Sum up the minute before the newest trade's, if that is the first of its own."""
        opened = self._prints[self._open_from - self._first_id].at_ms // MINUTE_MS
        if self._prints[newest_id - self._first_id].at_ms // MINUTE_MS == opened:
            return
        trades = self._prints[self._open_from - self._first_id : newest_id - self._first_id]
        self._minutes.append(Block(opened * MINUTE_MS, Summary.of(trades)))
        self._minute_starts.append(self._open_from)
        self._open_from = newest_id

    def _forget_prints(self) -> None:
        """Keep of the older half of the trades only what their minutes amount to."""
        index = bisect_right(self._minute_starts, self._first_id + PRINTS_MAX // 2)
        if index == 0:
            return
        gone, kept = self._minutes[:index], self._minutes[index:]
        first_id = self._minute_starts[index] if kept else self._open_from
        del self._prints[: first_id - self._first_id]
        self._first_id = first_id
        self._minutes, self._minute_starts = kept, self._minute_starts[index:]
        self._blocks = [*self._blocks, *gone][-BLOCKS_MAX:]
        self._starts = _starts_of(self._blocks, first_id)


def _starts_of(blocks: Sequence[Block], end: int) -> list[int]:
    """Return the first ordinal of each block, and the one after the last."""
    starts = [end]
    for block in reversed(blocks):
        starts.append(starts[-1] - block.summary.count)
    return starts[::-1]


def _joined(parts: Sequence[Summary]) -> Summary:
    """Return what stretches that follow each other amount to; a day has 1,440 of them."""
    return Summary(
        open=parts[0].open,
        high=max(part.high for part in parts),
        low=min(part.low for part in parts),
        close=parts[-1].close,
        lots=sum(part.lots for part in parts),
        notional=sum(part.notional for part in parts),
        taken_lots=sum(part.taken_lots for part in parts),
        taken_notional=sum(part.taken_notional for part in parts),
        count=sum(part.count for part in parts),
    )


def _share(amount: int, share: tuple[int, int]) -> int:
    return amount * share[0] // share[1]
