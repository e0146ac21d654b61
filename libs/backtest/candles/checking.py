"""Turn columns into candles, or say which row of which column cannot be believed.

Invariant: the columns are looked through at the speed of C; a row is only looked at by itself once one is known to be
wrong.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice, repeat
from math import isfinite
from operator import ge, gt, le, lt, mod, sub

from libs.backtest.candles.columns import Candles, Moments, Numbers
from libs.backtest.candles.errors import CandlesError
from libs.common.clock import from_epoch_ms

PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume")
DAY_MS = 86_400_000
NUMBER_MAX = 1e15  # beyond it floats do not tell whole numbers apart, and no market has such numbers


@dataclass(slots=True)
class Columns:
    """What a file holds, as far as it could be read.

    Attributes:
        where: The file, for messages.
        first_row: The number that a person gives the first candle's row in this file.
    """

    where: str
    first_row: int = 1
    open_at_ms: Moments = field(default_factory=lambda: array("q"))
    numbers: dict[str, Numbers] = field(default_factory=lambda: {name: array("d") for name in NUMBERS})

    def place(self, index: int, column: str) -> str:
        """Return where a value stands, in words."""
        return f"{self.where}: row {index + self.first_row}, column {column}"


def checked(columns: Columns, symbol: str) -> Candles:
    """Return the candles that the columns hold.

    Raises:
        CandlesError: A value that is not a number, times that do not rise or do not lie on the interval, or a price
            outside of its candle.
    """
    if len(columns.open_at_ms) < 2:  # noqa: PLR2004 - two moments make an interval
        raise CandlesError(where=columns.where, expected="two candles or more", found=str(len(columns.open_at_ms)))
    _check_numbers(columns)
    _check_order(columns)
    interval_ms = _interval_ms(columns)
    _check_prices(columns)
    return Candles(symbol=symbol, interval_s=interval_ms // 1000, open_at_ms=columns.open_at_ms, **columns.numbers)


def _check_numbers(columns: Columns) -> None:
    for name, values in columns.numbers.items():
        if not all(map(isfinite, values)):
            index = next(index for index, value in enumerate(values) if not isfinite(value))
            raise CandlesError(where=columns.place(index, name), expected="a number", found=str(values[index]))
        if max(values) >= NUMBER_MAX:
            index = next(index for index, value in enumerate(values) if value >= NUMBER_MAX)
            raise CandlesError(
                where=columns.place(index, name), expected=f"less than {NUMBER_MAX:g}", found=str(values[index])
            )
        lowest = 0.0
        compare = ge if name == "volume" else gt
        if not all(map(compare, values, repeat(lowest))):
            index = next(index for index, value in enumerate(values) if not compare(value, lowest))
            expected = "0 or more" if name == "volume" else "a price above 0"
            raise CandlesError(where=columns.place(index, name), expected=expected, found=str(values[index]))


def _check_order(columns: Columns) -> None:
    times = columns.open_at_ms
    if all(map(lt, times, islice(times, 1, None))):
        return
    index = next(index for index in range(1, len(times)) if times[index] <= times[index - 1])
    at, before = _moment(times[index]), _moment(times[index - 1])
    found = f"{at} twice" if at == before else f"{at}, which is earlier"
    raise CandlesError(where=columns.place(index, "open_at"), expected=f"a time after {before}", found=found)


def _interval_ms(columns: Columns) -> int:
    """Return the interval: the distance that most candles have; every time must be a multiple of it."""
    times = columns.open_at_ms
    distances: Counter[int] = Counter(map(sub, islice(times, 1, None), times))
    interval_ms = distances.most_common(1)[0][0]
    if interval_ms % 1000 or DAY_MS % interval_ms:
        raise CandlesError(
            where=f"{columns.where}: column open_at",
            expected="candles of whole seconds that divide a day",
            found=f"most of them {interval_ms / 1000:g} s apart",
        )
    if any(map(mod, times, repeat(interval_ms))):
        index = next(index for index, at in enumerate(times) if at % interval_ms)
        raise CandlesError(
            where=columns.place(index, "open_at"),
            expected=f"a multiple of {interval_ms // 1000} s, the distance of most candles",
            found=_moment(times[index]),
        )
    return interval_ms


def _check_prices(columns: Columns) -> None:
    numbers = columns.numbers
    high, low = numbers["high"], numbers["low"]
    rules: Sequence[tuple[str, Callable[[float, float], bool], Numbers, str]] = (
        ("low", le, high, "at most the high"),
        ("open", le, high, "at most the high"),
        ("open", ge, low, "at least the low"),
        ("close", le, high, "at most the high"),
        ("close", ge, low, "at least the low"),
    )
    for name, compare, bounds, expected in rules:
        values = numbers[name]
        if not all(map(compare, values, bounds)):
            index = next(index for index, value in enumerate(values) if not compare(value, bounds[index]))
            raise CandlesError(
                where=columns.place(index, name), expected=f"{expected}, {bounds[index]}", found=str(values[index])
            )


def _moment(at_ms: int) -> str:
    return from_epoch_ms(at_ms).isoformat()
