"""A backtest as a bare loop, written from the documents: it imports nothing of ours, so that it can contradict us.

Prices are whole ticks (cents), quantities and fees whole units of 1e-8, fractions exact; only indicators are floats.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor, fsum, log, sqrt

UNIT = 10**8
STEP = 1_000  # units of BTC in one step of 0.00001
EPOCH_WARM_UPS = 4

Row = tuple[int, float, float, float, float, float]  # opened at (ms), open, high, low, close, volume
Ticks = int
Units = int


@dataclass(frozen=True)
class Wish:
    """What a rule wishes at the close of a candle; an exit has no prices."""

    index: int
    stop: float = 0.0
    target: float = 0.0
    quality: int = 0

    @property
    def is_entry(self) -> bool:
        return self.stop > 0.0


@dataclass(frozen=True)
class BareTrade:
    opened: int
    closed: int
    quantity: Units
    bought_at: Ticks
    sold_at: Ticks
    quality: int
    kind: str


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is configured; percentages and fractions as written there."""

    size_pct: Fraction = Fraction(2)
    quality_min: int = 50
    collar: Fraction = Fraction(1, 1000)
    fee: Fraction = Fraction(1, 1000)
    spread: Fraction = Fraction(1, 10_000)
    slippage: Fraction = Fraction(1, 10_000)
    volatility_max: float = 0.02
    jump_max: float = 0.03
    exit_after_ms: int | None = None
    cash: Units = 10_000 * UNIT


@dataclass(frozen=True, kw_only=True)
class Exits:
    """Distances of stop and target: in average true ranges, or in percent."""

    stop: float
    target: float
    by_atr: bool
    atr_period: int = 14
    cost_rate: float = 0.002


# Signals: one pass over each run of an anchored state.

Strength = Callable[[float], float]
"""Points of the rule's own aspect of quality, out of 30, for an average true range."""

Rule = Callable[[Sequence[Row]], Iterator[tuple[bool, Strength] | None]]
"""Yields for each row what the rule wishes (True: enter) and how clearly, or None."""


def wishes(
    rows: Sequence[Row], interval_ms: int, rule: Rule, exits: Exits, *, rule_window: int, pace: int
) -> list[Wish]:
    warm_up = max(rule_window, 9 * exits.atr_period + 1, 5 * pace)
    found = []
    for start, begin, end in runs([row[0] for row in rows], interval_ms, warm_up):
        stretch = rows[start:end]
        ranges = average_true_ranges(stretch, exits.atr_period)
        volumes = exponential_averages([row[5] for row in stretch], pace)
        for place, wish in enumerate(rule(stretch)):
            if wish is None or start + place < begin:
                continue
            row, (atr, true_range), volume = stretch[place], ranges[place], volumes[place]
            assert atr is not None
            assert true_range is not None
            assert volume is not None
            is_entry, strength = wish
            points = [(strength(atr), 30.0)]
            points.append((25 * (1 - ramp(true_range / atr if atr else 0.0, 1.5, 4.0)), 25.0))
            points.append((20 * ramp(row[5] / volume if volume else 0.0, 0.5, 1.5), 20.0))
            if not is_entry:
                found.append(Wish(start + place))
                continue
            close = row[4]
            unit = atr if exits.by_atr else close / 100
            points.append((25 * ramp(exits.target * unit / close / exits.cost_rate, 1.0, 3.0), 25.0))
            quality = round(100 * sum(got for got, _ in points) / sum(most for _, most in points))
            if 0 < exits.stop * unit < close:
                found.append(Wish(start + place, close - exits.stop * unit, close + exits.target * unit, quality))
    return found


def runs(times: Sequence[int], interval_ms: int, warm_up: int) -> list[tuple[int, int, int]]:
    """Return (first candle of a state, first and end of the candles it decides on): the rule of decision 0005."""
    epoch = EPOCH_WARM_UPS * warm_up
    breaks = [index for index in range(1, len(times)) if times[index] - times[index - 1] != interval_ms]
    found = []
    for first, end in zip([0, *breaks], [*breaks, len(times)], strict=True):
        number = times[first] // interval_ms
        anchored = [first + offset for offset in range(end - first) if (number + offset + warm_up) % epoch == 0]
        starts = list(anchored)
        if first in breaks and not any(first <= start < first + warm_up for start in anchored):
            starts.insert(0, first)
        dues = [start + warm_up for start in starts]
        for start, due, until in zip(starts, dues, [*dues[1:], end], strict=True):
            if due < end:
                found.append((start, due, min(until, end)))
    return found


