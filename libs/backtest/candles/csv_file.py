"""Candles from CSV: with a header that names the columns, or as Binance's archive has them, without one.

Invariant: every line is one candle, so that a message can name the line.
"""

import csv
from array import array
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from libs.backtest.candles.checking import NUMBERS, Columns
from libs.backtest.candles.errors import CandlesError
from libs.backtest.candles.names import BINANCE_COLUMNS, NAMES, positions
from libs.backtest.candles.times import milliseconds, moment_ms

ROWS_AT_ONCE: Final = 10_000
"""A year of rows as text would take half a gigabyte."""

Row = Sequence[str]


def read_csv(path: Path) -> Columns:
    """Read a file.

    Raises:
        CandlesError: It has no columns of candles, or a value that is none.
        OSError: It cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(csv.reader(file, strict=True), str(path))
    except (UnicodeDecodeError, csv.Error) as error:
        raise CandlesError(where=str(path), expected="comma-separated text in UTF-8", found=str(error)) from error


def _read(rows: Iterator[Row], where: str) -> Columns:
    first = next(rows, [])
    columns = Columns(where)
    chunk: list[Row] = []
    if len(first) >= BINANCE_COLUMNS and _is_number(first[0]):
        places = {name: place for place, name in enumerate(NAMES)}
        chunk = [first]
    else:
        places = positions(first, where)
        columns.first_row = 2
    width = len(first)
    while chunk := chunk + list(islice(rows, ROWS_AT_ONCE)):
        _append(columns, chunk, places, width)
        chunk = []
    return columns


def _append(columns: Columns, rows: Sequence[Row], places: dict[str, int], width: int) -> None:
    read = len(columns.open_at_ms)
    for index, row in enumerate(rows):
        if len(row) != width:
            raise CandlesError(
                where=f"{columns.where}: row {read + index + columns.first_row}",
                expected=f"{width} values",
                found=f"{len(row)}" if row else "an empty line",
            )
    texts = list(zip(*rows, strict=True))
    columns.open_at_ms.extend(_times(columns, texts[places["open_at"]]))
    for name in NUMBERS:
        values = texts[places[name]]
        try:
            columns.numbers[name].extend(array("d", map(float, values)))
        except ValueError:
            index = next(index for index, text in enumerate(values) if not _is_number(text))
            raise CandlesError(
                where=columns.place(read + index, name), expected="a number", found=repr(values[index])
            ) from None


def _times(columns: Columns, texts: Sequence[str]) -> list[int]:
    read = len(columns.open_at_ms)
    parse = int if texts[0].strip().lstrip("-").isdigit() else moment_ms
    times: list[int] = []
    try:
        times.extend(map(parse, texts))
        return milliseconds(times) if parse is int else times
    except ValueError as error:
        index = min(len(times), len(texts) - 1)
        whole = len(times) == len(texts)
        raise CandlesError(
            where=columns.place(read + (0 if whole else index), "open_at"),
            expected=str(error) if whole else "a number since 1970, or a time in ISO 8601, as in the rows before",
            found=repr(texts[0 if whole else index]),
        ) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
