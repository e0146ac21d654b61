"""Market data as the market monitor saw it: trades, best quotes, candles, and whether the market can be trusted."""

from pydantic import model_validator

from libs.common.contracts.event import Event
from libs.common.contracts.fields import (
    Exact,
    Interval,
    Milliseconds,
    Name,
    NonNegative,
    Number,
    Price,
    Quantity,
    Symbol,
    Text,
    UtcTime,
)
from libs.common.contracts.vocabulary import Side


class TradePrinted(Event):
    """A public trade at the exchange; `occurred_at` is the exchange's trade time."""

    symbol: Symbol
    trade_id: Number
    price: Price
    quantity: Quantity
    taker_side: Side

    @property
    def key(self) -> str:
        """Ordered per symbol."""
        return self.symbol

    @property
    def natural_key(self) -> str:
        """The exchange numbers its trades per symbol."""
        return f"{self.symbol}|{self.trade_id}"


class QuoteChanged(Event):
    """The best bid and ask; Binance stamps none, so `occurred_at` is our time of receipt."""

    symbol: Symbol
    update_id: Number
    bid: Price
    bid_quantity: NonNegative
    ask: Price
    ask_quantity: NonNegative

    @property
    def key(self) -> str:
        """Ordered per symbol."""
        return self.symbol

    @property
    def natural_key(self) -> str:
        """The exchange numbers the states of its book per symbol."""
        return f"{self.symbol}|{self.update_id}"


class CandleClosed(Event):
    """One period of trading, final.

    Attributes:
        partial: True when trades of the period may be missing (a gap, a restart): shown, never traded on.
        backfilled: True when it was read from the exchange afterwards.
        trade_id_last: The last trade in it; 0 for an empty period, which is flat at the last close.
        bid: The best bid when it closed, and `ask` likewise: what a decision on it could have traded at.
    """

    symbol: Symbol
    interval_s: Interval
    open_at: UtcTime
    close_at: UtcTime
    open: Price
    high: Price
    low: Price
    close: Price
    volume: NonNegative
    trades: Number
    trade_id_last: Number = 0
    partial: bool = False
    backfilled: bool = False
    bid: Price | None = None
    ask: Price | None = None

    @model_validator(mode="after")
    def _prices_contain_each_other(self) -> "CandleClosed":
        if not self.low <= min(self.open, self.close) <= max(self.open, self.close) <= self.high:
            message = f"expected low <= open, close <= high, found {self.low} {self.open} {self.close} {self.high}"
            raise ValueError(message)
        if (self.close_at - self.open_at).total_seconds() != self.interval_s:
            message = f"expected close_at = open_at + {self.interval_s} s, found {self.open_at} to {self.close_at}"
            raise ValueError(message)
        return self

    @property
    def key(self) -> str:
        """Ordered per symbol."""
        return self.symbol

    @property
    def natural_key(self) -> str:
        """One candle a period; a back-filled one replaces a partial one under its own id."""
        kind = "backfilled" if self.backfilled else "partial" if self.partial else "streamed"
        return f"{self.symbol}|{self.interval_s}|{self.open_at.isoformat()}|{kind}"


class MarketStatusChanged(Event):
    """Whether a symbol's market can be traded on; published when it changes and every second.

    Attributes:
        reachable: The exchange answers and its stream delivers.
        calm: No jump, no excessive volatility or spread, book not crossed.
        trading: The exchange says the symbol trades.
        conditions: What is wrong, from `MarketCondition`; empty when all is well.
        data_age_ms: Age of the newest trade or quote.
        clock_skew_ms: The exchange's clock minus ours.
        volatility_rate: Standard deviation of recent candle returns, a fraction; None until known.
        used_weight: The address-wide request weight that the exchange last reported.
    """

    symbol: Symbol
    reachable: bool
    calm: bool
    trading: bool
    conditions: tuple[Name, ...] = ()
    data_age_ms: Number
    clock_skew_ms: Milliseconds = 0
    spread_rate: Exact | None = None
    volatility_rate: Exact | None = None
    used_weight: Number = 0
    detail: Text = ""

    @property
    def key(self) -> str:
        """Ordered per symbol."""
        return self.symbol

    @property
    def natural_key(self) -> str:
        """A status is identified by its moment."""
        return f"{self.symbol}|{self.occurred_at.isoformat()}"
