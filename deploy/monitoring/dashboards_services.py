"""The dashboard Services: rate, errors, duration, resources."""

from typing import Final

from deploy.monitoring.asking import JOB, OF_JOB, measure
from deploy.monitoring.dashboard import Dashboard, Row
from deploy.monitoring.panels import Panel, Query
from deploy.monitoring.rules import ALERT

SERVICES: Final = Dashboard(
    uid="trader-services",
    title="Services",
    description="Does every process run, does it keep up, does it err, does it grow?",
    variables=JOB,
    rows=(
        Row(
            title="Are they there?",
            panels=(
                Panel(
                    title="Ready",
                    question="Which processes can do their work, and since when?",
                    kind="state-timeline",
                    width=16,
                    queries=(Query(f"min by (job) (trader_ready{OF_JOB})", "{{job}}"),),
                    words=((1, "yes", "green"), (0, "no", "red")),
                    alerts=("ServiceNotReady",),
                ),
                Panel(
                    title="Restarts in ten minutes",
                    question="Which processes do not stay up?",
                    queries=(Query(measure("ServiceRestarting"), "{{job}}"),),
                    alerts=("ServiceRestarting",),
                ),
            ),
        ),
        Row(
            title="Rate, errors, duration",
            panels=(
                Panel(
                    title="Rate",
                    question="How many messages does each handle?",
                    unit="mps",
                    queries=(Query(f"sum by (job) (rate(trader_messages_handled_total{OF_JOB}[1m]))", "{{job}}"),),
                ),
                Panel(
                    title="Errors",
                    question="What has to be tried again, or cannot be used?",
                    unit="mps",
                    queries=(
                        Query(
                            f"sum by (job) (rate(trader_messages_retried_total{OF_JOB}[1m]))",
                            "{{job}} again",
                            rare="nothing had to be tried again so far",
                        ),
                        Query(
                            f"sum by (job) (rate(trader_messages_dead_lettered_total{OF_JOB}[1m]))",
                            "{{job}} dead letters",
                            rare=ALERT["DeadLetters"].rare,
                        ),
                        Query(f"sum by (job) (rate(trader_consumers_rebuilt_total{OF_JOB}[1m]))", "{{job}} rebuilt"),
                    ),
                ),
                Panel(
                    title="Handling time",
                    question="How long does a message take, its commit included?",
                    unit="s",
                    queries=(Query(f"job_topic:trader_handling_seconds:p99_5m{OF_JOB}", "{{topic}} at {{job}}"),),
                    alerts=("HandlingSlow",),
                ),
            ),
        ),
        Row(
            title="Resources",
            panels=(
                Panel(
                    title="Loop lag",
                    question="Do they get the processor when they need it?",
                    unit="s",
                    queries=(Query(f"trader_loop_lag_seconds{OF_JOB}", "{{job}}"),),
                    alerts=("LoopLagging",),
                ),
                Panel(
                    title="Memory",
                    question="Does anything grow?",
                    unit="bytes",
                    queries=(Query(f"process_resident_memory_bytes{OF_JOB}", "{{job}}"),),
                ),
                Panel(
                    title="Processor time",
                    question="Who uses the processor? 1 is a whole core.",
                    unit="percentunit",
                    queries=(Query(f"rate(process_cpu_seconds_total{OF_JOB}[1m])", "{{job}}"),),
                ),
            ),
        ),
        Row(
            title="Telling and recording",
            panels=(
                Panel(
                    title="Notifications",
                    question="Do messages reach people?",
                    queries=(
                        Query(
                            "sum by (channel, state) (increase(trader_notifications_total[15m]))",
                            "{{channel}} {{state}}",
                            rare="there was nothing to tell for a while",
                        ),
                    ),
                ),
                Panel(
                    title="Audit records",
                    question="Is everything recorded?",
                    unit="cps",
                    queries=(Query("sum(rate(trader_audit_records_total[1m]))", "records"),),
                ),
                Panel(
                    title="Since the last anchor",
                    question="Could what was recorded be cut off unnoticed?",
                    unit="s",
                    queries=(Query(measure("AnchorsOld"), "{{job}}"),),
                    alerts=("AnchorsOld",),
                ),
            ),
        ),
    ),
)
