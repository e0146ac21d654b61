"""Signal generator: every closed candle is answered with a signal, a hold worth recording, or nothing.

Invariant: the answer depends on the candles before it, never on when or by which replica it is given.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Protocol

from libs.common.clock import epoch_ms
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import (
    CandleClosed,
    MarketStatusChanged,
    SignalGenerated,
    SignalHeld,
    TradingStateChanged,
)
from libs.common.contracts.vocabulary import Role, Side
from libs.common.observability import metrics
from libs.policy import Exits, exits_of
from libs.trading.strategies import Enter, Exit, Hold, HoldReason, Strategy
from services.signal_generator.domain import HoldLog, Surroundings, SymbolDesk

HOLD_RECORD_S_MIN: Final = 60


class CandleHistory(Protocol):
    """The candles that were published."""

    async def before(self, symbol: str, interval_s: int, open_at: datetime, count: int) -> Sequence[CandleClosed]:
        """Return the last complete candles that opened before `open_at`, at most `count`, oldest first.

        Where several versions of a candle were published, the first complete one counts, for every reader.

        Raises:
            RetryableError: They cannot be read now.
        """
        ...


class SignalGenerator:
    """Runs one strategy over every symbol whose candles come.

    Args:
        create: Makes a new instance of the strategy for a symbol.
        interval_s: The decision candles' interval; others are passed over.
        quality_min: Returns the quality below which entries are held now.
        history: Where a strategy that lacks candles finds them.
    """

    def __init__(
        self,
        *,
        create: Callable[[str], Strategy],
        interval_s: int,
        quality_min: Callable[[], int],
        history: CandleHistory,
    ) -> None:
        self._create = create
        self._interval_s = interval_s
        self._quality_min = quality_min
        self._history = history
        self._surroundings = Surroundings()
        self._desks: dict[str, SymbolDesk] = {}

    async def on_status(self, envelope: Envelope[MarketStatusChanged]) -> None:
        """Take note of a market's status."""
        self._surroundings.on_status(envelope.event)

    async def on_state(self, envelope: Envelope[TradingStateChanged]) -> None:
        """Take note of an account's trading state."""
        self._surroundings.on_state(envelope.event)

    def renew(self) -> None:
        """Make every strategy anew with its next candle: its rules are others now."""
        for desk in self._desks.values():
            desk.renew()

    async def on_candle(self, envelope: Envelope[CandleClosed]) -> Sequence[Event]:
        """Answer a candle; the same event again gets the same answer.

        Raises:
            RetryableError: The candles before it cannot be read now.
        """
        candle = envelope.event
        if candle.interval_s != self._interval_s:
            return ()
        desk = self._desk(candle.symbol)
        if envelope.event_id != desk.answered:
            desk.answer = await self._answer(desk, candle)
            desk.answered = envelope.event_id
        return desk.answer

    def _desk(self, symbol: str) -> SymbolDesk:
        desk = self._desks.get(symbol)
        if desk is None:
            hold_interval_ms = max(self._interval_s, HOLD_RECORD_S_MIN) * 1000
            desk = SymbolDesk(lambda: self._create(symbol), HoldLog(hold_interval_ms))
            self._desks[symbol] = desk
        return desk

    async def _answer(self, desk: SymbolDesk, candle: CandleClosed) -> Sequence[Event]:
        if desk.is_past(candle):
            desk.on_past(candle)
            return ()
        if candle.partial:
            return self._held(desk, candle, (HoldReason.PARTIAL_CANDLE,))
        if desk.is_broken_by(candle):
            await self._rebuild(desk, candle)
        decision = desk.decide(candle)
        if candle.backfilled:
            return ()  # it completes the state; it is too old to be acted on
        match decision:
            case Hold():
                return self._held(desk, candle, decision.reasons)
            case Enter():
                return self._entry(desk, candle, decision)
            case Exit():
                return self._exit(desk, candle, decision)

    async def _rebuild(self, desk: SymbolDesk, candle: CandleClosed) -> None:
        """Rebuild a strategy from as many candles as its rules need: once more if they were renewed meanwhile."""
        rules = None
        while rules != desk.rules:
            rules = desk.rules
            history = await self._history.before(candle.symbol, self._interval_s, candle.open_at, desk.window)
            metrics.SIGNALS_HISTORY_READ.inc()
        desk.rebuild(history)

    def _entry(self, desk: SymbolDesk, candle: CandleClosed, entry: Enter) -> Sequence[Event]:
        quality = entry.quality.value
        exits = exits_of(entry, candle.close, self._quality_min())
        if not isinstance(exits, Exits):
            return self._held(desk, candle, exits, quality=quality)
        if obstacles := self._surroundings.obstacles(candle.symbol):
            return self._held(desk, candle, obstacles, quality=quality)
        metrics.SIGNALS_DECIDED.labels(decision="enter").inc()
        reasons = (*entry.reasons, *entry.quality.reasons)
        return (_signal(desk, candle, Side.BUY, Role.ENTRY, quality=quality, reasons=reasons, exits=exits),)

    def _exit(self, desk: SymbolDesk, candle: CandleClosed, wish: Exit) -> Sequence[Event]:
        obstacles = self._surroundings.obstacles(candle.symbol)
        if obstacles:
            return self._held(desk, candle, obstacles, quality=wish.quality.value)
        metrics.SIGNALS_DECIDED.labels(decision="exit").inc()
        return (_signal(desk, candle, Side.SELL, Role.EXIT, quality=wish.quality.value, reasons=wish.reasons),)

    def _held(
        self, desk: SymbolDesk, candle: CandleClosed, reasons: Sequence[str], *, quality: int | None = None
    ) -> Sequence[Event]:
        metrics.SIGNALS_DECIDED.labels(decision="hold").inc()
        words = tuple(str(reason) for reason in reasons)
        if not desk.holds.is_due(words, epoch_ms(candle.open_at)):
            return ()
        return (
            SignalHeld(
                occurred_at=candle.close_at,
                strategy=desk.name,
                symbol=candle.symbol,
                interval_s=candle.interval_s,
                candle_open_at=candle.open_at,
                close=candle.close,
                reasons=words,
                quality_score=quality,
            ),
        )


def _signal(
    desk: SymbolDesk,
    candle: CandleClosed,
    side: Side,
    role: Role,
    *,
    quality: int,
    reasons: tuple[str, ...],
    exits: Exits | None = None,
) -> SignalGenerated:
    """Return the wish on a candle; its time is the candle's end, so that a belated decision shows its age."""
    return SignalGenerated(
        occurred_at=candle.close_at,
        signal_id=f"{desk.name}|{candle.symbol}|{candle.interval_s}|{candle.open_at.isoformat()}|{side}",
        strategy=desk.name,
        symbol=candle.symbol,
        side=side,
        role=role,
        reference_price=candle.close,
        stop_loss=exits.stop_loss if exits else None,
        take_profit=exits.take_profit if exits else None,
        trailing_distance=exits.trailing_distance if exits else None,
        quality_score=quality,
        reasons=reasons,
        interval_s=candle.interval_s,
        candle_open_at=candle.open_at,
        bid=candle.bid,
        ask=candle.ask,
    )
