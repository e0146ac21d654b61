"""One symbol's market: its trades and quotes in, candles, paced quotes and needs for repair out.

Invariant: trades are taken once each, in the order of their ids; a missing id makes every candle that may lack it
partial.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from libs.exchange.market_data.port import BestQuote, Kline, PublicTrade
from services.market_monitor.domain.anomalies import AnomalyDetector, Thresholds
from services.market_monitor.domain.candles import CandleBuilder, Period
from services.market_monitor.domain.quotes import QuotePace
from services.market_monitor.domain.repairs import Repairs, Span

MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Closed:
    """A period of one interval that has closed."""

    interval_s: int
    period: Period


@dataclass(frozen=True, slots=True)
class TradeOutcome:
    """What became of a trade.

    Attributes:
        is_new: False for one that was seen before.
        missed: How many trades the exchange numbered between the last one and this.
        is_late: Whether its candle had closed already.
        closed: The periods that it closed.
    """

    is_new: bool
    missed: int = 0
    is_late: bool = False
    closed: tuple[Closed, ...] = ()


class SymbolMarket:
    """Keeps one symbol's candles, quotes and anomalies.

    Args:
        symbol: As in 'BTC/USDT'.
        history: For each interval in seconds, how many closed periods before now are needed.
        thresholds: From when on the market is not calm.
        quote_interval_ms: The least time between two quotes that are let through.
        now_ms: The present.
    """

    def __init__(
        self, symbol: str, history: Mapping[int, int], thresholds: Thresholds, *, quote_interval_ms: int, now_ms: int
    ) -> None:
        self.symbol = symbol
        self.anomalies = AnomalyDetector(thresholds, now_ms=now_ms)
        self.quotes: QuotePace[BestQuote] = QuotePace(quote_interval_ms)
        self.is_trading = True
        self._builders = {interval_s: CandleBuilder(interval_s) for interval_s in history}
        self._repairs = {
            interval_s: Repairs(interval_s, periods_max=periods) for interval_s, periods in history.items()
        }
        self._next_ms: dict[int, int] = {}
        for interval_s, periods in history.items():
            self._need(interval_s, now_ms - periods * interval_s * 1000, now_ms - interval_s * 1000)
            self._next_ms[interval_s] = now_ms // (interval_s * 1000) * (interval_s * 1000)
        self._last_trade: PublicTrade | None = None
        self._is_numbered_anew = True

    @property
    def last_price(self) -> Decimal | None:
        """The price of the newest trade, once known."""
        return None if self._last_trade is None else self._last_trade.price

    def connect(self, exchange_now_ms: int) -> None:
        """Trades arrive from now on; an exchange that was set up anew may number them anew."""
        self._is_numbered_anew = True
        for builder in self._builders.values():
            builder.connect(exchange_now_ms)

    def disconnect(self) -> None:
        """Trades may be missed from now on."""
        for builder in self._builders.values():
            builder.disconnect()

    def on_trade(self, trade: PublicTrade, now_ms: int) -> TradeOutcome:
        """Take a trade; one that was seen before changes nothing."""
        last, is_numbered_anew = self._last_trade, self._is_numbered_anew
        step = 1 if last is None else trade.trade_id - last.trade_id
        if step <= 0 and not is_numbered_anew:
            return TradeOutcome(is_new=False)
        missed = max(0, step - 1)
        self._last_trade, self._is_numbered_anew = trade, False
        if not trade.backfilled:  # an old price is no jump of this moment, nor is it fresh data
            self.anomalies.on_trade(trade.price, now_ms)
        if missed:
            self.anomalies.miss_trades(now_ms)
        closed: list[Closed] = []
        is_late = False
        for interval_s, builder in self._builders.items():
            if builder.is_late(trade.traded_at_ms):
                is_late = True
                self._need(interval_s, trade.traded_at_ms, trade.traded_at_ms)
            else:
                if missed and last is not None:
                    self._need(interval_s, last.traded_at_ms, trade.traded_at_ms)
                periods = _taken(builder, trade, is_gap=missed > 0)
                closed += self._close(interval_s, periods)
        return TradeOutcome(is_new=True, missed=missed, is_late=is_late, closed=tuple(closed))

    def on_quote(self, quote: BestQuote, now_ms: int) -> BestQuote | None:
        """Take a quote and return one that may be published now."""
        self.anomalies.on_quote(quote.bid, quote.ask, now_ms)
        return self.quotes.on_quote(quote, now_ms)

    def on_time(self, exchange_now_ms: int) -> list[Closed]:
        """Return the periods whose time is over."""
        return [
            closed
            for interval_s, builder in self._builders.items()
            for closed in self._close(interval_s, builder.on_time(exchange_now_ms))
        ]

    def due(self, exchange_now_ms: int) -> list[tuple[int, Span]]:
        """Return what the exchange can be asked for now, by interval."""
        spans = [(interval_s, repairs.due(exchange_now_ms)) for interval_s, repairs in self._repairs.items()]
        return [(interval_s, span) for interval_s, span in spans if span is not None]

    def on_klines(self, interval_s: int, asked: Span, klines: Sequence[Kline], exchange_now_ms: int) -> None:
        """Take note of the exchange's own candles of a span that was due."""
        known_until_ms = klines[-1].open_at_ms if klines else None
        self._repairs[interval_s].answered(asked, known_until_ms=known_until_ms, now_ms=exchange_now_ms)
        for kline in klines:
            self._on_close(interval_s, kline.open_at_ms, kline.close)
        if klines:
            self._builders[interval_s].seed(klines[-1].close, exchange_now_ms)

    def _close(self, interval_s: int, periods: Iterable[Period]) -> list[Closed]:
        for period in periods:
            if period.open_at_ms > self._next_ms[interval_s]:  # between the start, or a long silence, and this period
                self._need(interval_s, self._next_ms[interval_s], period.open_at_ms - 1)
            self._next_ms[interval_s] = period.open_at_ms + interval_s * 1000
            if period.partial:
                self._need(interval_s, period.open_at_ms, period.open_at_ms)
            else:
                self._on_close(interval_s, period.open_at_ms, period.close)
        return [Closed(interval_s, period) for period in periods]

    def _on_close(self, interval_s: int, open_at_ms: int, close: Decimal) -> None:
        if interval_s == MINUTE_S:
            self.anomalies.on_minute(open_at_ms, close)

    def _need(self, interval_s: int, first_at_ms: int, last_at_ms: int) -> None:
        interval_ms = interval_s * 1000
        self._repairs[interval_s].need(
            first_at_ms // interval_ms * interval_ms, last_at_ms // interval_ms * interval_ms
        )


def _taken(builder: CandleBuilder, trade: PublicTrade, *, is_gap: bool) -> list[Period]:
    """Give the trade to the builder; over a gap every period from the present one to the trade's is partial."""
    was_connected = builder.is_connected
    if is_gap:
        builder.disconnect()
    closed = builder.on_trade(
        price=trade.price, quantity=trade.quantity, trade_id=trade.trade_id, traded_at_ms=trade.traded_at_ms
    )
    if is_gap and was_connected:
        builder.connect(trade.traded_at_ms + 1)
    return closed
