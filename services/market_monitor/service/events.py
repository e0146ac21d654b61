"""The events that the market monitor speaks in, made of what it knows."""

from datetime import datetime

from libs.common.clock import from_epoch_ms
from libs.common.contracts.events import AlertRaised, CandleClosed, MarketStatusChanged, QuoteChanged, TradePrinted
from libs.common.contracts.vocabulary import AlertType, MarketCondition, Severity, Side
from libs.exchange.market_data.port import BestQuote, Kline, PublicTrade
from services.market_monitor.domain.connection import OutageNews
from services.market_monitor.domain.market import Closed, SymbolMarket

COMPONENT = "market_monitor"


def trade_printed(trade: PublicTrade) -> TradePrinted:
    """Return the event of a trade."""
    return TradePrinted(
        occurred_at=from_epoch_ms(trade.traded_at_ms),
        symbol=trade.symbol,
        trade_id=trade.trade_id,
        price=trade.price,
        quantity=trade.quantity,
        taker_side=Side(trade.taker_side.value),
    )


def quote_changed(quote: BestQuote) -> QuoteChanged:
    """Return the event of a quote."""
    return QuoteChanged(
        occurred_at=quote.received_at,
        symbol=quote.symbol,
        update_id=quote.update_id,
        bid=quote.bid,
        bid_quantity=quote.bid_quantity,
        ask=quote.ask,
        ask_quantity=quote.ask_quantity,
    )


def candle_closed(market: SymbolMarket, closed: Closed) -> CandleClosed:
    """Return the event of a period that our own trades made, with the quote that stands as it closes."""
    period = closed.period
    close_at = from_epoch_ms(period.open_at_ms + closed.interval_s * 1000)
    return CandleClosed(
        occurred_at=close_at,
        symbol=market.symbol,
        interval_s=closed.interval_s,
        open_at=from_epoch_ms(period.open_at_ms),
        close_at=close_at,
        open=period.open,
        high=period.high,
        low=period.low,
        close=period.close,
        volume=period.volume,
        trades=period.trades,
        trade_id_last=period.trade_id_last,
        partial=period.partial,
        bid=market.anomalies.bid,
        ask=market.anomalies.ask,
    )


def candle_backfilled(symbol: str, interval_s: int, kline: Kline) -> CandleClosed:
    """Return the event of a period as the exchange itself counts it."""
    close_at = from_epoch_ms(kline.open_at_ms + interval_s * 1000)
    return CandleClosed(
        occurred_at=close_at,
        symbol=symbol,
        interval_s=interval_s,
        open_at=from_epoch_ms(kline.open_at_ms),
        close_at=close_at,
        open=kline.open,
        high=kline.high,
        low=kline.low,
        close=kline.close,
        volume=kline.volume,
        trades=kline.trades,
        backfilled=True,
    )


def outage_reported(news: OutageNews, now: datetime) -> AlertRaised:
    """Return the alert of an outage or of its end."""
    is_lost = news is OutageNews.LOST
    return AlertRaised(
        occurred_at=now,
        alert_type=AlertType.API_CONNECTION_LOST,
        severity=Severity.CRITICAL if is_lost else Severity.INFO,
        component=COMPONENT,
        subject="exchange",
        message="The exchange does not answer or its stream is silent."
        if is_lost
        else "The exchange answers and delivers again.",
        parameters={"state": news.value},
    )


def anomaly_subject(condition: MarketCondition, symbol: str) -> str:
    """Return what identifies repetitions of a condition's alert; the clock is every symbol's."""
    return condition.value if condition is MarketCondition.CLOCK_SKEW else f"{condition.value} {symbol}"


def anomaly_reported(status: MarketStatusChanged, condition: MarketCondition) -> AlertRaised:
    """Return the alert of a condition that has begun."""
    subject = anomaly_subject(condition, status.symbol)
    return AlertRaised(
        occurred_at=status.occurred_at,
        alert_type=AlertType.SYSTEM_ERROR,
        severity=Severity.WARNING,
        component=COMPONENT,
        subject=subject,
        message=f"New entries are blocked by a market condition: {subject}.",
        parameters={
            "condition": condition.value,
            "data_age_ms": str(status.data_age_ms),
            "clock_skew_ms": str(status.clock_skew_ms),
            "spread_rate": str(status.spread_rate),
            "volatility_rate": str(status.volatility_rate),
        },
        symbol=None if condition is MarketCondition.CLOCK_SKEW else status.symbol,
    )
