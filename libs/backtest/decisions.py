"""Where in a history a strategy wishes something.

Invariant: it is the strategy that decides, knowing nothing of the candles to come and nothing of what the account
holds; where the account makes the answer plain (an exit without a position) it is not asked.
"""

from collections.abc import Callable, Iterator
from typing import Final, Protocol

from libs.backtest.candles.columns import Candles
from libs.trading.strategies import Decision, Enter, Hold, RuleStrategy, Strategy, Wish

CANDLES_PER_REPORT: Final = 10_000

Progress = Callable[[int], None]
"""Is told how many candles are done."""


class Chance(Protocol):
    """A candle on which a strategy wishes something; see `libs.trading.strategies.Opportunity`."""

    @property
    def index(self) -> int:
        """The candle's place."""
        ...

    @property
    def wish(self) -> Wish | None:
        """What is wished."""
        ...

    def decide(self) -> Decision:
        """Return what the strategy decides."""
        ...


class Decided:
    """A decision that was made candle by candle."""

    def __init__(self, index: int, decision: Decision) -> None:
        self.index = index
        self.wish: Wish | None = Wish.ENTER if isinstance(decision, Enter) else Wish.EXIT
        self._decision = decision

    def decide(self) -> Decision:
        """Return it."""
        return self._decision


def chances(strategy: Strategy, candles: Candles, on_progress: Progress) -> Iterator[Chance]:
    """Yield every candle on which the strategy wishes something."""
    told = 0
    for chance in strategy.over(candles) if isinstance(strategy, RuleStrategy) else one_by_one(strategy, candles):
        if chance.index >= told:
            on_progress(chance.index)
            told = chance.index + CANDLES_PER_REPORT
        yield chance


def one_by_one(strategy: Strategy, candles: Candles) -> Iterator[Chance]:
    """Yield the same, having fed the strategy each candle as live."""
    for index, candle in enumerate(candles.rows()):
        decision = strategy.on_candle(candle)
        if not isinstance(decision, Hold):
            yield Decided(index, decision)
