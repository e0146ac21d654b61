"""What a range of trades amounts to, whoever made them: the tape, a live feed, clients."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class PublicTrade(Protocol):
    """What is counted of a trade."""

    @property
    def price(self) -> int:
        """In ticks."""
        ...

    @property
    def lots(self) -> int:
        """In lots."""
        ...

    @property
    def buyer_is_maker(self) -> bool:
        """Whether a seller took."""
        ...


@dataclass(frozen=True, slots=True)
class Summary:
    """What a range of trades amounts to; notionals are ticks times lots, `taken` is what buyers took."""

    open: int
    high: int
    low: int
    close: int
    lots: int
    notional: int
    taken_lots: int
    taken_notional: int
    count: int

    @classmethod
    def of(cls, trades: Sequence[PublicTrade]) -> "Summary":
        """Return what these trades, at least one, amount to."""
        taken = [trade for trade in trades if not trade.buyer_is_maker]
        return cls(
            open=trades[0].price,
            high=max(trade.price for trade in trades),
            low=min(trade.price for trade in trades),
            close=trades[-1].price,
            lots=sum(trade.lots for trade in trades),
            notional=sum(trade.price * trade.lots for trade in trades),
            taken_lots=sum(trade.lots for trade in taken),
            taken_notional=sum(trade.price * trade.lots for trade in taken),
            count=len(trades),
        )

    def followed_by(self, other: "Summary") -> "Summary":
        """Return the summary of this range and the one right after it."""
        return Summary(
            open=self.open,
            high=max(self.high, other.high),
            low=min(self.low, other.low),
            close=other.close,
            lots=self.lots + other.lots,
            notional=self.notional + other.notional,
            taken_lots=self.taken_lots + other.taken_lots,
            taken_notional=self.taken_notional + other.taken_notional,
            count=self.count + other.count,
        )
