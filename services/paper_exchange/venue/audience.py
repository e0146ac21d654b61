"""Who is told what happens on the exchange.

Invariant: `flush` is called only after the journal has what is being told.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from libs.trading.matching import OrderBook, Quote, Side
from services.paper_exchange.market.history import Trade


class Audience(Protocol):
    """Collects what happens and passes it on when it is told to."""

    def on_time(self, now_ms: int) -> None:
        """Exchange time is now this, which stamps what follows."""
        ...

    def on_quote(self, symbol: str, book: OrderBook, before: Quote) -> None:
        """A recorded quote came into force in place of `before`."""
        ...

    def on_trade(self, symbol: str, trade: Trade) -> None:
        """A trade was printed."""
        ...

    def on_levels(self, symbol: str, book: OrderBook, side: Side, prices: Sequence[int]) -> None:
        """Clients changed what is on offer at these prices."""
        ...

    def listens(self, account: str) -> bool:
        """Return whether anyone wants to know what happens to an account; if not, it need not be told."""
        ...

    def on_account_event(self, account: str, event: dict[str, Any]) -> None:
        """Something happened to an account."""
        ...

    def flush(self) -> None:
        """Pass everything on."""
        ...
