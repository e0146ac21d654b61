"""One account following one strategy over recorded candles.

Invariant: nothing is known before it happened. A decision is made on a closed candle and filled at the open of the
next; stop and target stand from that open on. `_done` candles are accounted for, in order, each once.
"""

from bisect import bisect_left
from collections import Counter
from decimal import Decimal

from libs.backtest.account import Account
from libs.backtest.candles.columns import Candles
from libs.backtest.costs import Costs
from libs.backtest.curve import DAY_MS, EquityCurve
from libs.backtest.decisions import Chance, Progress, chances
from libs.backtest.judging import Judge
from libs.backtest.outcome import Halt, Outcome
from libs.backtest.venue import FillKind, Venue
from libs.common.configuration import TradingConfiguration
from libs.common.contracts.vocabulary import StopTrigger
from libs.policy import PRICE_STEP, Exits, configured_strategy, exits_of
from libs.trading.instruments import Instrument
from libs.trading.money import to_decimal
from libs.trading.risk import DailyLoss, Refused, Role, TradingState
from libs.trading.strategies import Enter, HoldReason, Strategy, Wish
from libs.trading.trailing import TrailingStop


def simulate(
    candles: Candles,
    *,
    configuration: TradingConfiguration,
    instrument: Instrument,
    costs: Costs,
    cash: Decimal,
    on_progress: Progress = lambda _done: None,
) -> Outcome:
    """Run the configured strategy over the candles.

    Raises:
        ConfigurationError: The strategy cannot be made.
    """
    strategy = configured_strategy(configuration, candles.symbol, interval_s=candles.interval_s)
    simulation = Simulation(candles, configuration=configuration, instrument=instrument, costs=costs, cash=cash)
    for chance in chances(strategy, candles, on_progress):
        simulation.on_chance(chance)
    return simulation.finished(strategy)


