"""Making the strategy of one symbol enter and leave, as often as a halt needs it."""

from benchmarks.pipeline.answers import Answers
from benchmarks.pipeline.market import PlayedMarket
from libs.common.clock import Clock
from libs.common.contracts.vocabulary import Role
from libs.common.messaging.publisher import Publisher


class Entrant:
    """Gives the signals of one symbol, one after another.

    Args:
        symbol: What is entered.
        market: Makes the candles that are signals to the strategy.
        publisher: Takes them.
        answers: What became of them.
        clock: The time when the market data behind them came.
    """

    def __init__(
        self, symbol: str, *, market: PlayedMarket, publisher: Publisher, answers: Answers, clock: Clock
    ) -> None:
        self.symbol = symbol
        self._market = market
        self._publisher = publisher
        self._answers = answers
        self._clock = clock

    async def enter(self) -> str:
        """Give a signal to enter; return why it was refused, or `SENT`."""
        return await self._signal(Role.ENTRY)

    async def leave(self) -> None:
        """Give the signal to leave, without which no other one to enter follows."""
        await self._signal(Role.EXIT)

    def turn(self) -> None:
        """Show what would be the signal to leave while nobody gives signals."""
        self._show(Role.EXIT)

    async def _signal(self, role: Role) -> str:
        self._show(role)
        return await self._answers.to(self.symbol, role)

    def _show(self, role: Role) -> None:
        candle = self._market.candle(self.symbol, rises=role is Role.ENTRY)
        self._publisher.publish(candle, origin_at=self._clock.now())
