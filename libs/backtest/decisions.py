"""What a strategy decides over a history.

Invariant: it is the strategy that decides, candle by candle, knowing nothing of the candles to come and nothing of what
the account holds.
"""

from collections.abc import Callable, Iterator
from typing import Final

from libs.backtest.candles.columns import Candles
from libs.trading.strategies import Enter, Exit, Hold, Strategy

CANDLES_PER_REPORT: Final = 10_000

Progress = Callable[[int], None]
"""Is told how many candles are done."""


def decisions(strategy: Strategy, candles: Candles, on_progress: Progress) -> Iterator[tuple[int, Enter | Exit]]:
    """Yield every decision but holds, with the place of its candle."""
    for index, candle in enumerate(candles.rows()):
        if not index % CANDLES_PER_REPORT:
            on_progress(index)
        decision = strategy.on_candle(candle)
        if not isinstance(decision, Hold):
            yield index, decision
