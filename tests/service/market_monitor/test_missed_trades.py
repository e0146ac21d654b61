"""Trades that a lost connection missed: published in their place, and no news of the present."""

from datetime import timedelta
from decimal import Decimal

from libs.common.clock import epoch_ms
from libs.common.contracts.events import CandleClosed, MarketStatusChanged, TradePrinted
from libs.common.contracts.vocabulary import MarketCondition
from libs.exchange.market_data.port import PublicTrade, ServerTime
from libs.trading.market import Side
from services.market_monitor.domain.anomalies import Thresholds
from services.market_monitor.service.monitor import MarketMonitor, Observation
from tests.support.clock import FakeClock

BTC = "BTC/USDT"


class Outage:
    """A monitor whose connection was lost for ten seconds after trade 1."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.monitor = MarketMonitor(
            symbols=[BTC],
            interval_s=1,
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
        self.answer()
        self.monitor.on_connected()
        self.take(1, "100")
        self.monitor.on_disconnected()
        for _ in range(200):  # 10 s
            self.clock.advance(0.05)
            self.observations += self.monitor.on_time()
        self.answer()
        self.monitor.on_connected()

    def answer(self) -> None:
        now_ms = epoch_ms(self.clock.now())
        self.monitor.on_server_time(
            ServerTime(server_ms=now_ms, asked_at_ms=now_ms, answered_at_ms=now_ms), used_weight=1
        )

    def take(self, trade_id: int, price: str, *, age_s: float = 0.0) -> None:
        now = self.clock.now()
        trade = PublicTrade(
            symbol=BTC,
            trade_id=trade_id,
            price=Decimal(price),
            quantity=Decimal(1),
            taker_side=Side.BUY,
            traded_at_ms=epoch_ms(now - timedelta(seconds=age_s)),
            received_at=now,
            backfilled=age_s > 0,
        )
        self.observations += self.monitor.on_ticks([trade])

    def said(self) -> list[int]:
        return [event.trade_id for event, _ in self.observations if isinstance(event, TradePrinted)]


def test_they_are_published_once_and_in_order() -> None:
    outage = Outage()
    outage.take(2, "104", age_s=8)
    outage.take(3, "104", age_s=2)
    outage.take(3, "104")
    outage.take(4, "104")

    assert outage.said() == [1, 2, 3, 4]


def test_an_old_price_is_no_jump_of_this_moment() -> None:
    outage = Outage()
    outage.take(2, "90", age_s=8)  # since then the market has come back
    outage.take(3, "100")
    outage.observations.clear()
    outage.observations += outage.monitor.on_time()

    statuses = [event for event, _ in outage.observations if isinstance(event, MarketStatusChanged)]
    assert all(MarketCondition.PRICE_JUMP not in status.conditions for status in statuses)


def test_no_candle_that_lacked_one_is_told_as_whole() -> None:
    outage = Outage()
    outage.take(2, "104", age_s=8)
    outage.take(3, "104")

    candles = [event for event, _ in outage.observations if isinstance(event, CandleClosed)]
    assert candles
    assert all(candle.partial for candle in candles)
    assert outage.monitor.repairs_due()
