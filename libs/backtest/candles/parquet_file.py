"""Candles from Parquet.

Invariant: a number comes out as the float nearest to what the file says. Arrow's own conversion of decimals does not
(one in eight prices is off in its last bit), so decimals are divided here.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from libs.backtest.candles.checking import NUMBERS, Columns
from libs.backtest.candles.errors import CandlesError
from libs.backtest.candles.names import positions
from libs.backtest.candles.times import milliseconds, moment_ms

ROWS_AT_ONCE: Final = 65_536
EXACT_DIGITS_MAX: Final = 15
"""Whole numbers of up to so many digits are exact as floats, and so is the power of ten they are divided by."""


def read_parquet(path: Path) -> Columns:
    """Read a file.

    Raises:
        CandlesError: It is no such file, has no columns of candles, or a value that is none; or the library that reads
            this format is not installed.
        OSError: It cannot be read.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - 100 ms and 30 MB for those who read this format
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise CandlesError(
            where=str(path), expected="pyarrow to read Parquet (pip install pyarrow), or a CSV file", found=str(error)
        ) from error
    columns = Columns(str(path))
    try:
        with path.open("rb") as opened, parquet.ParquetFile(opened) as file:
            names = file.schema_arrow.names
            places = positions(names, str(path))
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=[names[place] for place in places.values()]):
                read = len(columns.open_at_ms)
                times = batch.column(names[places["open_at"]])
                _refuse_missing(columns, "open_at", times, read)
                columns.open_at_ms.extend(_times(columns, times, pa, read))
                for name in NUMBERS:
                    values = batch.column(names[places[name]])
                    _refuse_missing(columns, name, values, read)
                    columns.numbers[name].extend(_floats(columns, name, values, pa))
    except pa.ArrowException as error:
        raise CandlesError(where=str(path), expected="a Parquet file", found=str(error).splitlines()[0]) from error
    return columns


def _refuse_missing(columns: Columns, name: str, values: Any, read: int) -> None:
    if values.null_count:
        index = values.is_null().to_pylist().index(True)
        raise CandlesError(where=columns.place(read + index, name), expected="a value", found="none")


def _times(columns: Columns, values: Any, pa: Any, read: int) -> Sequence[int]:
    kind = values.type
    if pa.types.is_timestamp(kind):
        return _integers(values.cast(pa.timestamp("ms", kind.tz)).cast(pa.int64()))
    try:
        if pa.types.is_integer(kind):
            return milliseconds(_integers(values))
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return [moment_ms(text) for text in values.to_pylist()]
    except ValueError as error:
        raise CandlesError(
            where=columns.place(read, "open_at"), expected="times since 1970 or in ISO 8601", found=str(error)
        ) from error
    raise CandlesError(where=f"{columns.where}: column open_at", expected="times", found=str(kind))


def _integers(values: Any) -> list[int]:
    integers: list[int] = values.to_pylist()
    return integers


def _floats(columns: Columns, name: str, values: Any, pa: Any) -> Sequence[float]:
    kind = values.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        floats: list[float] = values.cast(pa.float64()).to_pylist()
        return floats
    if pa.types.is_decimal128(kind) and 0 <= kind.scale <= EXACT_DIGITS_MAX:
        # 128-bit whole numbers, low half first: the low half is the number where that fits into 64 bits.
        divisor = float(10**kind.scale)
        halves = memoryview(values.buffers()[1]).cast("q")[2 * values.offset : 2 * (values.offset + len(values))]
        low, high = halves[::2].tolist(), halves[1::2].tolist()
        if all(map(_fits, low, high)):
            return [count / divisor for count in low]
        return [float(value) for value in values.to_pylist()]
    if pa.types.is_decimal(kind):
        return [float(value) for value in values.to_pylist()]
    raise CandlesError(where=f"{columns.where}: column {name}", expected="numbers", found=str(kind))


def _fits(low: int, high: int) -> bool:
    return high == 0 and 0 <= low < 10**EXACT_DIGITS_MAX
