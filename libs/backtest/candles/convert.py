"""Make the shipped candles from a file of one-minute candles.

Run it as `python -m libs.backtest.candles.convert SOURCE`, a CSV or Parquet file that holds March to May 2020.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from libs.backtest.candles.reading import read_candles
from libs.backtest.candles.shipped import SHIPPED, dump_candles
from libs.common.clock import epoch_ms

BEGIN: Final = datetime(2020, 3, 1, tzinfo=UTC)
END: Final = datetime(2020, 6, 1, tzinfo=UTC)
SOURCE: Final = "Binance's public archive, as kept by Jan-Kluger/backtest_and_deploy (MIT)"


def convert(source: Path, target: Path) -> None:
    """Write the shipped candles."""
    candles = read_candles(source, "BTC/USDT").between(epoch_ms(BEGIN), epoch_ms(END))
    target.write_bytes(dump_candles(candles, price_digits=2, volume_digits=6, source=SOURCE))


if __name__ == "__main__":
    convert(Path(sys.argv[1]), SHIPPED)
