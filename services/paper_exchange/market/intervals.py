"""Binance's candle intervals and where each candle begins.

Invariant: candles of one interval tile time without gap or overlap, aligned as Binance aligns them (UTC).
"""

from datetime import UTC, datetime

_SECOND_MS = 1_000
_MINUTE_MS = 60 * _SECOND_MS
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS
_WEEK_MS = 7 * _DAY_MS
_FIRST_MONDAY_MS = 4 * _DAY_MS  # 1970-01-05
_MONTH = "1M"
_MONTHS_A_YEAR = 12

_FIXED_MS = {
    "1s": _SECOND_MS,
    "1m": _MINUTE_MS,
    "3m": 3 * _MINUTE_MS,
    "5m": 5 * _MINUTE_MS,
    "15m": 15 * _MINUTE_MS,
    "30m": 30 * _MINUTE_MS,
    "1h": _HOUR_MS,
    "2h": 2 * _HOUR_MS,
    "4h": 4 * _HOUR_MS,
    "6h": 6 * _HOUR_MS,
    "8h": 8 * _HOUR_MS,
    "12h": 12 * _HOUR_MS,
    "1d": _DAY_MS,
    "3d": 3 * _DAY_MS,
    "1w": _WEEK_MS,
}
INTERVALS = (*_FIXED_MS, _MONTH)


def candle_start(interval: str, at_ms: int, *, candles_back: int = 0, zone_ms: int = 0) -> int:
    """Return the start of the candle that holds `at_ms`, or of one that many candles before it.

    `zone_ms` is how far the days begin before those of UTC.
    """
    if zone_ms:
        return candle_start(interval, at_ms + zone_ms, candles_back=candles_back) - zone_ms
    if interval == _MONTH:
        moment = datetime.fromtimestamp(at_ms // 1_000, UTC)
        year, month = divmod(moment.year * _MONTHS_A_YEAR + moment.month - 1 - candles_back, _MONTHS_A_YEAR)
        return int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp()) * 1_000
    length_ms = _FIXED_MS[interval]
    origin_ms = _FIRST_MONDAY_MS if interval == "1w" else 0
    return (at_ms - origin_ms) // length_ms * length_ms + origin_ms - candles_back * length_ms


def next_candle_start(interval: str, start_ms: int, *, zone_ms: int = 0) -> int:
    """Return the start of the candle after the one that starts at `start_ms`."""
    return candle_start(interval, start_ms, candles_back=-1, zone_ms=zone_ms)
