"""The baseline of the candle backtest: the same rules as one bare loop over floats, with nothing of ours in it.

It knows one strategy, one kind of exits and one way of sizing, and keeps no books but cash and coins: what a person
would write for this one question. That it trades on the same candles as the backtest is checked in every run.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, floor, log, sqrt
from typing import Final

Row = tuple[int, float, float, float, float, float]
"""Opened at (ms), open, high, low, close, volume."""

MINUTE_MS: Final = 60_000
ATR: Final = 14
STOP_ATR, TARGET_ATR = 2.0, 4.0
COST_RATE: Final = 0.002
QUALITY_MIN: Final = 50
FEE, HALF_SPREAD, MARKET = 0.001, 0.00005, 0.00015
COLLAR: Final = 0.001
SIZE: Final = 0.02
STEP: Final = 0.00001
NOTIONAL_MIN: Final = 5.0
VOLATILITY_MAX, JUMP_MAX = 0.02, 0.03


def bare_loop(rows: Sequence[Row], cash: float, *, fast_period: int, slow_period: int) -> list[tuple[int, int]]:  # noqa: C901, PLR0912, PLR0915 - bare
    """Return the places of the candles at which each round trip began and ended."""
    fast_rate, slow_rate = 2 / (fast_period + 1), 2 / (slow_period + 1)
    trades: list[tuple[int, int]] = []
    coins = sellable = stop = target = 0.0
    opened = -1
    covered = 0
    order = 0  # 1: buy at the next open, -1: sell
    limit = size = 0.0
    for start, begin, end in _runs(rows, max(5 * slow_period, 9 * ATR + 1)):
        # The averages are seeded with simple averages, as everywhere.
        first = rows[start : start + slow_period]
        fast = sum(row[4] for row in first[:fast_period]) / fast_period
        for row in first[fast_period:]:
            fast += (row[4] - fast) * fast_rate
        slow = sum(row[4] for row in first) / slow_period
        volume = sum(row[5] for row in first) / slow_period
        ranges = [max(now[2], before[4]) - min(now[3], before[4]) for before, now in pairwise(first)]
        atr = sum(ranges[:ATR]) / ATR
        for true_range in ranges[ATR:]:
            atr += (true_range - atr) / ATR
        last, apart = first[-1][4], fast - slow
        for _, _, high, low, close, traded in rows[start + slow_period : begin]:
            fast += (close - fast) * fast_rate
            slow += (close - slow) * slow_rate
            volume += (traded - volume) * slow_rate
            top = high if high > last else last  # noqa: FURB136 - the baseline must not be slow where it need not
            bottom = low if low < last else last  # noqa: FURB136
            atr += (top - bottom - atr) / ATR
            last, apart = close, fast - slow
        # A position is held through the warm-up after a gap too.
        for place, (at_ms, price, high, low, close, traded) in enumerate(rows[covered:end], covered):
            if order:
                if order < 0:
                    cash += coins * price * (1 - MARKET) * (1 - FEE)
                    coins = sellable = 0.0
                    trades.append((opened, place))
                    opened = -1
                elif ceil(round(price * 100 * (1 + MARKET), 6)) <= limit and at_ms - rows[place - 1][0] == MINUTE_MS:
                    cash -= size * price * (1 + MARKET)
                    coins += size * (1 - FEE)
                    sellable = floor(size * (1 - FEE) / STEP) * STEP
                    opened = place
                order = 0
            if sellable and (low <= stop or high > target):
                is_stopped = low <= stop and price <= target
                sold_at = min(stop, price) * (1 - MARKET) if is_stopped else target
                cash += sellable * sold_at * (1 - FEE)
                coins -= sellable
                sellable = 0.0
                if floor(coins / STEP) * STEP * sold_at < NOTIONAL_MIN:  # else the dust of many trades is a position
                    trades.append((opened, place))
                    opened = -1
            if place < begin:
                continue
            fast += (close - fast) * fast_rate
            slow += (close - slow) * slow_rate
            volume += (traded - volume) * slow_rate
            top = high if high > last else last  # noqa: FURB136 - as above
            bottom = low if low < last else last  # noqa: FURB136
            true_range = top - bottom
            atr += (true_range - atr) / ATR
            last, before = close, apart
            apart = fast - slow
            if before >= 0.0 > apart:
                order = -1 if opened >= 0 else 0
            elif before <= 0.0 < apart and opened < 0:
                points = 30 * min(apart / atr / 0.25, 1.0)
                points += 25 * (1 - _ramp(true_range / atr, 1.5, 4.0))
                points += 20 * _ramp(traded / volume, 0.5, 1.5)
                points += 25 * _ramp(TARGET_ATR * atr / close / COST_RATE, 1.0, 3.0)
                if (
                    round(points) >= QUALITY_MIN
                    and high - low <= low * JUMP_MAX
                    and _volatility(rows, place) <= VOLATILITY_MAX
                ):
                    stop, target = round(close - STOP_ATR * atr, 2), round(close + TARGET_ATR * atr, 2)
                    limit = min(floor(close * 100 * (1 + COLLAR)), round(target * 100) - 1)
                    size = floor((cash + coins * close * (1 - HALF_SPREAD)) * SIZE / (limit / 100) / STEP) * STEP
                    order = 1
        covered = end
    return trades


def _runs(rows: Sequence[Row], warm_up: int) -> list[tuple[int, int, int]]:
    """Return where each set of averages starts, and from and to where it decides (see decision 0005)."""
    found, epoch = [], 4 * warm_up
    gaps = [place for place, (before, now) in enumerate(pairwise(rows), 1) if now[0] - before[0] != MINUTE_MS]
    for first, end in pairwise([0, *gaps, len(rows)]):
        to_anchor = (-warm_up - rows[first][0] // MINUTE_MS) % epoch
        starts = [*range(first + to_anchor, end, epoch)]
        if first and to_anchor >= warm_up:
            starts.insert(0, first)
        for start, following in pairwise([*starts, end]):
            if start + warm_up < end:
                found.append((start, start + warm_up, min(following + warm_up, end)))
    return found


def _ramp(value: float, lowest: float, highest: float) -> float:
    return min(max((value - lowest) / (highest - lowest), 0.0), 1.0)


def _volatility(rows: Sequence[Row], place: int) -> float:
    closes = [row[4] for row in rows[place - 30 : place + 1]]
    returns = [log(now / before) for before, now in pairwise(closes)]
    mean = sum(returns) / 30
    return sqrt(sum([(value - mean) ** 2 for value in returns]) / 29)
