"""Opening the order books.

Invariant: the deep book of a market and a seed is the same after every restart.
"""

from libs.trading.matching import OrderBook, SeededDepth
from services.paper_exchange.market.tape import Market

_DEPTH_LEVELS_PER_PRICE = 50_000


def open_book(tape: Market, symbol: str, *, place_ms: int, seed: int) -> OrderBook:
    """Return a symbol's book as it is at a place of the tape."""
    # The rule's scale comes from the tape's beginning, so that it is the same after every restart.
    reference = tape.quote_at(symbol, 0)
    first = tape.count_until(symbol, 0)
    sample = tape.summary(symbol, first, first + 1_000)
    typical_lots = max(1, 20 * sample.lots // sample.count) if sample else 1
    depth = SeededDepth(
        seed=seed,
        spacing=max(1, reference.bid // _DEPTH_LEVELS_PER_PRICE),
        typical_lots=typical_lots,
        price_max=reference.bid * 10,
    )
    return OrderBook(depth=depth, quote=tape.quote_at(symbol, place_ms))
