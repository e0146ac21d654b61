"""The candles that ship with the project, and the compact form in which they do.

Invariant: writing and reading them gives the same numbers, bit for bit.

File format: one line of JSON (`symbol`, `interval_s`, `price_digits`, `volume_digits`, `begin_at_ms`, `count`,
`source`), a line feed, then a zlib stream of six columns of little-endian unsigned 32-bit numbers, each column split
into its four byte planes: candles missing before this one; open less the close before; close less open; high above the
greater of both; low below the lesser; volume. Differences of either sign are folded: 0, -1, 1, -2 ... are 0, 1, 2, 3.
"""

import json
import zlib
from array import array
from collections.abc import Iterable
from itertools import accumulate, islice
from operator import add, sub
from pathlib import Path
from typing import Final

from libs.backtest.candles.columns import Candles
from libs.backtest.candles.errors import CandlesError
from libs.common.byte_planes import from_planes, to_planes

SHIPPED: Final = Path(__file__).parent / "BTCUSDT-1m-2020-03-to-05.candles"
COLUMNS: Final = 6


def shipped_candles() -> Candles:
    """Return three months of one-minute candles of BTC/USDT, March to May 2020, the crash of 12 March among them."""
    return load_candles(SHIPPED.read_bytes(), where=str(SHIPPED))


def dump_candles(candles: Candles, *, price_digits: int, volume_digits: int, source: str) -> bytes:
    """Return candles in their file format.

    Raises:
        ValueError: A price or a volume has more digits than that, or takes more than 32 bits.
    """
    opens, highs, lows, closes = (
        _units(column, price_digits) for column in (candles.open, candles.high, candles.low, candles.close)
    )
    interval_ms = candles.interval_ms
    times = candles.open_at_ms
    header = {
        "symbol": candles.symbol,
        "interval_s": candles.interval_s,
        "price_digits": price_digits,
        "volume_digits": volume_digits,
        "begin_at_ms": times[0],
        "count": len(candles),
        "source": source,
    }
    columns: tuple[Iterable[int], ...] = (
        [
            0,
            *(
                (after - before) // interval_ms - 1
                for before, after in zip(times, islice(times, 1, None), strict=False)
            ),
        ],
        map(_folded, map(sub, opens, [0, *closes[:-1]])),
        map(_folded, map(sub, closes, opens)),
        map(sub, highs, map(max, opens, closes)),
        map(sub, map(min, opens, closes), lows),
        _units(candles.volume, volume_digits),
    )
    body = b"".join(to_planes(column, "I") for column in columns)
    return json.dumps(header).encode() + b"\n" + zlib.compress(body, 9)


def load_candles(content: bytes, *, where: str) -> Candles:
    """Return the candles of a file.

    Raises:
        CandlesError: It is not in this format, or damaged.
    """
    try:
        line, _, compressed = content.partition(b"\n")
        header = json.loads(line)
        count, interval_s = int(header["count"]), int(header["interval_s"])
        begin_at_ms, symbol = int(header["begin_at_ms"]), str(header["symbol"])
        price_unit, volume_unit = float(10 ** header["price_digits"]), float(10 ** header["volume_digits"])
        body = zlib.decompress(compressed)
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise CandlesError(where=where, expected="a file of shipped candles", found=repr(error)) from error
    if len(body) != 4 * COLUMNS * count:
        raise CandlesError(where=where, expected=f"{count} candles", found=f"{len(body)} bytes of them")
    missing, gaps, bodies, above, below, volumes = (
        from_planes(body[4 * count * column : 4 * count * (column + 1)], "I") for column in range(COLUMNS)
    )
    interval_ms = interval_s * 1000
    moves = list(map(_unfolded, bodies))
    closes = list(accumulate(map(add, map(_unfolded, gaps), moves)))
    opens = list(map(sub, closes, moves))
    steps = (interval_ms * (1 + count) for count in missing)
    return Candles(
        symbol=symbol,
        interval_s=interval_s,
        open_at_ms=array("q", islice(accumulate(steps, initial=begin_at_ms - interval_ms), 1, None)),
        open=_floats(opens, price_unit),
        high=_floats(map(add, map(max, opens, closes), above), price_unit),
        low=_floats(map(sub, map(min, opens, closes), below), price_unit),
        close=_floats(closes, price_unit),
        volume=_floats(volumes, volume_unit),
    )


def _units(values: Iterable[float], digits: int) -> list[int]:
    unit = 10**digits
    counts = [round(value * unit) for value in values]
    if any(count / unit != value for count, value in zip(counts, values, strict=True)):
        raise ValueError(f"expected numbers of {digits} digits after the point, found others")
    return counts


def _floats(counts: Iterable[int], unit: float) -> "array[float]":
    return array("d", [count / unit for count in counts])


def _folded(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _unfolded(value: int) -> int:
    return -(value + 1 >> 1) if value & 1 else value >> 1
