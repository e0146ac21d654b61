"""The dashboard Pipeline: an event from the market to the order."""

from typing import Final

from deploy.monitoring.asking import measure
from deploy.monitoring.dashboard import Dashboard, Row
from deploy.monitoring.panels import Panel, Query
from deploy.monitoring.rules import ALERT, quantile

_STAGES: Final = 'topic=~"market.candles|signals|orders.approved"'


def _rare(alert: str) -> Query:
    return Query(measure(alert), rare=ALERT[alert].rare)


PIPELINE: Final = Dashboard(
    uid="trader-pipeline",
    title="Pipeline",
    description="How long does an event take from the market to the order, and where does it wait?",
    rows=(
        Row(
            title="From the market to the order",
            panels=(
                Panel(
                    title="Tick to order",
                    question="How long does it take from market data to the request that answers it?",
                    unit="s",
                    queries=(
                        Query(quantile(0.5, "trader_tick_to_order_seconds", "15m"), "p50", rare="no entry was sent"),
                        Query(quantile(0.99, "trader_tick_to_order_seconds", "15m"), "p99", rare="no entry was sent"),
                    ),
                    alerts=("OrderPathSlow",),
                ),
                Panel(
                    title="Tick to order by stage",
                    question="At which stage does the time go? Age on arrival, then handling, then the exchange.",
                    unit="s",
                    width=16,
                    queries=(
                        Query(
                            f"job_topic:trader_event_age_seconds:p99_5m{{{_STAGES}, "
                            'job=~"signal_generator|risk_manager|trade_executor"}',
                            "{{topic}} on arrival at {{job}}",
                        ),
                        Query(
                            f"job_topic:trader_handling_seconds:p99_5m{{{_STAGES}, "
                            'job=~"signal_generator|risk_manager|trade_executor"}',
                            "{{topic}} handled by {{job}}",
                        ),
                        Query(
                            quantile(0.99, "trader_order_request_seconds", "5m"),
                            "the exchange",
                            rare="no order was sent",
                        ),
                    ),
                ),
                Panel(
                    title="Risk check",
                    question="How long do the rules and the reservation take?",
                    unit="s",
                    queries=(
                        Query(quantile(0.99, "trader_risk_check_seconds", "15m"), "p99", rare="no signal was judged"),
                    ),
                ),
                Panel(
                    title="Decisions on candles",
                    question="What do the strategies decide?",
                    queries=(Query("sum by (decision) (increase(trader_signals_decided_total[5m]))", "{{decision}}"),),
                    stacked=True,
                ),
                Panel(
                    title="Age of market data",
                    question="Is the market seen as it is?",
                    unit="s",
                    queries=(Query(measure("MarketDataStale"), "{{symbol}}"),),
                    alerts=("MarketDataStale",),
                ),
            ),
        ),
        Row(
            title="Messages",
            panels=(
                Panel(
                    title="Lag",
                    question="Does every reader keep up?",
                    unit="short",
                    queries=(Query("sum by (job, topic) (trader_consumer_lag_records)", "{{topic}} at {{job}}"),),
                    alerts=("ConsumerStalled",),
                ),
                Panel(
                    title="Event age",
                    question="How old are events when they are handled?",
                    unit="s",
                    queries=(Query("job_topic:trader_event_age_seconds:p99_5m", "{{topic}} at {{job}}"),),
                    alerts=("EventsLate",),
                ),
                Panel(
                    title="Messages handled",
                    question="How much is there to do?",
                    unit="mps",
                    queries=(Query("sum by (topic) (rate(trader_messages_handled_total[1m]))", "{{topic}}"),),
                    stacked=True,
                ),
                Panel(
                    title="Outbox",
                    question="Is what was decided published?",
                    unit="s",
                    queries=(Query(measure("OutboxStuck"), "{{job}}"),),
                    alerts=("OutboxStuck",),
                ),
                Panel(
                    title="Dead letters",
                    question="Which messages could nobody use?",
                    queries=(
                        Query(
                            "sum by (job, topic) (trader_messages_dead_lettered_total)",
                            "{{topic}} at {{job}}",
                            rare=ALERT["DeadLetters"].rare,
                        ),
                    ),
                    alerts=("DeadLetters", "MoneyDeadLetters"),
                ),
                Panel(
                    title="Market data dropped and missed",
                    question="Was market data dropped under pressure, or never seen?",
                    queries=(
                        Query(
                            "sum by (job, topic) (rate(trader_messages_conflated_total[1m]))",
                            "conflated {{topic}} at {{job}}",
                            rare="there was no pressure so far",
                        ),
                        Query("sum(rate(trader_market_trades_missed_total[1m]))", "trades missed"),
                        Query("sum(rate(trader_market_frames_dropped_total[1m]))", "frames dropped"),
                    ),
                ),
            ),
        ),
        Row(
            title="Exchange",
            panels=(
                Panel(
                    title="Request weight used",
                    question="How near is the exchange's limit of this address?",
                    queries=(Query("max by (job) (trader_exchange_used_weight)", "{{job}}"),),
                ),
                Panel(
                    title="Told to wait",
                    question="Does the exchange hold us back, and for how long?",
                    unit="s",
                    queries=(
                        Query("max by (job) (trader_exchange_blocked_seconds)", "{{job}}"),
                        _rare("ExchangeLimited"),
                    ),
                ),
                Panel(
                    title="Clock against the exchange",
                    question="Is this machine's clock right?",
                    unit="s",
                    queries=(Query(measure("ClockWrong"), "{{job}}"),),
                    alerts=("ClockSkewed", "ClockWrong"),
                ),
            ),
        ),
    ),
)
