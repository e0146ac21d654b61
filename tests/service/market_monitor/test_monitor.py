"""What the monitor publishes for what arrives."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TypeVar

import pytest

from libs.common.clock import epoch_ms, from_epoch_ms
from libs.common.contracts.event import Event
from libs.common.contracts.events import AlertRaised, CandleClosed, MarketStatusChanged, QuoteChanged, TradePrinted
from libs.common.contracts.vocabulary import AlertType, MarketCondition, Severity
from libs.exchange.market_data.port import BestQuote, Kline, PublicTrade, ServerTime
from libs.trading.market import Side
from services.market_monitor.domain.anomalies import Thresholds
from services.market_monitor.service.monitor import MarketMonitor, Observation
from tests.support.clock import FakeClock

EventT = TypeVar("EventT", bound=Event)
BTC, ETH = "BTC/USDT", "ETH/USDT"


class Bench:
    """A monitor, its clock and what it said."""

    def __init__(self, *, symbols: Sequence[str] = (BTC,), interval_s: int = 1, connected: bool = True) -> None:
        self.clock = FakeClock()
        self.monitor = MarketMonitor(
            symbols=symbols,
            interval_s=interval_s,
            thresholds=Thresholds(
                data_age_ms_max=5_000,
                volatility_rate_max=Decimal("0.02"),
                spread_rate_max=Decimal("0.005"),
                jump_rate_max=Decimal("0.03"),
                jump_window_s=10,
                clock_skew_ms_max=500,
                calm_after_s=10,
            ),
            warmup_candles=5,
            warmup_minutes=2,
            quote_interval_ms=50,
            clock=self.clock,
        )
        self.observations: list[Observation] = []
        self._trade_id = 100
        if connected:
            self.monitor.on_connected()

    @property
    def now_ms(self) -> int:
        return epoch_ms(self.clock.now())

    def trade(self, price: str = "100", *, symbol: str = BTC, skip: int = 0, trade_id: int | None = None) -> None:
        self._trade_id = trade_id if trade_id is not None else self._trade_id + 1 + skip
        self.observations += self.monitor.on_ticks(
            [
                PublicTrade(
                    symbol=symbol,
                    trade_id=self._trade_id,
                    price=Decimal(price),
                    quantity=Decimal(1),
                    taker_side=Side.BUY,
                    traded_at_ms=self.now_ms,
                    received_at=self.clock.now(),
                )
            ]
        )

    def quote(self, bid: str = "99.99", ask: str = "100.01", *, update_id: int = 1) -> None:
        self.observations += self.monitor.on_ticks(
            [
                BestQuote(
                    symbol=BTC,
                    update_id=update_id,
                    bid=Decimal(bid),
                    bid_quantity=Decimal(1),
                    ask=Decimal(ask),
                    ask_quantity=Decimal(1),
                    received_at=self.clock.now(),
                )
            ]
        )

    def answer(self, *, skew_ms: int = 0) -> None:
        time = ServerTime(server_ms=self.now_ms + skew_ms, asked_at_ms=self.now_ms, answered_at_ms=self.now_ms)
        self.monitor.on_server_time(time, used_weight=42)

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)
            self.observations += self.monitor.on_time()

    def said(self, kind: type[EventT]) -> list[EventT]:
        return [event for event, _ in self.observations if isinstance(event, kind)]

    def candles(self, interval_s: int = 1) -> list[CandleClosed]:
        return [candle for candle in self.said(CandleClosed) if candle.interval_s == interval_s]

    def clear(self) -> None:
        self.observations.clear()


def test_every_trade_is_published_once() -> None:
    bench = Bench()
    bench.trade(trade_id=5)
    bench.trade(trade_id=5)
    bench.trade(trade_id=4)
    bench.trade(trade_id=6)

    assert [printed.trade_id for printed in bench.said(TradePrinted)] == [5, 6]


def test_the_origin_of_a_tick_is_its_receipt() -> None:
    bench = Bench()
    bench.trade()

    assert bench.observations[0].origin_at == bench.clock.now()


def test_a_candle_is_published_before_the_trade_that_closed_it_and_shares_its_origin() -> None:
    bench = Bench()
    bench.trade("100")
    bench.quote("99", "101")
    bench.clock.advance(1)
    bench.clear()

    bench.trade("105")

    candle, printed = (observation.event for observation in bench.observations)
    assert isinstance(candle, CandleClosed)
    assert isinstance(printed, TradePrinted)
    assert (candle.bid, candle.ask) == (Decimal(99), Decimal(101))
    assert candle.close_at - candle.open_at == timedelta(seconds=1)
    assert {observation.origin_at for observation in bench.observations} == {bench.clock.now()}


def test_quotes_pass_at_twenty_a_second_and_the_newest_is_kept() -> None:
    bench = Bench()
    for update_id in range(10):
        bench.quote(update_id=update_id)
        bench.clock.advance(0.01)
    bench.pass_time(0.05)

    assert [quote.update_id for quote in bench.said(QuoteChanged)] == [0, 5, 9]


def test_a_candle_closes_by_the_clock_of_the_exchange() -> None:
    bench = Bench()
    bench.answer(skew_ms=-400)
    bench.trade()
    bench.pass_time(1.55)

    assert bench.candles() == []

    bench.pass_time(0.1)

    assert len(bench.candles()) == 1  # the exchange's second ended 0.4 s after ours, and 0.2 s of grace


def test_after_a_stall_nothing_is_closed_before_the_sockets_are_read() -> None:
    bench = Bench()
    bench.trade()
    bench.pass_time(0.1)
    bench.clock.advance(3)

    bench.observations += bench.monitor.on_time()

    assert bench.candles() == []
    bench.pass_time(0.05)
    assert len(bench.candles()) == 2


def test_missed_trades_make_every_candle_that_may_lack_them_partial_and_due_for_repair() -> None:
    bench = Bench()
    bench.trade()
    bench.pass_time(1.5)
    _settle_history(bench)  # the first candle was partial, because we joined in it
    first_ms = bench.now_ms // 1000 * 1000
    bench.trade()
    bench.pass_time(2.0)  # the candle of this trade has closed as complete
    bench.clear()

    bench.trade(skip=3)
    bench.pass_time(3.0)

    assert [candle.partial for candle in bench.candles()] == [True, False, False]
    assert MarketCondition.TRADES_MISSED in bench.said(MarketStatusChanged)[-1].conditions
    (repair,) = [repair for repair in bench.monitor.repairs_due() if repair.interval_s == 1]
    assert repair.span.first_open_at_ms == first_ms


def test_a_trade_after_its_candle_closed_is_published_and_its_period_repaired() -> None:
    bench = Bench()
    bench.trade()
    bench.pass_time(1.25)
    bench.trade()
    bench.pass_time(1.0)
    _settle_history(bench)
    late_at_ms = bench.now_ms - 1_300
    received_at = bench.clock.now()
    bench.clear()

    bench.observations += bench.monitor.on_ticks(
        [
            PublicTrade(
                symbol=BTC,
                trade_id=103,
                price=Decimal(100),
                quantity=Decimal(1),
                taker_side=Side.SELL,
                traded_at_ms=late_at_ms,
                received_at=received_at,
            )
        ]
    )

    assert [printed.trade_id for printed in bench.said(TradePrinted)] == [103]
    assert [repair.span.first_open_at_ms for repair in bench.monitor.repairs_due()] == [late_at_ms // 1000 * 1000]


def test_a_candle_during_a_disconnection_is_partial() -> None:
    bench = Bench()
    bench.trade()
    bench.pass_time(1.0)
    bench.monitor.on_disconnected()
    bench.pass_time(1.0)
    bench.monitor.on_connected()
    bench.clear()
    bench.pass_time(3.0)

    assert [candle.partial for candle in bench.candles()] == [True, False, False]


def test_an_exchange_set_up_anew_may_number_its_trades_anew() -> None:
    bench = Bench()
    bench.trade(trade_id=5_000)
    bench.monitor.on_disconnected()
    bench.monitor.on_connected()

    bench.trade(trade_id=1)

    assert [printed.trade_id for printed in bench.said(TradePrinted)] == [5_000, 1]


def test_the_start_asks_for_the_declared_history() -> None:
    bench = Bench()
    bench.clock.advance(0.4)

    repairs = {repair.interval_s: repair.span for repair in bench.monitor.repairs_due()}

    start_ms = bench.now_ms // 1000 * 1000
    assert (repairs[1].first_open_at_ms, repairs[1].last_open_at_ms) == (start_ms - 5_000, start_ms - 1_000)
    assert (repairs[60].last_open_at_ms - repairs[60].first_open_at_ms) == 60_000


def test_klines_become_backfilled_candles_in_order() -> None:
    bench = Bench()
    bench.clock.advance(0.4)
    (repair,) = [repair for repair in bench.monitor.repairs_due() if repair.interval_s == 1]
    first_ms = repair.span.first_open_at_ms
    klines = [a_kline(first_ms + step * 1_000) for step in range(-1, 5)]  # one more than was asked for

    bench.observations += bench.monitor.on_klines(repair, klines)

    candles = bench.candles()
    assert [epoch_ms(candle.open_at) - first_ms for candle in candles] == [0, 1_000, 2_000, 3_000, 4_000]
    assert all(candle.backfilled and not candle.partial for candle in candles)
    assert [one for one in bench.monitor.repairs_due() if one.interval_s == 1] == []


def test_history_lets_an_empty_first_period_be_told() -> None:
    bench = Bench()
    _settle_history(bench)
    bench.pass_time(1.5)

    assert [candle.volume for candle in bench.candles()] == [0]


def test_periods_between_the_history_and_the_first_candle_are_asked_for() -> None:
    bench = Bench(connected=False)
    _settle_history(bench)  # until the second before the start
    start_ms = bench.now_ms // 1000 * 1000
    bench.clock.advance(3.1)
    bench.monitor.on_connected()
    bench.trade()
    bench.pass_time(1.5)

    (repair,) = [repair for repair in bench.monitor.repairs_due() if repair.interval_s == 1]

    assert (repair.span.first_open_at_ms, repair.span.last_open_at_ms) == (start_ms, start_ms + 3_000)


def test_the_hole_that_a_long_silence_leaves_is_asked_for() -> None:
    bench = Bench()
    bench.trade()
    bench.pass_time(1.5)
    _settle_history(bench)
    start_ms = bench.now_ms // 1000 * 1000
    bench.clock.advance(2_000)
    bench.pass_time(2.0)

    spans = [repair.span for repair in bench.monitor.repairs_due() if repair.interval_s == 1]

    assert spans[0].last_open_at_ms - spans[0].first_open_at_ms == 4_000  # what is kept of history here: 5 candles
    assert spans[0].first_open_at_ms > start_ms


def test_a_status_is_told_every_second_and_at_every_change() -> None:
    bench = Bench()
    for _ in range(4):
        bench.answer()
        bench.quote()
        bench.pass_time(0.95)
    bench.clear()

    bench.quote("90", "100")
    bench.pass_time(0.05)

    (status,) = bench.said(MarketStatusChanged)
    assert status.conditions == (MarketCondition.WIDE_SPREAD,)
    assert (status.reachable, status.calm, status.trading, status.used_weight) == (True, False, True, 42)


def test_the_standing_status_is_told_once_a_second() -> None:
    bench = Bench()
    for _ in range(3):
        bench.answer()
        bench.quote()
        bench.pass_time(1.0)
    bench.clear()
    bench.answer()
    bench.quote()
    bench.pass_time(2.0)

    assert len(bench.said(MarketStatusChanged)) == 2


def test_an_anomaly_is_alerted_once_per_onset() -> None:
    bench = Bench()
    bench.answer()
    for _ in range(20):
        bench.quote("90", "100")
        bench.pass_time(0.1)

    (alert,) = [alert for alert in bench.said(AlertRaised) if alert.alert_type is AlertType.SYSTEM_ERROR]
    assert (alert.severity, alert.symbol, alert.subject) == (Severity.WARNING, BTC, f"WIDE_SPREAD {BTC}")


def test_a_clock_skew_is_alerted_once_for_all_symbols() -> None:
    bench = Bench(symbols=(BTC, ETH))
    bench.answer(skew_ms=900)
    bench.pass_time(1.0)

    (alert,) = bench.said(AlertRaised)
    assert (alert.subject, alert.symbol) == ("CLOCK_SKEW", None)


def test_an_outage_is_alerted_once_and_its_end_is_told() -> None:
    bench = Bench()
    bench.pass_time(8.0)
    for _ in range(3):
        bench.answer()
        bench.quote()
        bench.pass_time(1.0)

    alerts = [alert for alert in bench.said(AlertRaised) if alert.alert_type is AlertType.API_CONNECTION_LOST]
    assert [(alert.severity, alert.parameters["state"]) for alert in alerts] == [
        (Severity.CRITICAL, "LOST"),
        (Severity.INFO, "RESTORED"),
    ]


def test_a_symbol_that_the_exchange_halts_is_told_at_once() -> None:
    bench = Bench()
    bench.answer()
    bench.quote()
    bench.monitor.on_symbols_trading({BTC: False})
    bench.pass_time(0.05)

    status = bench.said(MarketStatusChanged)[-1]
    assert not status.trading
    assert MarketCondition.SYMBOL_HALTED in status.conditions


@pytest.mark.parametrize("is_connected", [True, False])
def test_the_monitor_watches_once_it_is_connected_and_answered(is_connected: bool) -> None:  # noqa: FBT001 - a table
    bench = Bench(connected=is_connected)
    assert not bench.monitor.is_watching

    bench.answer()

    assert bench.monitor.is_watching is is_connected


def test_only_prices_that_moved_are_shown() -> None:
    bench = Bench(symbols=(BTC, ETH))
    bench.trade("105", symbol=ETH)

    (price,) = bench.monitor.moved_prices()

    assert (price.symbol, price.last, price.bid) == (ETH, Decimal(105), None)
    assert bench.monitor.moved_prices() == []


def test_an_interval_of_a_minute_is_built_once() -> None:
    bench = Bench(interval_s=60)
    bench.trade()
    bench.pass_time(61)

    assert len(bench.candles(60)) == 1


def a_kline(open_at_ms: int, price: str = "100") -> Kline:
    value = Decimal(price)
    return Kline(open_at_ms=open_at_ms, open=value, high=value, low=value, close=value, volume=Decimal(1), trades=1)


def _settle_history(bench: Bench) -> None:
    """Answer everything that the monitor asks for, and forget what it says to it."""
    bench.clock.advance(0.4)
    bench.observations += bench.monitor.on_time()
    for repair in bench.monitor.repairs_due():
        step_ms = repair.interval_s * 1_000
        opens = range(repair.span.first_open_at_ms, repair.span.last_open_at_ms + 1, step_ms)
        bench.monitor.on_klines(repair, [a_kline(open_at_ms) for open_at_ms in opens])
    assert bench.monitor.repairs_due() == []
    assert from_epoch_ms(bench.now_ms) == bench.clock.now()


def test_new_thresholds_reach_every_market_and_the_connection() -> None:
    bench = Bench()
    patient = Thresholds(
        data_age_ms_max=60_000,
        volatility_rate_max=Decimal("0.02"),
        spread_rate_max=Decimal("0.005"),
        jump_rate_max=Decimal("0.03"),
        jump_window_s=10,
        clock_skew_ms_max=500,
        calm_after_s=10,
    )
    for _ in range(3):
        bench.answer()
        bench.quote()
        bench.pass_time(0.95)

    bench.monitor.configure(patient)
    for _ in range(8):  # longer than the 5 s from before
        bench.pass_time(1)
        bench.answer()
    bench.clear()
    bench.pass_time(1)

    status = bench.said(MarketStatusChanged)[-1]
    assert MarketCondition.STALE_DATA not in status.conditions
    assert status.reachable
