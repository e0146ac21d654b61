"""Which periods Binance serves, and how longer ones are made of them.

Invariant: folding changes no total: volumes and trades add up, the first open and the last close stay.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Final

from libs.exchange.market_data.port import Kline

BINANCE_INTERVALS: Final = {
    86_400: "1d",
    43_200: "12h",
    28_800: "8h",
    21_600: "6h",
    14_400: "4h",
    7_200: "2h",
    3_600: "1h",
    1_800: "30m",
    900: "15m",
    300: "5m",
    180: "3m",
    60: "1m",
    1: "1s",
}
"""Binance's names of its intervals by their seconds, longest first."""


def served_interval_s(interval_s: int) -> int:
    """Return the longest interval that Binance serves and that divides `interval_s`."""
    return next(served_s for served_s in BINANCE_INTERVALS if interval_s % served_s == 0)


def fold(klines: Iterable[Kline], interval_s: int) -> list[Kline]:
    """Return the klines of `interval_s` that shorter ones, oldest first, make up."""
    interval_ms = interval_s * 1000
    return [
        _folded(open_at_ms, list(members))
        for open_at_ms, members in groupby(klines, lambda kline: kline.open_at_ms // interval_ms * interval_ms)
    ]


def _folded(open_at_ms: int, members: list[Kline]) -> Kline:
    return Kline(
        open_at_ms=open_at_ms,
        open=members[0].open,
        high=max(member.high for member in members),
        low=min(member.low for member in members),
        close=members[-1].close,
        volume=sum((member.volume for member in members[1:]), members[0].volume),
        trades=sum(member.trades for member in members),
    )
