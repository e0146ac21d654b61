"""Price-time priority matching of clients' orders against recorded liquidity, on integer ticks and lots.

Invariant: the book is never crossed: no client's order rests at a price at which the other side offers.

The book is the recorded best bid and ask, further levels by a seeded rule, and the clients' own orders:

- A taker walks it from the best price outwards; at one price it meets whoever stood there first.
- A resting order fills whole when a recorded trade prints through its price, or when the recorded quote of the other
  side reaches it, because no exchange leaves a crossed book.
- A resting order fills at its price after the recorded quantity that stood ahead of it has traded.
- An iceberg shows a part at a time; each next part begins at the end of its price's queue. A taker who wants more than
  everyone shows at a price meets the hidden parts before the next price.
- What clients took from recorded liquidity is back with the next recorded quote: fills do not move later prices.

The module is pure: no clock, no randomness, no input or output. The paper exchange and backtests share it.
"""

from libs.trading.matching.book import OrderBook
from libs.trading.matching.depth import SeededDepth
from libs.trading.matching.types import (
    Depth,
    Fill,
    Incoming,
    Place,
    Plan,
    PreventedMatch,
    Quote,
    Resting,
    SelfTradePrevention,
    Side,
    TimeInForce,
)

__all__ = [
    "Depth",
    "Fill",
    "Incoming",
    "OrderBook",
    "Place",
    "Plan",
    "PreventedMatch",
    "Quote",
    "Resting",
    "SeededDepth",
    "SelfTradePrevention",
    "Side",
    "TimeInForce",
]
