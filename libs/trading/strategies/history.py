"""A whole history of candles, in columns.

Invariant: over a history a strategy decides what it would if it were fed candle by candle, bit for bit; only the work
that changes no decision is saved. A test holds every strategy to it.
"""

from collections.abc import Sequence
from typing import Protocol

from libs.trading.market import Candle


class History(Protocol):
    """The candles of one symbol and interval, oldest first: each complete and plausible, none twice; some may miss."""

    @property
    def open_at_ms(self) -> Sequence[int]:
        """When each opened."""
        ...

    @property
    def high(self) -> Sequence[float]:
        """The highest price of each."""
        ...

    @property
    def low(self) -> Sequence[float]:
        """The lowest price of each."""
        ...

    @property
    def close(self) -> Sequence[float]:
        """The last price of each."""
        ...

    @property
    def volume(self) -> Sequence[float]:
        """The base asset that was traded in each."""
        ...

    def candle(self, index: int) -> Candle:
        """Return one of them as an object."""
        ...
