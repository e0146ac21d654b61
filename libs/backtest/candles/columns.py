"""Candles in columns: a year of minutes in 30 MB, and no object for each.

Invariant: all columns are equally long, oldest first; `libs.backtest.candles.checking` is what makes them believable.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from libs.trading.market import Candle

Moments: TypeAlias = "array[int]"
Numbers: TypeAlias = "array[float]"


@dataclass(frozen=True, slots=True)
class Gap:
    """Candles that are missing: from the first missing one's opening to the opening of the next that is there."""

    begin_at_ms: int
    end_at_ms: int
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candles:
    """The candles of one symbol and interval; volumes in base asset."""

    symbol: str
    interval_s: int
    open_at_ms: Moments
    open: Numbers
    high: Numbers
    low: Numbers
    close: Numbers
    volume: Numbers

    def __len__(self) -> int:
        return len(self.open_at_ms)

    @property
    def interval_ms(self) -> int:
        """The interval in milliseconds."""
        return self.interval_s * 1000

    @property
    def begin_at_ms(self) -> int:
        """When the first candle opened."""
        return self.open_at_ms[0]

    @property
    def end_at_ms(self) -> int:
        """When the last candle closed."""
        return self.open_at_ms[-1] + self.interval_ms

    def candle(self, index: int) -> Candle:
        """Return a candle as the core's strategies take it; how many trades made it is not recorded here."""
        return Candle(
            self.symbol,
            self.interval_s,
            self.open_at_ms[index],
            self.open[index],
            self.high[index],
            self.low[index],
            self.close[index],
            self.volume[index],
            0,
        )

    def rows(self) -> Iterator[Candle]:
        """Yield each candle as an object."""
        return map(self.candle, range(len(self)))

    def between(self, begin_at_ms: int | None, end_at_ms: int | None) -> "Candles":
        """Return the candles that open within a time: from `begin_at_ms` on, before `end_at_ms`."""
        begin = 0 if begin_at_ms is None else bisect_left(self.open_at_ms, begin_at_ms)
        end = len(self) if end_at_ms is None else bisect_left(self.open_at_ms, end_at_ms)
        return Candles(
            symbol=self.symbol,
            interval_s=self.interval_s,
            open_at_ms=self.open_at_ms[begin:end],
            open=self.open[begin:end],
            high=self.high[begin:end],
            low=self.low[begin:end],
            close=self.close[begin:end],
            volume=self.volume[begin:end],
        )

    def gaps(self) -> list[Gap]:
        """Return where candles are missing between the first and the last."""
        interval_ms = self.interval_ms
        return [
            Gap(before + interval_ms, after, (after - before) // interval_ms - 1)
            for before, after in zip(self.open_at_ms, islice(self.open_at_ms, 1, None), strict=False)
            if after - before != interval_ms
        ]

    def over(self, interval_s: int) -> "Candles":
        """Return the candles of a longer interval; one of which any part is missing is missing too.

        Raises:
            ValueError: The interval is no multiple of this one, or does not divide a day.
        """
        if interval_s == self.interval_s:
            return self
        if interval_s < 1 or interval_s % self.interval_s or 86_400 % interval_s:
            raise ValueError(
                f"expected a multiple of the candles' {self.interval_s} s that divides a day, found {interval_s} s"
            )
        parts, interval_ms = interval_s // self.interval_s, interval_s * 1000
        times = self.open_at_ms
        last_part_ms = interval_ms - self.interval_ms
        firsts = [
            index
            for index in range(len(self) - parts + 1)
            if times[index] % interval_ms == 0 and times[index + parts - 1] - times[index] == last_part_ms
        ]
        return Candles(
            symbol=self.symbol,
            interval_s=interval_s,
            open_at_ms=array("q", [times[index] for index in firsts]),
            open=array("d", [self.open[index] for index in firsts]),
            high=array("d", [max(self.high[index : index + parts]) for index in firsts]),
            low=array("d", [min(self.low[index : index + parts]) for index in firsts]),
            close=array("d", [self.close[index + parts - 1] for index in firsts]),
            volume=array("d", [sum(self.volume[index : index + parts]) for index in firsts]),
        )
