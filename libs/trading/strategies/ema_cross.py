"""EMA cross: enter when the fast average crosses above the slow one, exit when it crosses below.

Invariant: long only; a cross is judged within one anchored state, so a restart of the averages is never taken for one.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from math import isfinite

from libs.trading.indicators import Atr, Ema
from libs.trading.market import Candle, Side
from libs.trading.quality import (
    QualityComponent,
    QualityScore,
    reward_component,
    trend_component,
    volatility_component,
    volume_component,
)
from libs.trading.strategies.anchoring import Anchored
from libs.trading.strategies.decisions import Decision, Enter, Exit, Hold, HoldReason

_PERIOD_MAX = 1000  # five of them warm up 5,000 candles: more history than an exchange serves in reasonable time
_HOLDS = {reason: Hold((reason,)) for reason in HoldReason}
_NO_CROSS = _HOLDS[HoldReason.NO_CROSS]


class Stops(StrEnum):
    """What the distances of stop-loss and take-profit are measured in."""

    ATR = "atr"
    PERCENT = "percent"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmaCrossParameters:
    """The parameters of the strategy.

    Attributes:
        ema_fast: Period of the fast average, in candles.
        ema_slow: Period of the slow average, in candles.
        atr_period: Period of the average true range, in candles.
        stops: Whether the exits are set by `..._atr` or by `..._pct`.
        stop_loss_atr: Distance of the stop-loss, in average true ranges.
        take_profit_atr: Distance of the take-profit, in average true ranges.
        stop_loss_pct: Distance of the stop-loss, in percent of the price.
        take_profit_pct: Distance of the take-profit, in percent of the price.
        cost_rate: Fees and spread of a round trip as a fraction of the price, against which quality weighs the target.
    """

    ema_fast: int = 9
    ema_slow: int = 21
    atr_period: int = 14
    stops: Stops = Stops.PERCENT
    stop_loss_atr: float = 2.0
    take_profit_atr: float = 4.0
    stop_loss_pct: float = 1.0
    take_profit_pct: float = 2.0
    cost_rate: float = 0.002

    def __post_init__(self) -> None:
        for name in ("ema_fast", "ema_slow", "atr_period"):
            _require_period(name, getattr(self, name))
        if self.ema_fast >= self.ema_slow:
            raise ValueError(f"ema_fast: expected less than ema_slow ({self.ema_slow}), found {self.ema_fast}")
        for name in ("stop_loss_atr", "take_profit_atr", "stop_loss_pct", "take_profit_pct", "cost_rate"):
            object.__setattr__(self, name, _positive(name, getattr(self, name)))
        for name in ("stop_loss_pct", "cost_rate"):
            _require_below(name, getattr(self, name), 100.0 if name.endswith("_pct") else 1.0)
        if self.stops not in tuple(Stops):
            raise ValueError(f"stops: expected one of {', '.join(Stops)}, found {self.stops!r}")
        object.__setattr__(self, "stops", Stops(self.stops))


class EmaCross:
    """The strategy for one symbol and interval."""

    name = "ema_cross"

    def __init__(self, symbol: str, interval_s: int, parameters: EmaCrossParameters | None = None) -> None:
        self.parameters = parameters or EmaCrossParameters()
        self._symbol = symbol
        self._interval_s = interval_s
        state = _Averages(self.parameters)
        self._states = Anchored(lambda: _Averages(self.parameters), interval_s=interval_s, warm_up=state.window)
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
        if state.separation_before <= 0.0 < state.separation:
            return self._enter(candle, state)
        if state.separation_before >= 0.0 > state.separation:
            return self._exit(candle, state)
        return _NO_CROSS

    def _enter(self, candle: Candle, state: "_Averages") -> Decision:
        price = candle.close
        stop_distance, take_distance = self._distances(price, state.atr)
        if not 0.0 < stop_distance < price:
            return _HOLDS[
                HoldReason.STOPS_ARE_IMPOSSIBLE
            ]  # exits at the entry's own price, or below zero, protect nothing
        reward = reward_component(take_distance / price, self.parameters.cost_rate)
        quality = QualityScore.of((*state.components(candle), reward))
        return Enter(
            symbol=candle.symbol,
            side=Side.BUY,
            price=price,
            stop_loss=price - stop_distance,
            take_profit=price + take_distance,
            quality=quality,
            reasons=(
                f"EMA {self.parameters.ema_fast} crossed above EMA {self.parameters.ema_slow}",
                f"stops by {self.parameters.stops}, ATR {state.atr:.8g}",
            ),
        )

    def _exit(self, candle: Candle, state: "_Averages") -> Exit:
        return Exit(
            symbol=candle.symbol,
            price=candle.close,
            quality=QualityScore.of(state.components(candle)),
            reasons=(f"EMA {self.parameters.ema_fast} crossed below EMA {self.parameters.ema_slow}",),
        )

    def _distances(self, price: float, atr: float) -> tuple[float, float]:
        """Return how far stop-loss and take-profit stand from the price."""
        parameters = self.parameters
        if parameters.stops is Stops.ATR:
            return parameters.stop_loss_atr * atr, parameters.take_profit_atr * atr
        return price * parameters.stop_loss_pct / 100.0, price * parameters.take_profit_pct / 100.0


class _Averages:
    """The indicators of one anchored run, and how far the averages are apart now and a candle ago."""

    __slots__ = ("_atr", "_fast", "_slow", "_volume", "separation", "separation_before", "window")

    def __init__(self, parameters: EmaCrossParameters) -> None:
        self._fast = Ema(parameters.ema_fast)
        self._slow = Ema(parameters.ema_slow)
        self._atr = Atr(parameters.atr_period)
        self._volume = Ema(parameters.ema_slow)
        self.separation = 0.0
        self.separation_before = 0.0
        self.window = max(self._slow.window, self._atr.window)

    @property
    def atr(self) -> float:
        """The average true range, 0 while there is none."""
        return self._atr.value or 0.0

    def update(self, candle: Candle) -> None:
        """Take the next candle."""
        close = candle.close
        fast = self._fast.update(close)
        slow = self._slow.update(close)
        self._atr.update(candle.high, candle.low, close)
        self._volume.update(candle.volume)
        self.separation_before = self.separation
        if fast is not None and slow is not None:
            self.separation = fast - slow

    def components(self, candle: Candle) -> tuple[QualityComponent, ...]:
        """Return the components of the quality that follow from the indicators."""
        atr = self.atr
        volume = self._volume.value
        true_range = self._atr.true_range.value or 0.0
        return (
            trend_component(self.separation / atr if atr else 0.0),
            volatility_component(true_range / atr if atr else 0.0),
            volume_component(candle.volume / volume if volume else 0.0),
        )


def _require_period(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _PERIOD_MAX:
        raise ValueError(f"{name}: expected a whole number from 1 to {_PERIOD_MAX}, found {value!r}")


def _positive(name: str, value: object) -> float:
    if not isinstance(value, int | float | Decimal) or isinstance(value, bool) or not isfinite(value) or value <= 0:
        raise ValueError(f"{name}: expected a number above 0, found {value!r}")
    return float(value)


def _require_below(name: str, value: float, bound: float) -> None:
    if value >= bound:
        raise ValueError(f"{name}: expected less than {bound:g}, found {value!r}")
