"""Candles from a file, whichever format it has."""

from pathlib import Path
from typing import Final

from libs.backtest.candles.checking import checked
from libs.backtest.candles.columns import Candles
from libs.backtest.candles.csv_file import read_csv
from libs.backtest.candles.errors import CandlesError
from libs.backtest.candles.parquet_file import read_parquet

READERS: Final = {".csv": read_csv, ".parquet": read_parquet, ".pq": read_parquet}


def read_candles(path: Path, symbol: str) -> Candles:
    """Read and check a file of candles.

    Args:
        path: A CSV or Parquet file; its suffix says which.
        symbol: Whose candles they are, as in 'BTC/USDT'.

    Raises:
        CandlesError: What is wrong, with row and column.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise CandlesError(where=str(path), expected=f"a file named {', '.join(READERS)}", found=path.suffix or "none")
    try:
        columns = reader(path)
    except OSError as error:
        raise CandlesError(where=str(path), expected="a readable file", found=error.strerror or str(error)) from error
    return checked(columns, symbol)
