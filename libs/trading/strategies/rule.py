"""What the strategies have in common: a rule wishes, the market around it is measured, and the exits are set.

Invariant: long only; what a rule wishes on a candle is judged within one anchored state, so a restart of its indicators
is never taken for a move of the market.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from enum import Enum
from typing import ClassVar

from libs.trading.indicators import Atr, Ema
from libs.trading.market import Candle, Side
from libs.trading.quality import (
    QualityComponent,
    QualityScore,
    reward_component,
    volatility_component,
    volume_component,
)
from libs.trading.strategies.anchoring import Anchored
from libs.trading.strategies.decisions import Decision, Enter, Exit, Hold, HoldReason
from libs.trading.strategies.exits import ExitParameters
from libs.trading.strategies.history import History

_HOLDS = {reason: Hold((reason,)) for reason in HoldReason}


class Wish(Enum):
    """What a rule wishes on a candle, where it wishes anything."""

    ENTER = "enter"
    EXIT = "exit"


class Rule(ABC):
    """The indicators of one anchored run, and what they say about the newest candle.

    Attributes:
        window: After how many candles what came before no longer matters.
        pace: Over how many candles the rule looks; the volume is measured against as many.
        wish: What the newest candle made it wish.
    """

    __slots__ = ("pace", "window", "wish")

    def __init__(self, *, window: int, pace: int) -> None:
        self.window = window
        self.pace = pace
        self.wish: Wish | None = None

    @abstractmethod
    def update(self, candle: Candle) -> None:
        """Take the next candle."""

    def scan(self, history: History, begin: int, end: int) -> Iterator[int]:
        """Take candles of a history and yield the place of each on which there is a wish."""
        for index in range(begin, end):
            self.update(history.candle(index))
            if self.wish is not None:
                yield index

    @property
    @abstractmethod
    def stance(self) -> int:
        """What the rule holds of the market now, whether or not it changed: 1 rising, -1 falling, 0 neither."""

    @abstractmethod
    def strength(self, atr: float) -> QualityComponent:
        """Return how clear the wish is, where there is one; prices are measured in `atr`, 0 where nothing moves."""

    @abstractmethod
    def reason(self) -> str:
        """Return what happened on the newest candle, for people."""


class RuleStrategy:
    """A rule with its exits, for one symbol and interval.

    Args:
        symbol: As in 'BTC/USDT'.
        interval_s: The candles' interval.
        parameters: Of the exits, and of the rule.
        create: Makes the rule anew.
    """

    name: ClassVar[str]
    idle: ClassVar[HoldReason]
    """Why it holds when its rule wishes nothing."""

    def __init__(self, symbol: str, interval_s: int, parameters: ExitParameters, create: Callable[[], Rule]) -> None:
        self.parameters = parameters
        self._symbol = symbol
        self._interval_s = interval_s
        self._states = Anchored(
            lambda: State(create(), parameters.atr_period),
            interval_s=interval_s,
            warm_up=State(create(), parameters.atr_period).window,
        )
        self._idle = _HOLDS[self.idle]
        self.window = self._states.window

    def on_candle(self, candle: Candle) -> Decision:
        """Take the next closed candle and decide.

        Raises:
            ValueError: The candle is of another symbol or interval.
        """
        if candle.symbol != self._symbol or candle.interval_s != self._interval_s:
            raise ValueError(
                f"expected a candle of {self._symbol} over {self._interval_s} s, "
                f"found {candle.symbol} over {candle.interval_s} s"
            )
        state = self._states.advance(candle)
        if isinstance(state, HoldReason):
            return _HOLDS[state]
        return self._idle if state.rule.wish is None else self.decision(candle, state)

    def over(self, history: History) -> Iterator["Opportunity"]:
        """Yield where in a history a new instance would wish something; what it decides there is asked of each.

        Args:
            history: Of the strategy's symbol and interval.
        """
        for run in self._states.runs(history.open_at_ms):
            state = self._states.create()
            state.place = run.start
            for index in state.rule.scan(history, run.start, run.end):
                if index >= run.begin:
                    yield Opportunity(index, self, state, history)

    def decision(self, candle: Candle, state: "State") -> Decision:
        """Return what follows from a rule's wish on its newest candle."""
        return self._enter(candle, state) if state.rule.wish is Wish.ENTER else self._exit(candle, state)

    def _enter(self, candle: Candle, state: "State") -> Decision:
        parameters, price, atr = self.parameters, candle.close, state.atr
        distances = parameters.distances(price, atr)
        if distances is None:
            return _HOLDS[HoldReason.STOPS_ARE_IMPOSSIBLE]
        reward = reward_component(distances.take_profit / price, parameters.cost_rate)
        return Enter(
            symbol=candle.symbol,
            side=Side.BUY,
            price=price,
            stop_loss=price - distances.stop_loss,
            take_profit=price + distances.take_profit,
            quality=QualityScore.of((*state.components(candle), reward)),
            reasons=(state.rule.reason(), f"stops by {parameters.stops}, ATR {atr:.8g}"),
            trailing_distance=distances.trailing,
        )

    def _exit(self, candle: Candle, state: "State") -> Exit:
        return Exit(
            symbol=candle.symbol,
            price=candle.close,
            quality=QualityScore.of(state.components(candle)),
            reasons=(state.rule.reason(),),
        )


class State:
    """One anchored run: the rule, and the range and the volume of the market around it."""

    __slots__ = ("_atr", "_volume", "place", "rule", "window")

    def __init__(self, rule: Rule, atr_period: int) -> None:
        self.rule = rule
        self.place = 0  # of the next candle of a history
        self._atr = Atr(atr_period)
        self._volume = Ema(rule.pace)
        self.window = max(rule.window, self._atr.window, self._volume.window)

    @property
    def atr(self) -> float:
        """The average true range, 0 while there is none."""
        return self._atr.value or 0.0

    def update(self, candle: Candle) -> None:
        """Take the next candle."""
        self.rule.update(candle)
        self._atr.update(candle.high, candle.low, candle.close)
        self._volume.update(candle.volume)

    def catch_up(self, history: History, end: int) -> None:
        """Measure the candles of a history up to `end` (exclusive), which the rule has taken already."""
        begin, self.place = self.place, end
        self._atr.update_all(history.high[begin:end], history.low[begin:end], history.close[begin:end])
        self._volume.update_all(history.volume[begin:end])

    def components(self, candle: Candle) -> tuple[QualityComponent, ...]:
        """Return the components of the quality that follow from the indicators."""
        atr = self.atr
        volume = self._volume.value
        true_range = self._atr.true_range.value or 0.0
        return (
            self.rule.strength(atr),
            volatility_component(true_range / atr if atr else 0.0),
            volume_component(candle.volume / volume if volume else 0.0),
        )


class Opportunity:
    """A candle of a history on which a rule wishes something; it can be asked until the next one is.

    Attributes:
        index: The candle's place.
        wish: What the rule wishes.
    """

    __slots__ = ("_history", "_state", "_strategy", "index", "wish")

    def __init__(self, index: int, strategy: RuleStrategy, state: State, history: History) -> None:
        self.index = index
        self.wish = state.rule.wish
        self._strategy = strategy
        self._state = state
        self._history = history

    def decide(self) -> Decision:
        """Return what the strategy decides on the candle."""
        self._state.catch_up(self._history, self.index + 1)
        return self._strategy.decision(self._history.candle(self.index), self._state)
