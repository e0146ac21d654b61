"""Alerts about market data and the way of an event from it to an order."""

from typing import Final

from deploy.monitoring import limits
from deploy.monitoring.alert import Alert, Severity

MARKET: Final = (
    Alert(
        name="MarketDataStale",
        severity=Severity.PAGE,
        measure="min by (symbol) (trader_market_data_age_seconds)",
        operator=">",
        threshold=limits.DATA_AGE_S,
        summary="No market data ({{ $labels.symbol }})",
        description="Entries are refused meanwhile. See whether the exchange is up, then the market monitor's log.",
    ),
    Alert(
        name="ClockSkewed",
        severity=Severity.TICKET,
        measure="max by (job) (abs(trader_exchange_clock_skew_seconds))",
        operator=">",
        threshold=limits.CLOCK_SKEW_WARNING_S,
        during=30,
        summary="This machine's clock is off ({{ $labels.job }})",
        description="Orders still pass. See that the machine's own time service runs, before it gets worse.",
    ),
    Alert(
        name="ClockWrong",
        severity=Severity.PAGE,
        measure="max by (job) (abs(trader_exchange_clock_skew_seconds))",
        operator=">",
        threshold=limits.CLOCK_SKEW_S,
        summary="This machine's clock is too far off to trade ({{ $labels.job }})",
        description="Entries are refused. Let the time service of the machine, not of a container, set the clock.",
    ),
    Alert(
        name="EventsLate",
        severity=Severity.TICKET,
        measure='job_topic:trader_event_age_seconds:p99_5m{topic=~"market.ticks|market.candles|signals|orders.approved"}',
        operator=">",
        threshold=limits.EVENT_AGE_S,
        during=60,
        summary="Events arrive late ({{ $labels.topic }} at {{ $labels.job }})",
        description=(
            "The machine is short of processor time or the broker is slow. Old signals are refused, not traded."
        ),
    ),
    Alert(
        name="OrderPathSlow",
        severity=Severity.TICKET,
        measure="job:trader_tick_to_order_seconds:p99_15m",
        operator=">",
        threshold=limits.ORDER_PATH_S,
        summary="From market data to order it takes longer than a second",
        description="The dashboard Pipeline shows which stage is slow. Approvals lapse after two seconds.",
        rare="no entry was sent for 15 minutes",
    ),
)
