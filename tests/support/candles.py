"""Candles for tests, made by hand."""

from array import array
from collections.abc import Sequence

from libs.backtest.candles import Candles

BEGIN_MS = 1_583_020_800_000  # 2020-03-01T00:00:00Z

Bar = tuple[float, float, float, float]  # open, high, low, close


def flat(price: float, count: int) -> list[Bar]:
    """Return candles that stand still but for a cent to either side, so that there is a range."""
    return [(price, price + 0.01, price - 0.01, price)] * count


def candles_of(bars: Sequence[Bar], *, begin_at_ms: int = BEGIN_MS, missing: Sequence[int] = ()) -> Candles:
    """Return minutes of BTC/USDT.

    Args:
        bars: The minutes that are there.
        begin_at_ms: When the first opened.
        missing: Before which bars (by their place) a minute is missing; a place named twice misses two.
    """
    times, at_ms = [], begin_at_ms
    for place in range(len(bars)):
        at_ms += 60_000 * missing.count(place)
        times.append(at_ms)
        at_ms += 60_000
    opens, highs, lows, closes = zip(*bars, strict=True)
    return Candles(
        symbol="BTC/USDT",
        interval_s=60,
        open_at_ms=array("q", times),
        open=array("d", opens),
        high=array("d", highs),
        low=array("d", lows),
        close=array("d", closes),
        volume=array("d", [1.0] * len(bars)),
    )