def exponential_averages(values: Sequence[float], period: int) -> list[float | None]:
    averages: list[float | None] = [None] * (period - 1)
    average = 0.0
    for value in values[:period]:
        average += value / period
    averages.append(average)
    rate = 2 / (period + 1)
    for value in values[period:]:
        average = rate * value + (1 - rate) * average
        averages.append(average)
    return averages[: len(values)]


def average_true_ranges(rows: Sequence[Row], period: int) -> list[tuple[float | None, float | None]]:
    found: list[tuple[float | None, float | None]] = [(None, None)]
    seed: list[float] = []
    average: float | None = None
    for (*_, close_before, _), (_, _, high, low, _, _) in pairwise(rows):
        true_range = max(high, close_before) - min(low, close_before)
        if average is None:
            seed.append(true_range)
            average = sum(seed) / period if len(seed) == period else None
        else:
            average = (average * (period - 1) + true_range) / period
        found.append((average, true_range))
    return found


def ema_cross(fast: int, slow: int) -> Rule:
    def rule(rows: Sequence[Row]) -> Iterator[tuple[bool, Strength] | None]:
        closes = [row[4] for row in rows]
        before = 0.0
        for quick, lazy in zip(exponential_averages(closes, fast), exponential_averages(closes, slow), strict=True):
            now = quick - lazy if quick is not None and lazy is not None else 0.0
            crossed = before <= 0 < now or before >= 0 > now
            yield (now > 0, beyond_by(abs(now), 0.25, in_atr=True)) if crossed else None
            before = now

    return rule


def rsi_reversion(period: int, oversold: float, overbought: float) -> Rule:
    def rule(rows: Sequence[Row]) -> Iterator[tuple[bool, Strength] | None]:
        before = None
        for now in relative_strengths([row[4] for row in rows], period):
            if before is None or now is None:
                yield None
            elif before < overbought <= now:
                yield (False, beyond_by(now - overbought, 10, in_atr=False))
            elif before < oversold <= now:
                yield (True, beyond_by(oversold - before, 10, in_atr=False))
            else:
                yield None
            before = now

    return rule


def relative_strengths(closes: Sequence[float], period: int) -> Iterator[float | None]:
    changes = [after - before for before, after in pairwise(closes)]
    gain = sum(max(change, 0.0) for change in changes[:period]) / period
    loss = sum(max(-change, 0.0) for change in changes[:period]) / period
    yield from [None] * period
    yield 100 - 100 / (1 + gain / loss) if loss else 100.0 if gain else 50.0
    for change in changes[period:]:
        gain = (gain * (period - 1) + max(change, 0.0)) / period
        loss = (loss * (period - 1) + max(-change, 0.0)) / period
        yield 100 - 100 / (1 + gain / loss) if loss else 100.0 if gain else 50.0


def donchian_trend(entry: int, leave: int) -> Rule:
    def rule(rows: Sequence[Row]) -> Iterator[tuple[bool, Strength] | None]:
        for place, row in enumerate(rows):
            close, before = row[4], rows[place - 1][4]
            if place > entry:
                top = max(other[2] for other in rows[place - entry : place])
                top_before = max(other[2] for other in rows[place - entry - 1 : place - 1])
                if before <= top_before and close > top:
                    yield (True, beyond_by(close - top, 0.5, in_atr=True))
                    continue
            if place > leave:
                bottom = min(other[3] for other in rows[place - leave : place])
                bottom_before = min(other[3] for other in rows[place - leave - 1 : place - 1])
                if before >= bottom_before and close < bottom:
                    yield (False, beyond_by(bottom - close, 0.5, in_atr=True))
                    continue
            yield None

    return rule


