"""What market data is, whoever serves it.

Invariant: a value that leaves this package is exact, finite and plausible; anything else was refused and counted.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from libs.trading.market import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicTrade:
    """A trade that the exchange printed; `traded_at_ms` is the exchange's time, `received_at` ours.

    Attributes:
        backfilled: It was missed by the stream and read afterwards: it happened, but says nothing of the present.
    """

    symbol: str
    trade_id: int
    price: Decimal
    quantity: Decimal
    taker_side: Side
    traded_at_ms: int
    received_at: datetime
    backfilled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BestQuote:
    """The top of the book; Binance does not say when, so only our time of receipt is known."""

    symbol: str
    update_id: int
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal
    received_at: datetime


Tick = PublicTrade | BestQuote


@dataclass(frozen=True, slots=True, kw_only=True)
class Kline:
    """A period as the exchange itself counts it."""

    open_at_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTime:
    """One reading of the exchange's clock, between two readings of ours."""

    server_ms: int
    asked_at_ms: int
    answered_at_ms: int

    @property
    def round_trip_ms(self) -> int:
        """How long the answer took: half of it bounds the error of `skew_ms`."""
        return self.answered_at_ms - self.asked_at_ms

    @property
    def skew_ms(self) -> int:
        """The exchange's clock minus ours, taken halfway between question and answer."""
        return self.server_ms - (self.asked_at_ms + self.answered_at_ms) // 2


class MarketData(Protocol):
    """Market data of the symbols it was made for. Every call has a deadline."""

    @property
    def used_weight(self) -> int:
        """The address-wide request weight of this minute, as the exchange last reported it."""
        ...

    @property
    def may_ask(self) -> bool:
        """Whether the share of the address's budget that market data may use is not used up."""
        ...

    def ticks(self) -> AsyncGenerator[Sequence[Tick], None]:
        """Yield what arrives over one connection, in order, in batches as they come; the first says: subscribed.

        The first batch holds the trades since the last connection, as far as the exchange still tells them, each once.

        Raises:
            RetryableError: The connection ended, fell silent or grew old; what follows is a new connection.
        """
        ...

    async def klines(self, symbol: str, interval_s: int, first_open_at_ms: int, last_open_at_ms: int) -> list[Kline]:
        """Return the periods from the first to the last, oldest first; the exchange may know only some of them.

        Raises:
            RetryableError: No usable answer.
        """
        ...

    async def server_time(self) -> ServerTime:
        """Read the exchange's clock, which also proves that it answers.

        Raises:
            RetryableError: No usable answer.
        """
        ...

    async def symbols_trading(self) -> Mapping[str, bool]:
        """Return for every symbol whether the exchange lets it trade now.

        Raises:
            RetryableError: No usable answer.
        """
        ...
