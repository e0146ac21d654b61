"""What the signal generator knows of each symbol, and what beside the strategy keeps a signal back.

Invariant: a strategy's state is exactly a function of the complete candles before the one it decides on; whatever may
have broken that (a hole, a candle that came afterwards) is noticed, and the state is rebuilt before it decides again.
"""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from libs.common.clock import epoch_ms
from libs.common.contracts.event import Event
from libs.common.contracts.events import CandleClosed, MarketStatusChanged, TradingStateChanged
from libs.common.contracts.vocabulary import TradingState
from libs.trading.market import Candle
from libs.trading.strategies import Decision, Strategy


def core_candle(candle: CandleClosed) -> Candle:
    """Return a candle in the core's terms: here prices become the floats of indicators."""
    return Candle(
        symbol=candle.symbol,
        interval_s=candle.interval_s,
        open_at_ms=epoch_ms(candle.open_at),
        open=float(candle.open),
        high=float(candle.high),
        low=float(candle.low),
        close=float(candle.close),
        volume=float(candle.volume),
        trades=candle.trades,
        partial=candle.partial,
    )


@dataclass(slots=True)
class HoldLog:
    """Which holds are worth recording: a new reason, and the standing one once an interval."""

    interval_ms: int
    _reasons: tuple[str, ...] = ()
    _recorded_at_ms: int | None = None

    def is_due(self, reasons: tuple[str, ...], open_at_ms: int) -> bool:
        """Whether to record a hold on the candle that opened then; asking counts as recording."""
        recorded_at_ms = self._recorded_at_ms
        if recorded_at_ms is not None and reasons == self._reasons and open_at_ms - recorded_at_ms < self.interval_ms:
            return False
        self._reasons, self._recorded_at_ms = reasons, open_at_ms
        return True


class SymbolDesk:
    """One symbol's strategy and how far it has read.

    Args:
        create: Makes a new instance of the strategy.
        holds: Decides which holds are recorded.

    Attributes:
        name: The strategy's name, and `window` how many candles determine its state.
        rules: How many times the rules were renewed.
        answered: The last candle event answered, and `answer` what was said: a repetition is told the same.
    """

    def __init__(self, create: Callable[[], Strategy], holds: HoldLog) -> None:
        self._create = create
        self._strategy = create()
        self._read_from_ms = 0
        self._read_until_ms: int | None = None
        self._has_missed = False
        self.holds = holds
        self.name = self._strategy.name
        self.window = self._strategy.window
        self.rules = 0
        self.answered: uuid.UUID | None = None
        self.answer: Sequence[Event] = ()

    def renew(self) -> None:
        """Begin with a new instance of the strategy, which has to be rebuilt before it decides."""
        self._strategy = self._create()
        self.window = self._strategy.window
        self.rules += 1
        self._has_missed = True

    def is_past(self, candle: CandleClosed) -> bool:
        """Whether the candle is not newer than what was read."""
        return self._read_until_ms is not None and epoch_ms(candle.open_at) < self._read_until_ms

    def on_past(self, candle: CandleClosed) -> None:
        """Take note of a candle that came afterwards: if the strategy went on without it, its state is wrong."""
        if not candle.partial and epoch_ms(candle.open_at) < self._read_from_ms:
            self._has_missed = True

    def is_broken_by(self, candle: CandleClosed) -> bool:
        """Whether the strategy must be rebuilt before it takes this candle."""
        return self._has_missed or epoch_ms(candle.open_at) != self._read_until_ms

    def rebuild(self, history: Iterable[CandleClosed]) -> None:
        """Make the strategy anew from complete candles, oldest first."""
        self._strategy = self._create()
        self._read_until_ms = None
        self._has_missed = False
        for candle in history:
            self.decide(candle)

    def decide(self, candle: CandleClosed) -> Decision:
        """Give the strategy its next candle."""
        open_at_ms = epoch_ms(candle.open_at)
        if open_at_ms != self._read_until_ms:
            self._read_from_ms = open_at_ms
        self._read_until_ms = open_at_ms + candle.interval_s * 1000
        return self._strategy.on_candle(core_candle(candle))


class Surroundings:
    """Market status and trading state, as far as nobody could act on a signal; what is finer is the risk manager's."""

    def __init__(self) -> None:
        self._statuses: dict[str, MarketStatusChanged] = {}
        self._states: dict[str, TradingStateChanged] = {}

    def on_status(self, status: MarketStatusChanged) -> None:
        """Take the newest status of a symbol."""
        self._statuses[status.symbol] = status

    def on_state(self, state: TradingStateChanged) -> None:
        """Take the newest trading state of an account."""
        known = self._states.get(state.account)
        if known is None or state.revision > known.revision:
            self._states[state.account] = state

    def obstacles(self, symbol: str) -> tuple[str, ...]:
        """Return why a signal for this symbol could not be acted on by anyone; what is not known is no obstacle."""
        obstacles = []
        if self._states and all(state.state is TradingState.HALTED for state in self._states.values()):
            obstacles.append("trading_halted")
        status = self._statuses.get(symbol)
        if status is not None and not status.trading:
            obstacles.append("symbol_halted")
        if status is not None and not status.reachable:
            obstacles.append("exchange_unreachable")
        return tuple(obstacles)
