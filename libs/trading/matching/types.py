"""The words of the matching engine; prices are ticks, quantities are lots, amounts are ticks times lots.

Invariant: every number here is an integer, so that matching is exact.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol


class Side(Enum):
    """Which way an order trades."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> "Side":
        """The side that this one trades against."""
        return Side.SELL if self is Side.BUY else Side.BUY


class TimeInForce(Enum):
    """How long an order may wait for a counterparty."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class SelfTradePrevention(Enum):
    """Who gives way when both sides of a trade belong to one owner; the taker's mode decides."""

    NONE = "NONE"
    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"


@dataclass(frozen=True, slots=True)
class Quote:
    """The recorded best bid and ask."""

    bid: int
    bid_lots: int
    ask: int
    ask_lots: int

    def __post_init__(self) -> None:
        if not 0 < self.bid < self.ask or self.bid_lots <= 0 or self.ask_lots <= 0:
            raise ValueError(f"a quote needs 0 < bid < ask and positive quantities, found {self!r}")


@dataclass(frozen=True, slots=True)
class Incoming:
    """An order as it meets the book.

    Args:
        order_id: Unique in the book.
        owner: Whose order it is; orders of one owner may be kept from trading with each other.
        side: Which way it trades.
        limit: The worst acceptable price in ticks, or `None` for a market order.
        lots: The quantity wanted, or `None` where `amount` says how much to trade.
        amount: The quote amount to spend or receive, in ticks times lots; only for market orders.
        time_in_force: What happens to a remainder; a market order never rests.
        prevention: What happens when it meets its owner's own order.
        queue_lots: The recorded quantity ahead when it rests, where that is known already (after a restart).
    """

    order_id: int
    owner: str
    side: Side
    limit: int | None
    lots: int | None = None
    amount: int | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    prevention: SelfTradePrevention = SelfTradePrevention.NONE
    queue_lots: int | None = None

    def __post_init__(self) -> None:
        if (self.lots is None) == (self.amount is None):
            raise ValueError("an order needs either lots or an amount")
        if self.amount is not None and self.limit is not None:
            raise ValueError("only a market order can be sized by amount")
        if (self.lots or self.amount or 0) <= 0:
            raise ValueError(f"an order needs a positive size, found lots={self.lots} amount={self.amount}")


@dataclass(slots=True)
class Resting:
    """A client's order on the book, and the recorded quantity that must trade before it."""

    order_id: int
    owner: str
    side: Side
    price: int
    lots: int
    ahead_lots: int


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade that a client takes part in; `None` stands for the recorded market."""

    price: int
    lots: int
    maker: int | None
    taker: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What an incoming order would do to the book.

    Args:
        fills: The trades, best price first.
        remaining: Lots without a counterparty; 0 for an order by amount.
        prevented: Resting orders that expire because they belong to the taker.
        taker_expires: Whether the rest of the taker expires because it met its owner's own order.
    """

    fills: tuple[Fill, ...]
    remaining: int
    prevented: tuple[int, ...] = field(default=())
    taker_expires: bool = False


class Depth(Protocol):
    """The rule for the levels behind the best price."""

    def next_price(self, side: Side, price: int) -> int | None:
        """Return the next worse price on `side` at which the rule has a level, or `None` at the book's end."""
        ...

    def lots(self, side: Side, price: int) -> int:
        """Return the quantity at `price`, 0 where the rule has no level."""
        ...
