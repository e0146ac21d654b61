"""What the account was worth at each candle's close, and what the daily loss is measured against.

Invariant: a mark is made once for each candle, in order, at the bid of its close; the peak is of the marks of the last
24 hours, and the day's baseline the last mark at or before 00:00 UTC, as live.
"""

from array import array
from bisect import bisect_left
from collections import deque
from decimal import Decimal
from typing import Final

from libs.backtest.candles.columns import Candles, Numbers
from libs.trading.money import to_decimal
from libs.trading.risk import DailyLoss, DailyLossLevel, daily_loss

DAY_MS: Final = 86_400_000
_MONEY_STEP: Final = Decimal("1e-8")
_NEAR: Final = 1.0 - 1e-9
"""Floats only tell what is worth a look; the exact rule decides."""


class EquityCurve:
    """Marks an account to the market.

    Args:
        candles: What it is marked with.
        cash: Its worth before the first candle.
        bid_rate: The bid as a fraction of the close.
        daily_loss_limit_pct: In percent of the day's baseline.
    """

    def __init__(self, candles: Candles, cash: Decimal, *, bid_rate: float, daily_loss_limit_pct: Decimal) -> None:
        self._candles = candles
        self._opening = float(cash)
        self._bid_rate = bid_rate
        self._limit_pct = daily_loss_limit_pct
        self._limit_rate = float(daily_loss_limit_pct) / 100.0
        self._stretches: deque[tuple[int, int, float]] = deque()  # (first, last, highest mark), falling
        self.marks: Numbers = array("d")

    def extend(self, end: int, cash: Decimal, quantity: Decimal, *, is_watched: bool) -> DailyLoss | None:
        """Mark the candles up to `end` (exclusive), all with the same holdings.

        Args:
            end: Where to stop.
            cash: In quote asset.
            quantity: In base asset.
            is_watched: Whether to stop after the first mark at which the daily loss limit is reached.

        Returns:
            That loss; None where the marks reached `end`.
        """
        begin = len(self.marks)
        if begin >= end:
            return None
        fixed, held = float(cash), float(quantity) * self._bid_rate
        if held:
            stretch = [fixed + held * close for close in self._candles.close[begin:end]]
        else:
            stretch = [fixed] * (end - begin)
        highest = max(stretch)
        if not (is_watched and self._may_reach(min(stretch), highest)):
            self._append(stretch, highest)
            return None
        for mark in stretch:
            self._append([mark], mark)
            if (loss := self._loss()) is not None:
                return loss
        return None

    def peak(self) -> Decimal:
        """Return the highest mark of the 24 hours up to the last one."""
        return to_decimal(self._peak(), _MONEY_STEP)

    def day_start(self) -> Decimal:
        """Return the baseline of the day of the last mark."""
        return to_decimal(self._baseline(max(len(self.marks) - 1, 0)), _MONEY_STEP)

    def _append(self, stretch: list[float], highest: float) -> None:
        stretches = self._stretches
        while stretches and stretches[-1][2] <= highest:
            stretches.pop()
        begin = len(self.marks)
        self.marks.extend(stretch)
        stretches.append((begin, len(self.marks) - 1, highest))

    def _peak(self) -> float:
        stretches, times = self._stretches, self._candles.open_at_ms
        if not stretches:
            return self._opening
        begin = bisect_left(times, times[len(self.marks) - 1] - DAY_MS)
        while stretches[0][1] < begin:
            stretches.popleft()
        first, last, highest = stretches[0]
        if first < begin:  # a part of it has left the window
            highest = max(self.marks[begin : last + 1])
            if len(stretches) > 1 and highest <= stretches[1][2]:
                stretches.popleft()
            else:
                stretches[0] = (begin, last, highest)
        return stretches[0][2]

    def _baseline(self, index: int) -> float:
        """Return the last mark at or before the 00:00 UTC of a candle's close."""
        times = self._candles.open_at_ms
        before = bisect_left(times, (times[index] + self._candles.interval_ms) // DAY_MS * DAY_MS) - 1
        return self.marks[before] if 0 <= before < len(self.marks) else self._opening

    def _may_reach(self, lowest: float, highest: float) -> bool:
        """Whether any mark of a stretch could reach the limit, by the greatest loss and the least limit that there are.

        The front of the earlier stretches is the highest mark of more than a day. A baseline is an earlier mark too: of
        this stretch, or within that time but for an outage of hours around midnight, for which there is the last day's.
        """
        if self._stretches:
            highest = max(highest, self._stretches[0][2], self._baseline(len(self.marks) - 1))
        else:
            highest = max(highest, self._opening)
        return highest - lowest >= lowest * self._limit_rate * _NEAR

    def _loss(self) -> DailyLoss | None:
        """Return the loss at the last mark, if it reaches the limit."""
        mark, baseline, peak = self.marks[-1], self._baseline(len(self.marks) - 1), self._peak()
        if max(baseline, peak) - mark < baseline * self._limit_rate * _NEAR:
            return None
        worth, start, highest = (to_decimal(value, _MONEY_STEP) for value in (mark, baseline, peak))
        loss = daily_loss(worth, start, highest, self._limit_pct)
        return loss if loss.level is DailyLossLevel.EXCEEDED else None
