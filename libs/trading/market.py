"""What the market shows: sides, order types, candles and quotes.

Invariant: these are plain immutable values; nothing here knows where they came from.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    """The side of an order or a fill."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> "Side":
        """The side that undoes this one."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """Binance's spot order types, by their names on the wire."""

    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"
    MARKET = "MARKET"
    STOP_LOSS = "STOP_LOSS"
    STOP_LOSS_LIMIT = "STOP_LOSS_LIMIT"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"


@dataclass(frozen=True, slots=True)
class Candle:
    """One closed period of trading; `partial` marks one that may miss trades and must not be traded on."""

    symbol: str
    interval_s: int
    open_at_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    trades: int
    partial: bool = False

    @property
    def close_at_ms(self) -> int:
        """The moment the period ends, which is the moment the next one opens."""
        return self.open_at_ms + self.interval_s * 1000


@dataclass(frozen=True, slots=True)
class Quote:
    """The best bid and ask of one symbol at one moment."""

    symbol: str
    bid: Decimal
    ask: Decimal
    bid_quantity: Decimal
    ask_quantity: Decimal
    at_ms: int

    @property
    def mid(self) -> Decimal:
        """The price halfway between bid and ask."""
        return (self.bid + self.ask) / 2

    @property
    def spread_rate(self) -> Decimal:
        """The spread as a fraction of the mid."""
        return (self.ask - self.bid) / self.mid

    @property
    def is_crossed(self) -> bool:
        """Whether somebody offers to buy above what somebody asks."""
        return self.bid > self.ask

    @property
    def is_plausible(self) -> bool:
        """Whether both prices are real numbers above zero and the book is neither crossed nor locked."""
        return self.bid.is_finite() and self.ask.is_finite() and 0 < self.bid < self.ask
