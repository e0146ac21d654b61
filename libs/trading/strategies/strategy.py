"""The interface of strategies.

Invariant: two instances with equal symbol, interval and parameters that were fed the same last `window` candles decide
the same from then on, bit for bit; that is what lets a replica take over.
"""

from typing import Protocol

from libs.trading.market import Candle
from libs.trading.strategies.decisions import Decision
from libs.trading.strategies.exits import ExitParameters


class Strategy(Protocol):
    """Turns the closed candles of one symbol and interval into decisions."""

    @property
    def name(self) -> str:
        """The name in the registry and in the configuration."""
        ...

    @property
    def parameters(self) -> ExitParameters:
        """The validated parameters, those of the exits among them."""
        ...

    @property
    def window(self) -> int:
        """How many of the last candles (counted, not by time) a new instance must be fed to decide as an old one."""
        ...

    def on_candle(self, candle: Candle) -> Decision:
        """Take the next closed candle and decide."""
        ...
