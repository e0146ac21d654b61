"""Trades into candles of one interval.

Invariant: a trade that is taken is in exactly one candle, candles follow each other without a hole, and a candle that
may miss a trade says so (`partial`).
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

GRACE_MS: Final = 200
"""How long after its end a period waits for its last trades, unless a trade of a later period closes it before."""

PERIODS_AT_ONCE_MAX: Final = 600
"""Longer silence (a suspended process) leaves a hole rather than a flood; the repair fills it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A closed period of one symbol and interval."""

    open_at_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int
    trade_id_last: int
    partial: bool


class CandleBuilder:
    """Builds the candles of one symbol and interval from its trades and the passing of the exchange's time.

    Until `connect` and after `disconnect` trades may be missed: every period that such a time touches is partial. So a
    period is complete if it opened at or after the moment from which every trade has arrived.
    """

    def __init__(self, interval_s: int) -> None:
        self.interval_ms = interval_s * 1000
        self._complete_from_ms: int | None = None
        self._open_at_ms: int | None = None
        self._close: Decimal | None = None
        self._open = self._high = self._low = self._volume = Decimal(0)
        self._trades = 0
        self._trade_id_last = 0

    @property
    def is_connected(self) -> bool:
        """Whether every trade arrives."""
        return self._complete_from_ms is not None

    def connect(self, now_ms: int) -> None:
        """From now on, in the exchange's time, every trade arrives."""
        self._complete_from_ms = now_ms

    def disconnect(self) -> None:
        """From now on trades may be missed."""
        self._complete_from_ms = None

    def seed(self, close: Decimal, now_ms: int) -> None:
        """Begin with a known last price where no trade has come yet, so that empty periods can be told."""
        if self._close is None:
            self._close = close
            self._open_at_ms = self._period_of(now_ms)

    def is_late(self, traded_at_ms: int) -> bool:
        """Whether the trade's period has closed, so that it cannot be taken any more."""
        return self._open_at_ms is not None and traded_at_ms < self._open_at_ms

    def on_trade(self, *, price: Decimal, quantity: Decimal, trade_id: int, traded_at_ms: int) -> list[Period]:
        """Take a trade that is not late and return the periods that it closed, oldest first."""
        opened_at_ms = self._period_of(traded_at_ms)
        if self._open_at_ms is None:
            self._open_at_ms = opened_at_ms
        closed = self._close_until(opened_at_ms)
        if self._trades == 0:
            self._open = self._high = self._low = price
        else:
            self._high = max(self._high, price)
            self._low = min(self._low, price)
        self._close = price
        self._volume += quantity
        self._trades += 1
        self._trade_id_last = trade_id
        return closed

    def on_time(self, now_ms: int) -> list[Period]:
        """Return the periods that ended `GRACE_MS` ago or earlier, oldest first."""
        return self._close_until(self._period_of(now_ms - GRACE_MS))

    def _close_until(self, opened_at_ms: int) -> list[Period]:
        if self._open_at_ms is None:
            return []
        closed = []
        while self._open_at_ms < opened_at_ms:
            period = self._closed()
            if period is not None:
                closed.append(period)
            self._open_at_ms += self.interval_ms
            if len(closed) == PERIODS_AT_ONCE_MAX:
                self._open_at_ms = opened_at_ms
        return closed

    def _closed(self) -> Period | None:
        """Close the current period and begin the next; an empty one is flat at the last price, if there is one."""
        if self._close is None:
            return None
        if self._trades == 0:
            self._open = self._high = self._low = self._close
        open_at_ms = self._open_at_ms or 0
        period = Period(
            open_at_ms=open_at_ms,
            open=self._open,
            high=self._high,
            low=self._low,
            close=self._close,
            volume=self._volume,
            trades=self._trades,
            trade_id_last=self._trade_id_last,
            partial=self._complete_from_ms is None or open_at_ms < self._complete_from_ms,
        )
        self._volume = Decimal(0)
        self._trades = self._trade_id_last = 0
        return period

    def _period_of(self, at_ms: int) -> int:
        return at_ms // self.interval_ms * self.interval_ms
