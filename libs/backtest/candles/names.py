"""What files call the columns of candles.

Invariant: a column is found by one name only; two candidates for one column are an error, not a choice.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from libs.backtest.candles.errors import CandlesError

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "open_at": ("open_at", "open_time", "ts", "timestamp", "time", "date", "datetime"),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close",),
    "volume": ("volume",),
}

BINANCE_COLUMNS: Final = 12
"""Binance's archive has no header: open time, open, high, low, close, volume, and six columns more."""


def positions(header: Sequence[str], where: str) -> dict[str, int]:
    """Return where each column stands; case and surrounding spaces do not matter.

    Raises:
        CandlesError: A column is missing, or there twice.
    """
    names = [name.strip().lower() for name in header]
    found: dict[str, int] = {}
    for column, accepted in NAMES.items():
        places = [place for place, name in enumerate(names) if name in accepted]
        if len(places) != 1:
            raise CandlesError(
                where=f"{where}: columns",
                expected=f"one of {', '.join(accepted)}" if len(accepted) > 1 else f"one {column}",
                found=", ".join(header[place] for place in places) or f"none among {', '.join(header) or 'nothing'}",
            )
        found[column] = places[0]
    return found
