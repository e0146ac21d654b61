"""A stretch of one symbol's market, and the compact file in which it ships.

Invariant: writing and reading a recording gives the same numbers.

File format: one line of JSON (`symbol`, `price_tick`, `lot_step`, `length_ms`, `quotes`, `trades`, `source`), a line
feed, then a zlib stream of nine columns of little-endian signed 32-bit differences, each column split into its four
byte planes (the high bytes are nearly all alike, so they compress to almost nothing): quote times, bids, spreads, bid
lots, ask lots; trade times, quotes before the trade, price above the bid in force, lots with the sign of the taker's
side (negative: the buyer was the maker).
"""

import json
import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import add
from pathlib import Path

from libs.common.byte_planes import from_planes, to_planes
from libs.common.errors import InvalidMessageError


@dataclass(frozen=True, slots=True)
class Recording:
    """Quotes and trades of one symbol, times in milliseconds from the start, prices in ticks, quantities in lots."""

    symbol: str
    price_tick: str
    lot_step: str
    length_ms: int
    source: str
    quote_times: Sequence[int]
    bids: Sequence[int]
    asks: Sequence[int]
    bid_lots: Sequence[int]
    ask_lots: Sequence[int]
    trade_times: Sequence[int]
    quotes_before: Sequence[int]
    prices: Sequence[int]
    lots: Sequence[int]
    buyer_is_maker: Sequence[bool]


def dump_recording(recording: Recording) -> bytes:
    """Return the recording in its file format."""
    header = {
        "symbol": recording.symbol,
        "price_tick": recording.price_tick,
        "lot_step": recording.lot_step,
        "length_ms": recording.length_ms,
        "quotes": len(recording.quote_times),
        "trades": len(recording.trade_times),
        "source": recording.source,
    }
    spreads = [ask - bid for bid, ask in zip(recording.bids, recording.asks, strict=True)]
    above_bid = [
        price - recording.bids[max(0, before - 1)]
        for price, before in zip(recording.prices, recording.quotes_before, strict=True)
    ]
    signed_lots = [
        -lots if maker else lots for lots, maker in zip(recording.lots, recording.buyer_is_maker, strict=True)
    ]
    columns = (
        _differences(recording.quote_times),
        _differences(recording.bids),
        spreads,
        recording.bid_lots,
        recording.ask_lots,
        _differences(recording.trade_times),
        _differences(recording.quotes_before),
        above_bid,
        signed_lots,
    )
    body = b"".join(to_planes(column, "i") for column in columns)
    return json.dumps(header).encode() + b"\n" + zlib.compress(body, 9)


def load_recording(path: Path) -> Recording:
    """Read a recording.

    Raises:
        InvalidMessageError: The file is not a recording or is damaged.
    """
    try:
        header_line, compressed = path.read_bytes().split(b"\n", 1)
        header = json.loads(header_line)
        body = zlib.decompress(compressed)
        quotes, trades = int(header["quotes"]), int(header["trades"])
        sizes = [quotes] * 5 + [trades] * 4
        starts = [0, *accumulate(4 * size for size in sizes)]
        columns = [from_planes(body[start:end], "i") for start, end in pairwise(starts)]
    except (ValueError, KeyError, zlib.error) as error:
        raise InvalidMessageError(
            "unreadable recording", expected=f"a recording in {path}", found=str(error)
        ) from error
    quote_times, bids, trade_times, quotes_before = (packed(accumulate(columns[index])) for index in (0, 1, 5, 6))
    signed_lots = columns[8]
    return Recording(
        symbol=header["symbol"],
        price_tick=header["price_tick"],
        lot_step=header["lot_step"],
        length_ms=header["length_ms"],
        source=header["source"],
        quote_times=quote_times,
        bids=bids,
        asks=packed(map(add, bids, columns[2])),
        bid_lots=columns[3],
        ask_lots=columns[4],
        trade_times=trade_times,
        quotes_before=quotes_before,
        prices=packed(
            bids[max(0, before - 1)] + above for before, above in zip(quotes_before, columns[7], strict=True)
        ),
        lots=packed(map(abs, signed_lots)),
        buyer_is_maker=[lots < 0 for lots in signed_lots],
    )


def packed(values: Iterable[int]) -> Sequence[int]:
    """Return the values in 64 bits each: a hundred thousand Python integers would take five times as much."""
    return array("q", values)


def _differences(values: Iterable[int]) -> list[int]:
    return [after - before for before, after in pairwise([0, *values])]
