"""Alerts about our processes, their messages and the disk."""

from typing import Final

from deploy.monitoring import limits
from deploy.monitoring.alert import Alert, Severity, grown
from libs.common.contracts.topics import TOPICS
from libs.common.permissions import PERMISSIONS

TRADING_JOBS: Final = tuple(name for name in PERMISSIONS if name != "trader")
"""The services that every installation runs; `paper_exchange` only where nothing real is traded."""

_MONEY_TOPICS: Final = "|".join(topic.name.value for topic in TOPICS if topic.halts_account)
_HANDLED: Final = "sum by (job, instance, topic) (increase(trader_messages_handled_total[15s]))"
# Before the first anchor it is as old as the process; a gauge that was never set is 0.
_ANCHORED: Final = 'trader_audit_anchored_timestamp_seconds{job="audit_recorder"}'
_STARTED: Final = 'process_start_time_seconds{job="audit_recorder"}'
_YOUNG: Final = 'time() - max(process_start_time_seconds{job="prometheus"}) < 300'
_PAST: Final = 'max(up{job="prometheus"} offset 5m)'
_GONE: Final = " or ".join(
    f'label_replace(absent(up{{job="{job}"}} == 1), "job", "{job}", "", "")' for job in TRADING_JOBS
)

SYSTEM: Final = (
    Alert(
        name="Watchdog",
        severity=Severity.NONE,
        measure="vector(1)",
        summary="Alerting works",
        description="Fires always. Somebody outside must notice when it stops: then nobody is told of anything.",
    ),
    Alert(
        name="ServiceDown",
        severity=Severity.PAGE,
        measure=_GONE,
        # A first start takes its time: stores, users, topics, then the services. One that has a past is none.
        where=f"unless on () ({_YOUNG} unless on () {_PAST})",
        during=int(limits.SILENCE_S),
        summary="{{ $labels.job }} does not answer",
        description=(
            "It is restarted by itself. If it does not come back, its log says why. Without the risk manager or the "
            "executor nothing is entered, and the watchdog halts."
        ),
        rare="every service answers",
    ),
    Alert(
        name="ServiceNotReady",
        severity=Severity.PAGE,
        measure=f'min by (job, instance) (trader_ready{{job=~"{"|".join(TRADING_JOBS)}"}})',
        operator="<",
        threshold=1,
        during=60,
        summary="{{ $labels.job }} cannot do its work",
        description="A store or the exchange that it needs is away. `/readyz` on its health port names the check.",
    ),
    Alert(
        name="ServiceRestarting",
        severity=Severity.PAGE,
        measure=f"changes(job:process_start_time_seconds:max[{limits.RESTARTS_WINDOW_S}s])",
        operator=">",
        threshold=limits.RESTARTS,
        summary="{{ $labels.job }} restarts again and again",
        description=(
            "Trading halts by itself. The same last line in each log is a bug that a message triggers: keep both."
        ),
    ),
    Alert(
        name="ProcessesDiffer",
        severity=Severity.PAGE,
        measure="max by (job) (trader_processes_differing)",
        operator=">",
        threshold=0,
        during=15,
        summary="Processes run another program or configuration",
        description=(
            "No entries meanwhile. Restart those that the alert of the risk manager names with the others' image."
        ),
    ),
    Alert(
        name="LoopLagging",
        severity=Severity.TICKET,
        measure="quantile_over_time(0.99, trader_loop_lag_seconds[5m])",
        operator=">",
        threshold=limits.LOOP_LAG_S,
        during=60,
        summary="{{ $labels.job }} is late in everything it does",
        description="Something keeps its loop from turning: too little processor time, or a long computation.",
    ),
    Alert(
        name="MemoryGrowing",
        severity=Severity.TICKET,
        measure='deriv(process_resident_memory_bytes{job!~"prometheus|alertmanager"}[6h]) * 3600',
        operator=">",
        threshold=limits.MEMORY_BYTES_PER_HOUR,
        where="and on (job, instance) time() - process_start_time_seconds > 25200",
        summary="{{ $labels.job }} grows and grows",
        description=(
            "It will reach its limit and be restarted, at a moment that nobody chose. Restart it at a calm one."
        ),
    ),
    Alert(
        name="ConsumerStalled",
        severity=Severity.PAGE,
        measure="min_over_time(trader_consumer_lag_records[15s])",
        operator=">",
        threshold=0,
        where=f"unless on (job, instance, topic) {_HANDLED} > 0",
        during=15,  # of a service that starts with a backlog, the first look shows no growth
        summary="{{ $labels.job }} does not read {{ $labels.topic }}",
        description=(
            "Messages wait and none is handled. Its log names what it waits for; restart it if it says nothing."
        ),
    ),
    Alert(
        name="DeadLetters",
        severity=Severity.TICKET,
        measure=grown(f'trader_messages_dead_lettered_total{{topic!~"{_MONEY_TOPICS}"}}', "10m", "job", "topic"),
        operator=">",
        threshold=0,
        summary="{{ $labels.job }} could not use a message of {{ $labels.topic }}",
        description="It was put aside whole, with the reason. Find out who wrote it.",
        rare="there was no poison message so far",
    ),
    Alert(
        name="MoneyDeadLetters",
        severity=Severity.PAGE,
        measure=grown(f'trader_messages_dead_lettered_total{{topic=~"{_MONEY_TOPICS}"}}', "10m", "job", "topic"),
        operator=">",
        threshold=0,
        summary="{{ $labels.job }} could not use a message about money: {{ $labels.topic }}",
        description=(
            "The account is halted. The executor finds what it stood for at the exchange; find out who wrote it."
        ),
        rare="there was no poison message so far",
    ),
    Alert(
        name="OutboxStuck",
        severity=Severity.PAGE,
        measure="max by (job) (trader_outbox_oldest_seconds)",
        operator=">",
        threshold=limits.OUTBOX_S,
        summary="{{ $labels.job }} cannot publish what it decided",
        description="Decisions are safe in the database and follow when Kafka answers. Look at Kafka first.",
    ),
    Alert(
        name="HandlingSlow",
        severity=Severity.TICKET,
        measure='job_topic:trader_handling_seconds:p99_5m{job!="notifier"}',
        operator=">",
        threshold=limits.HANDLING_S,
        during=60,
        summary="{{ $labels.job }} takes long over a message of {{ $labels.topic }}",
        description="Most of it is the commit in Postgres: look at its disk, and at who else uses it.",
    ),
    Alert(
        name="AuditStalled",
        severity=Severity.PAGE,
        measure=f"sum by (job) (increase(trader_audit_records_total[{limits.AUDIT_SILENCE}]))",
        operator="<=",
        threshold=0,
        during=30,
        summary="Nothing is written to the audit log",
        description="Trading halts by itself soon. Look at the audit recorder and at Postgres.",
    ),
    Alert(
        name="AnchorsOld",
        severity=Severity.TICKET,
        measure=f"time() - max by (job) ({_ANCHORED} > on (job, instance) {_STARTED} or {_STARTED})",
        operator=">",
        threshold=limits.ANCHOR_AGE_S,
        summary="The audit log is not anchored",
        description="What was recorded since could be cut off unnoticed. See whether the anchors' disk can be written.",
    ),
    Alert(
        name="NotificationsFailing",
        severity=Severity.TICKET,
        measure=grown('trader_notifications_total{state="FAILED"}', "15m", "channel"),
        operator=">",
        threshold=0,
        summary="A message was given up: {{ $labels.channel }}",
        description="That channel did not take it in eight attempts. `trader alerts` has what it said.",
        rare="every notification arrived so far",
    ),
    Alert(
        name="AlertDeliveryFailing",
        severity=Severity.TICKET,
        measure="sum by (integration) (increase(alertmanager_notifications_failed_total[5m]))",
        operator=">",
        threshold=0,
        summary="Alertmanager cannot deliver",
        description="Its own log says to whom and why. The services' own alerts do not pass through it.",
    ),
    Alert(
        name="DiskFullSoon",
        severity=Severity.TICKET,
        measure='predict_linear(trader_disk_free_bytes{job="watchdog"}[6h], 259200)',
        operator="<",
        threshold=0,
        where="and on (job, instance) time() - process_start_time_seconds > 21600",
        summary="The disk is full within three days",
        description="At the pace of the last six hours. Make room, or move the volumes, while there is time.",
    ),
    Alert(
        name="DiskLow",
        severity=Severity.TICKET,
        measure="job:trader_disk_free:ratio",
        operator="<",
        threshold=limits.DISK_LOW,
        summary="The disk is running full",
        description="Less than a fifth is left. The audit log grows for ever: make room.",
    ),
    Alert(
        name="DiskFull",
        severity=Severity.PAGE,
        measure="job:trader_disk_free:ratio",
        operator="<",
        threshold=limits.DISK_FULL,
        summary="The disk is almost full",
        description="Kafka and Postgres stop when it is, and trading with them. Free space now.",
    ),
)
