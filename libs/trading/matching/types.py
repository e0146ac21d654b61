"""The words of the matching engine; prices are ticks, quantities are lots, amounts are ticks times lots.

Invariant: every number here is an integer, so that matching is exact.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol


class Side(Enum):
    """Which way an order trades."""

    BUY = "BUY"
    SELL = "SELL"

    __hash__ = object.__hash__  # of a singleton; an enumeration's own one hashes its name each time

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
    DECREMENT = "DECREMENT"

    @property
    def ends_taker(self) -> bool:
        """Whether the taker loses all that remains of it."""
        return self in {SelfTradePrevention.EXPIRE_TAKER, SelfTradePrevention.EXPIRE_BOTH}

    @property
    def ends_maker(self) -> bool:
        """Whether the maker loses all that remains of it."""
        return self in {SelfTradePrevention.EXPIRE_MAKER, SelfTradePrevention.EXPIRE_BOTH}


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
        part_lots: How much of it the book shows at a time where it is an iceberg; 0 for all.
    """

    order_id: int
    owner: str
    side: Side
    limit: int | None
    lots: int | None = None
    amount: int | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    prevention: SelfTradePrevention = SelfTradePrevention.NONE
    part_lots: int = 0

    def __post_init__(self) -> None:
        if (self.lots is None) == (self.amount is None):
            raise ValueError("an order needs either lots or an amount")
        if self.amount is not None and self.limit is not None:
            raise ValueError("only a market order can be sized by amount")
        if (self.lots or self.amount or 0) <= 0:
            raise ValueError(f"an order needs a positive size, found lots={self.lots} amount={self.amount}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an order stands at its price.

    Args:
        ahead_lots: The recorded quantity that must trade before it.
        shown_lots: How much of it the book shows.
        turn: At one price the order with the lower number trades first.
    """

    ahead_lots: int
    shown_lots: int
    turn: int


@dataclass(slots=True)
class Resting:
    """A client's order on the book, and the recorded quantity that must trade before it.

    Args:
        order_id: Unique in the book.
        owner: Whose order it is.
        side: Which way it trades.
        price: In ticks.
        lots: What the book shows of it.
        ahead_lots: The recorded quantity that must trade before it.
        hidden_lots: What follows once the shown part has traded; only of icebergs.
        part_lots: How much is shown at a time; only of icebergs.
        turn: At one price the order with the lower number trades first.
    """

    order_id: int
    owner: str
    side: Side
    price: int
    lots: int
    ahead_lots: int
    hidden_lots: int = 0
    part_lots: int = 0
    turn: int = 0

    @property
    def open_lots(self) -> int:
        """All that may still trade."""
        return self.lots + self.hidden_lots

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.ahead_lots, self.lots, self.turn)


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade that a client takes part in; `None` stands for the recorded market."""

    price: int
    lots: int
    maker: int | None
    taker: int | None


@dataclass(frozen=True, slots=True)
class PreventedMatch:
    """A trade that does not happen because both sides are one owner's.

    Args:
        price: At which they would have traded.
        lots: How much they would have traded.
        maker: The resting order.
        maker_lots: What the resting order loses.
        taker_lots: What the incoming order loses.
        fills_before: How many of the plan's fills come first.
    """

    price: int
    lots: int
    maker: int
    maker_lots: int
    taker_lots: int
    fills_before: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What an incoming order would do to the book.

    Args:
        fills: The trades, best price first.
        remaining: Lots that met nobody, and rest where the order's time in force lets them; 0 for an order by amount.
        prevented: The trades that do not happen, best price first.
    """

    fills: tuple[Fill, ...]
    remaining: int
    prevented: tuple[PreventedMatch, ...] = field(default=())

    @property
    def prevented_lots(self) -> int:
        """What the incoming order loses to its owner's own orders."""
        return sum(match.taker_lots for match in self.prevented)

    @property
    def steps(self) -> Iterator[Fill | PreventedMatch]:
        """The trades and the prevented ones in the order in which they come."""
        done = 0
        for match in self.prevented:
            yield from self.fills[done : match.fills_before]
            done = match.fills_before
            yield match
        yield from self.fills[done:]


class Depth(Protocol):
    """The rule for the levels behind the best price."""

    def next_price(self, side: Side, price: int) -> int | None:
        """Return the next worse price on `side` at which the rule has a level, or `None` at the book's end."""
        ...

    def lots(self, side: Side, price: int) -> int:
        """Return the quantity at `price`, 0 where the rule has no level."""
        ...
