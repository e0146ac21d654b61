"""Market monitor: what arrives from the exchange becomes events.

Invariant: every trade is published once; a candle that may miss a trade is marked partial and followed by the
exchange's own (`backfilled`) version; silence is reported, never filled with invented prices.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from libs.common.clock import Clock, epoch_ms
from libs.common.contracts.event import Event
from libs.common.observability import metrics
from libs.exchange.market_data.port import Kline, PublicTrade, ServerTime, Tick
from services.market_monitor.domain.anomalies import Thresholds
from services.market_monitor.domain.market import MINUTE_S, Closed, SymbolMarket
from services.market_monitor.domain.repairs import Span
from services.market_monitor.service.events import candle_backfilled, candle_closed, quote_changed, trade_printed
from services.market_monitor.service.status import StatusBoard

STALL_MS: Final = 500
"""After so long a pause of the process, what waits in the sockets is read before the clock closes any candle."""


class Observation(NamedTuple):
    """An event, and when the market data behind it reached us."""

    event: Event
    origin_at: datetime


@dataclass(frozen=True, slots=True)
class Repair:
    """Periods to be read from the exchange."""

    symbol: str
    interval_s: int
    span: Span


@dataclass(frozen=True, slots=True)
class LatestPrice:
    """The newest prices of a symbol, for whoever only wants to look."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    at: datetime