class Simulation:
    """The shell around the core: what live is done by five services and an exchange."""

    def __init__(
        self,
        candles: Candles,
        *,
        configuration: TradingConfiguration,
        instrument: Instrument,
        costs: Costs,
        cash: Decimal,
    ) -> None:
        self._candles = candles
        self._venue = Venue(instrument, costs)
        self._account = Account(instrument, cash)
        self._judge = Judge(candles, configuration, instrument, self._venue)
        self._curve = EquityCurve(
            candles,
            cash,
            bid_rate=1.0 - float(costs.spread_rate) / 2,
            daily_loss_limit_pct=configuration.risk_management.daily_loss_limit_pct,
        )
        self._instrument = instrument
        self._quality_min = configuration.strategy.quality_min
        exit_after_s = configuration.strategy.exit_after_s
        self._exit_after_ms = None if exit_after_s is None else exit_after_s * 1000
        self._liquidates = StopTrigger.DAILY_LOSS_EXCEEDED in configuration.safety.liquidate_on
        self._done = 0
        self._trailing: TrailingStop | None = None
        self._leave_at: int | None = None  # the candle at whose open the position is too old
        self._halted_until_ms = 0
        self._halts: list[Halt] = []
        self._counts: Counter[str] = Counter()
        self._held: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()

    def on_chance(self, chance: Chance) -> None:
        """Act on what is decided at the close of a candle."""
        if chance.wish is Wish.EXIT:
            self._counts["exits"] += 1
            if self._account.is_open:
                self._pass_to(chance.index + 1)
            if self._account.is_open:
                self._leave(chance.index, Role.EXIT, FillKind.STRATEGY)
            else:
                self._counts["unneeded"] += 1
        elif isinstance(entry := chance.decide(), Enter):
            self._counts["entries"] += 1
            self._enter(chance.index, entry)

    def finished(self, strategy: Strategy) -> Outcome:
        """Account for the candles that are left, and return what came of it all."""
        self._pass_to(len(self._candles))
        account = self._account
        return Outcome(
            strategy=strategy,
            trades=account.trades,
            marks=self._curve.marks,
            cash=account.cash,
            held_quantity=account.position.quantity,
            fees=account.position.fees_quote,
            executions=account.executions,
            halts=self._halts,
            entries=self._counts["entries"],
            exits=self._counts["exits"],
            held=dict(sorted(self._held.items())),
            refused=dict(sorted(self._refused.items())),
            missed=self._counts["missed"],
            unneeded=self._counts["unneeded"],
            open_trade=account.open_trade,
        )

    def _enter(self, index: int, entry: Enter) -> None:
        candles, account = self._candles, self._account
        exits = exits_of(entry, self._judge.close_of(index), self._quality_min)
        if not isinstance(exits, Exits):
            impossible = exits[0] == HoldReason.STOPS_ARE_IMPOSSIBLE
            self._held[HoldReason.STOPS_ARE_IMPOSSIBLE.value if impossible else "quality_is_low"] += 1
            return
        self._pass_to(index + 1)
        quality = entry.quality.value
        wish, answer = self._judge.entry(
            index, exits, quality=quality, account=account, curve=self._curve, state=self._state(index)
        )
        if isinstance(answer, Refused):
            self._refused[answer.reason.value] += 1
            return
        following = index + 1
        if not self._follows(following) or answer.limit_price is None:
            self._counts["missed"] += 1
            return
        execution = self._venue.buy(
            answer.quantity, answer.limit_price, candles.open[following], decided_at=candles.close[index]
        )
        if execution is None or wish.stop_loss is None or wish.take_profit is None:
            self._counts["missed"] += 1
            return
        at_ms = candles.open_at_ms[following]
        received = account.opened(
            execution,
            at_ms=at_ms,
            index=following,
            stop_loss=wish.stop_loss,
            take_profit=wish.take_profit,
            quality=quality,
        )
        if (sellable := self._instrument.floor_quantity(received)) > 0:
            self._venue.protect(sellable, wish.stop_loss, wish.take_profit)
        self._trailing = None
        if exits.trailing_distance is not None:
            tick = self._instrument.price_tick
            self._trailing = TrailingStop.following(wish.stop_loss, exits.trailing_distance, tick)
        if self._exit_after_ms is not None:
            self._leave_at = bisect_left(candles.open_at_ms, at_ms + self._exit_after_ms)

    def _leave(self, index: int, role: Role, kind: FillKind) -> bool:
        """Sell at the open of the candle after `index`; return whether that happened."""
        candles, following = self._candles, index + 1
        if following >= len(candles):
            return False
        closed_at_ms = candles.open_at_ms[index] + candles.interval_ms
        answer = self._judge.exit(closed_at_ms, candles.close[index], role, self._account, self._state(index))
        if isinstance(answer, Refused):
            self._refused[answer.reason.value] += 1
            return False
        self._venue.unprotect()
        execution = self._venue.sell(kind, answer.quantity, candles.open[following], decided_at=candles.close[index])
        self._account.sold(execution, at_ms=candles.open_at_ms[following], index=following)
        self._leave_at = None
        return True

    def _pass_to(self, end: int) -> None:
        """Account for the candles before `end` that are not accounted for yet."""
        while self._done < end:
            stretch_end = min(end, self._halted_before())
            if not self._account.is_open:
                self._mark(stretch_end)
            elif self._leave_at is not None and self._leave_at <= self._done:
                # Too old since the open of the first candle not accounted for: sold there, or tried again at the next.
                if not self._leave(self._done - 1, Role.EXIT, FillKind.TIME):
                    self._leave_at = self._done + 1
            else:
                self._hold(stretch_end if self._leave_at is None else min(stretch_end, self._leave_at))

    def _hold(self, end: int) -> None:
        """Account for candles with a position, up to the first that fills or moves its protection or halts trading."""
        candles, begin = self._candles, self._done
        reached = self._first_reached(begin, end)
        raising = self._first_raising(begin, end if reached is None else reached)
        if raising is not None:
            self._mark(raising + 1)
            self._follow(raising)
            return
        if self._mark(end if reached is None else reached) or reached is None:
            return
        execution = self._venue.pass_through(candles.open[reached], candles.high[reached], candles.low[reached])
        if execution is not None:
            self._account.sold(execution, at_ms=candles.open_at_ms[reached], index=reached)
            self._leave_at = self._leave_at if self._account.is_open else None
        self._mark(reached + 1)
        self._follow(reached)

    def _follow(self, index: int) -> None:
        """Move the stop to where a candle that is over leads it; the position may have ended with it."""
        if self._trailing is None or self._done != index + 1 or not self._account.is_open:
            return
        self._trailing = self._trailing.after(self._high_of(index))
        self._account.moved_stop(self._trailing.stop)
        self._venue.move_stop(self._trailing.stop)

    def _first_raising(self, begin: int, end: int) -> int | None:
        """Return the first candle that leads a trailing stop up."""
        stop = self._trailing
        if stop is None:
            return None
        nearly = float(stop.stop + stop.step + stop.distance - stop.tick)  # all that do have a higher high
        for index, high in enumerate(self._candles.high[begin:end], begin):
            if high > nearly and stop.after(self._high_of(index)) is not stop:
                return index
        return None

    def _high_of(self, index: int) -> Decimal:
        return to_decimal(self._candles.high[index], PRICE_STEP)

    def _first_reached(self, begin: int, end: int) -> int | None:
        """Return the first candle that touches stop or target."""
        trade = self._account.open_trade
        if trade is None or not self._venue.is_protecting:
            return None
        stop, target = float(trade.stop_loss), float(trade.take_profit)
        lows, highs = self._candles.low[begin:end], self._candles.high[begin:end]
        if min(lows) > stop and max(highs) < target:
            return None
        for index, (low, high) in enumerate(zip(lows, highs, strict=True), begin):
            if low <= stop or high >= target:
                return index
        return None

    def _mark(self, end: int) -> bool:
        """Mark candles up to `end`; return whether trading was halted before it."""
        account = self._account
        loss = self._curve.extend(
            end, account.cash, account.position.quantity, is_watched=not self._is_halted(self._done)
        )
        self._done = len(self._curve.marks)
        if loss is None:
            return False
        self._halt(loss)
        return True

    def _halt(self, loss: DailyLoss) -> None:
        """Stop trading until the day is over, when somebody is taken to have looked at it and resumed."""
        last = self._done - 1
        closed_at_ms = self._candles.open_at_ms[last] + self._candles.interval_ms
        self._halted_until_ms = (closed_at_ms // DAY_MS + 1) * DAY_MS
        self._halts.append(Halt(at_ms=closed_at_ms, loss=loss.loss, limit=loss.limit))
        if self._liquidates and self._account.is_open:
            self._leave(last, Role.LIQUIDATION, FillKind.LIQUIDATION)

    def _state(self, index: int) -> TradingState:
        return TradingState.HALTED if self._is_halted(index) else TradingState.ACTIVE

    def _is_halted(self, index: int) -> bool:
        return self._candles.open_at_ms[index] + self._candles.interval_ms < self._halted_until_ms

    def _halted_before(self) -> int:
        """Return the candle with which a standing halt ends; beyond all candles while none stands."""
        candles = self._candles
        if not self._is_halted(self._done):
            return len(candles)
        return bisect_left(candles.open_at_ms, self._halted_until_ms - candles.interval_ms)

    def _follows(self, index: int) -> bool:
        """Whether a candle is there and begins where the one before it ended."""
        times = self._candles.open_at_ms
        return index < len(times) and times[index] - times[index - 1] == self._candles.interval_ms