def beyond_by(distance: float, enough: float, *, in_atr: bool) -> Strength:
    return lambda atr: 30 * ramp(distance / atr if in_atr else distance, 0, enough)


def ramp(value: float, lowest: float, highest: float) -> float:
    return min(max((value - lowest) / (highest - lowest), 0.0), 1.0)


# The account: what the wishes come to.


def bare_backtest(  # noqa: C901, PLR0912, PLR0915 - one loop from top to bottom is what makes it easy to believe
    rows: Sequence[Row], interval_ms: int, found: Sequence[Wish], rules: Rules
) -> list[BareTrade]:
    wish_at = {wish.index: wish for wish in found}
    cash, held, trades = rules.cash, 0, []
    opened = bought_at = quantity = stop = target = protected = quality = 0
    is_open = False
    order: tuple[str, Units, Ticks] | None = None  # what is sent at the next open: kind, quantity, limit

    def sell(index: int, kind: str, units: Units, price: Ticks) -> None:
        nonlocal cash, held, is_open, protected
        amount = units * price // 100
        cash += amount - half_up(amount * rules.fee)
        held -= units
        protected = 0
        if held // STEP * STEP * price < 500 * UNIT:
            is_open = False
            trades.append(BareTrade(opened, index, quantity, bought_at, price, quality, kind))

    market = rules.spread / 2 + rules.slippage
    for index, (at_ms, opening, high, low, close, _) in enumerate(rows):
        first, top, bottom = round(opening * 100), round(high * 100), round(low * 100)
        if order is not None and order[0] == "entry":
            _, units, limit = order
            price = ceil(first * (1 + market))
            if at_ms - rows[index - 1][0] == interval_ms and price <= limit:
                received = units - half_up(units * rules.fee)
                cash -= units * price // 100
                held += received
                protected = received // STEP * STEP
                is_open, opened, bought_at, quantity = True, index, price, units
        elif order is not None:
            sell(index, order[0], order[1], floor(first * (1 - market)))
        elif is_open and rules.exit_after_ms is not None and at_ms >= rows[opened][0] + rules.exit_after_ms:
            sell(index, "time", held // STEP * STEP, floor(first * (1 - market)))
        order = None

        if protected and first <= stop:
            sell(index, "stop_loss", protected, floor(first * (1 - market)))
        elif protected and first > target:
            sell(index, "take_profit", protected, target)
        elif protected and bottom <= stop:
            sell(index, "stop_loss", protected, floor(stop * (1 - market)))
        elif protected and top > target:
            sell(index, "take_profit", protected, target)

        wish = wish_at.get(index)
        if wish is None or index + 1 == len(rows):
            continue
        if not wish.is_entry:
            if is_open:
                order = ("strategy", held // STEP * STEP, 0)
            continue
        last = round(close * 100)
        bid = floor(last * (1 - rules.spread / 2))
        ask = max(ceil(last * (1 + rules.spread / 2)), bid + 1)
        middle = Fraction(bid + ask, 2)
        wish_stop, wish_target = ticks(wish.stop), ticks(wish.target)
        calm = high - low <= low * rules.jump_max and minute_volatility(rows, index) <= rules.volatility_max
        if is_open or wish.quality < rules.quality_min or not calm or not wish_stop < bid < ask < wish_target:
            continue
        limit = min(floor(middle * (1 + rules.collar)), wish_target - 1)
        equity = cash + held * Fraction(bid, 100)
        units = floor(equity * rules.size_pct / 100 / (limit * Fraction(STEP, 100))) * STEP
        if units * limit >= 500 * UNIT:
            order = ("entry", units, limit)
            stop, target, quality = wish_stop, wish_target, wish.quality
    return trades


def minute_volatility(rows: Sequence[Row], index: int) -> float:
    closes = [row[4] for row in rows[index - 30 : index + 1]]
    returns = [log(after / before) for before, after in pairwise(closes)]
    mean = fsum(returns) / len(returns)
    return sqrt(fsum((value - mean) ** 2 for value in returns) / (len(returns) - 1))


def ticks(price: float) -> Ticks:
    return floor(Fraction(repr(price)) * 100 + Fraction(1, 2))


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))