class MarketMonitor:
    """Watches the markets of some symbols.

    Args:
        symbols: As in 'BTC/USDT'.
        interval_s: The decision candles' interval; one-minute candles are built besides.
        thresholds: From when on a market is not calm.
        warmup_candles: How many decision candles from before the start are needed.
        warmup_minutes: How many one-minute candles.
        quote_interval_ms: The least time between two published quotes of a symbol.
        clock: Ours; the exchange's time is ours plus the skew.
    """

    def __init__(
        self,
        *,
        symbols: Iterable[str],
        interval_s: int,
        thresholds: Thresholds,
        warmup_candles: int,
        warmup_minutes: int,
        quote_interval_ms: int,
        clock: Clock,
    ) -> None:
        now_ms = epoch_ms(clock.now())
        history = {MINUTE_S: warmup_minutes}
        history[interval_s] = max(warmup_candles, history.get(interval_s, 0))
        self._markets = {
            symbol: SymbolMarket(symbol, history, thresholds, quote_interval_ms=quote_interval_ms, now_ms=now_ms)
            for symbol in symbols
        }
        self._clock = clock
        self._board = StatusBoard(frame_age_ms_max=thresholds.data_age_ms_max, now_ms=now_ms)
        self._timed_at_ms = now_ms
        self._is_connected = False
        self._moved: set[str] = set()

    def configure(self, thresholds: Thresholds) -> None:
        """Judge every market by new thresholds from now on."""
        for market in self._markets.values():
            market.anomalies.configure(thresholds)
        self._board.reachability.frame_age_ms_max = thresholds.data_age_ms_max

    @property
    def is_watching(self) -> bool:
        """Whether the exchange answers and its stream is subscribed; a market may be quiet none the less."""
        return self._is_connected and self._board.answers(epoch_ms(self._clock.now()))

    def on_connected(self) -> None:
        """The stream was subscribed: from now on every trade arrives."""
        self._is_connected = True
        for market in self._markets.values():
            market.connect(self._exchange_now_ms())

    def on_disconnected(self) -> None:
        """The stream ended: trades may be missed until the next subscription."""
        self._is_connected = False
        for market in self._markets.values():
            market.disconnect()

    def on_ticks(self, ticks: Sequence[Tick]) -> list[Observation]:
        """Return what follows from trades and quotes, in their order."""
        observations: list[Observation] = []
        for tick in ticks:
            market = self._markets[tick.symbol]
            now_ms = epoch_ms(tick.received_at)
            self._board.on_frame(now_ms)
            self._moved.add(tick.symbol)
            if isinstance(tick, PublicTrade):
                observations += self._on_trade(market, tick, now_ms)
            else:
                metrics.MARKET_TICKS.labels(kind="quote").inc()
                quote = market.on_quote(tick, now_ms)
                if quote is not None:
                    observations.append(Observation(quote_changed(quote), quote.received_at))
        return observations

    def on_time(self) -> list[Observation]:
        """Return what follows from time passing: held quotes, candles that ended, the markets' status. Every 50 ms."""
        now = self._clock.now()
        now_ms = epoch_ms(now)
        is_stalled = not 0 <= now_ms - self._timed_at_ms <= STALL_MS
        self._timed_at_ms = now_ms
        observations: list[Observation] = []
        for market in self._markets.values():
            quote = market.quotes.on_time(now_ms)
            if quote is not None:
                observations.append(Observation(quote_changed(quote), quote.received_at))
            if not is_stalled:
                observations += _closed(market, market.on_time(now_ms + self._board.skew_ms), now)
        observations += [Observation(event, now) for event in self._board.news(self._markets.values(), now)]
        return observations

    def on_server_time(self, time: ServerTime, *, used_weight: int) -> None:
        """Take note that the exchange answered, and of its clock."""
        self._board.on_server_time(time, used_weight=used_weight, now_ms=epoch_ms(self._clock.now()))

    def on_symbols_trading(self, symbols_trading: Mapping[str, bool]) -> None:
        """Take note of which symbols the exchange lets trade."""
        for symbol, is_trading in symbols_trading.items():
            self._markets[symbol].is_trading = is_trading

    def repairs_due(self) -> list[Repair]:
        """Return what should be read from the exchange now."""
        exchange_now_ms = self._exchange_now_ms()
        return [
            Repair(symbol, interval_s, span)
            for symbol, market in self._markets.items()
            for interval_s, span in market.due(exchange_now_ms)
        ]

    def on_klines(self, repair: Repair, klines: Sequence[Kline]) -> list[Observation]:
        """Return the exchange's own candles as back-filled ones, oldest first."""
        now = self._clock.now()
        wanted = [
            kline for kline in klines if repair.span.first_open_at_ms <= kline.open_at_ms <= repair.span.last_open_at_ms
        ]
        market = self._markets[repair.symbol]
        market.on_klines(repair.interval_s, repair.span, wanted, self._exchange_now_ms())
        metrics.MARKET_CANDLES.labels(kind="backfilled").inc(len(wanted))
        return [Observation(candle_backfilled(repair.symbol, repair.interval_s, kline), now) for kline in wanted]

    def moved_prices(self) -> list[LatestPrice]:
        """Return the prices of the symbols that moved since the last call."""
        now = self._clock.now()
        moved, self._moved = self._moved, set()
        markets = [self._markets[symbol] for symbol in sorted(moved)]
        return [
            LatestPrice(market.symbol, market.anomalies.bid, market.anomalies.ask, market.last_price, now)
            for market in markets
        ]

    def _on_trade(self, market: SymbolMarket, trade: PublicTrade, now_ms: int) -> list[Observation]:
        outcome = market.on_trade(trade, now_ms)
        if not outcome.is_new:
            return []
        metrics.MARKET_TICKS.labels(kind="trade").inc()
        metrics.MARKET_TRADES_MISSED.inc(outcome.missed)
        metrics.MARKET_TRADES_LATE.inc(outcome.is_late)
        observations = _closed(market, outcome.closed, trade.received_at)
        return [*observations, Observation(trade_printed(trade), trade.received_at)]

    def _exchange_now_ms(self) -> int:
        return epoch_ms(self._clock.now()) + self._board.skew_ms


def _closed(market: SymbolMarket, closed: Iterable[Closed], origin_at: datetime) -> list[Observation]:
    observations = []
    for one in closed:
        metrics.MARKET_CANDLES.labels(kind="partial" if one.period.partial else "streamed").inc()
        observations.append(Observation(candle_closed(market, one), origin_at))
    return observations
