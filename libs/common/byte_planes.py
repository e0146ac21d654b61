"""Columns of 32-bit numbers as four byte planes: small numbers leave high planes that compress to almost nothing.

Invariant: what is written is read again, on machines of either byte order; files are little-endian.
"""

import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import Final, Literal

Code = Literal["i", "I"]
"""Signed or unsigned, as `array` has it."""

PLANES: Final = 4


def to_planes(values: Iterable[int], code: Code) -> bytes:
    """Return a column's planes, the low bytes first.

    Raises:
        OverflowError: A number has more than 32 bits.
    """
    column = array(code, values)
    if sys.byteorder == "big":
        column.byteswap()
    raw = column.tobytes()
    return b"".join(raw[plane::PLANES] for plane in range(PLANES))


def from_planes(raw: bytes, code: Code) -> Sequence[int]:
    """Return the column of these planes.

    Raises:
        ValueError: The length is no multiple of four.
    """
    size = len(raw) // PLANES
    joined = bytearray(len(raw))
    for plane in range(PLANES):
        joined[plane::PLANES] = raw[plane * size : (plane + 1) * size]
    column = array(code)
    column.frombytes(joined)
    if sys.byteorder == "big":
        column.byteswap()
    return column
