"""Make the shipped recordings from parquet files of trades and best quotes (needs pyarrow, a development dependency).

Run it as `python -m services.paper_exchange.market.convert SOURCE_DIR TARGET_DIR`; `SOURCE_DIR` holds
`binance_spot_<SYMBOL>_trades_<DATE>.parquet` and `binance_spot_<SYMBOL>_bookticker_<DATE>.parquet`.
"""

import sys
from bisect import bisect_right
from decimal import Decimal
from pathlib import Path

from services.paper_exchange.market.recording import Recording, dump_recording

SYMBOLS = {"BTCUSDT": ("0.01", "0.00001"), "ETHUSDT": ("0.01", "0.0001")}
DATE = "2024-08-08"
SOURCE = "Binance Spot, 2024-08-08 23:54 UTC, recorded by nkaz001/hftbacktest (MIT)"
NS_PER_MS = 1_000_000


def convert(source: Path, target: Path) -> None:
    """Write one recording for each symbol; all share one time axis."""
    from pyarrow import parquet  # noqa: PLC0415 - only this maker of files needs it

    tables = {
        (symbol, kind): parquet.read_table(source / f"binance_spot_{symbol}_{kind}_{DATE}.parquet").to_pydict()
        for symbol in SYMBOLS
        for kind in ("trades", "bookticker")
    }
    begin_ns = min(table["recv_ns"][0] for table in tables.values())
    end_ns = max(table["recv_ns"][-1] for table in tables.values())
    for symbol, (tick, step) in SYMBOLS.items():
        quotes, trades = tables[symbol, "bookticker"], tables[symbol, "trades"]
        recording = Recording(
            symbol=symbol,
            price_tick=tick,
            lot_step=step,
            length_ms=(end_ns - begin_ns) // NS_PER_MS + 1,
            source=SOURCE,
            quote_times=[(at - begin_ns) // NS_PER_MS for at in quotes["recv_ns"]],
            bids=_units(quotes["bid"], tick),
            asks=_units(quotes["ask"], tick),
            bid_lots=_units(quotes["bid_qty"], step),
            ask_lots=_units(quotes["ask_qty"], step),
            trade_times=[(at - begin_ns) // NS_PER_MS for at in trades["recv_ns"]],
            quotes_before=[bisect_right(quotes["recv_ns"], at) for at in trades["recv_ns"]],
            prices=_units(trades["price"], tick),
            lots=_units(trades["qty"], step),
            buyer_is_maker=[side == "sell" for side in trades["side"]],
        )
        (target / f"{symbol}.recording").write_bytes(dump_recording(recording))


def _units(values: list[Decimal], unit: str) -> list[int]:
    size = Decimal(unit)
    counts = [value / size for value in values]
    if any(count != int(count) for count in counts):
        raise ValueError(f"expected multiples of {unit}, found others")
    return [int(count) for count in counts]


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
