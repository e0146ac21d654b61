"""What the recorded market offers: its best bid and ask, and the rule's levels behind them.

Invariant: what clients took is missing until the next recorded quote, and only until then.
"""

from collections.abc import Iterator

from libs.trading.matching.types import Depth, Quote, Side


class Recorded:
    """The recorded side of a book.

    Args:
        depth: The rule for the levels behind the best.
        quote: The best bid and ask to begin with.
    """

    def __init__(self, *, depth: Depth, quote: Quote) -> None:
        self._depth = depth
        self.quote = quote
        self.taken: dict[Side, dict[int, int]] = {Side.BUY: {}, Side.SELL: {}}

    def renew(self, quote: Quote) -> None:
        """Let the next quote come into force."""
        self.quote = quote
        self.taken[Side.BUY].clear()
        self.taken[Side.SELL].clear()

    def take(self, side: Side, price: int, lots: int) -> None:
        """Take away what a client traded."""
        taken = self.taken[side]
        taken[price] = taken.get(price, 0) + lots

    def lots(self, side: Side, price: int) -> int:
        """Return the quantity at `price` that no client has taken yet."""
        best, lots = self._best(side)
        if price != best:
            worse = price < best if side is Side.BUY else price > best
            lots = self._depth.lots(side, price) if worse else 0
        return max(0, lots - self.taken[side].get(price, 0))

    def prices(self, side: Side) -> Iterator[int]:
        """Yield the prices at which there is a level, best first."""
        price: int | None = self._best(side)[0]
        while price is not None:
            yield price
            price = self._depth.next_price(side, price)

    def ruled_prices(self, side: Side, first: int, last: int) -> Iterator[int]:
        """Yield the prices between two on `side` at which the rule for deeper levels has one."""
        better, worse = (max(first, last), min(first, last)) if side is Side.BUY else sorted((first, last))
        price = self._depth.next_price(side, better)
        while price is not None and (price >= worse if side is Side.BUY else price <= worse):
            yield price
            price = self._depth.next_price(side, price)

    def _best(self, side: Side) -> tuple[int, int]:
        quote = self.quote
        return (quote.bid, quote.bid_lots) if side is Side.BUY else (quote.ask, quote.ask_lots)
