"""The dashboard Stores: Kafka, Redis, Postgres."""

from typing import Final

from deploy.monitoring.asking import YES_OR_NO, measure
from deploy.monitoring.dashboard import Dashboard, Row
from deploy.monitoring.panels import Panel, Query

STORES: Final = Dashboard(
    uid="trader-stores",
    title="Stores",
    description="Are Kafka, Redis and Postgres well, and is there room?",
    rows=(
        Row(
            title="Do they answer?",
            panels=(
                Panel(
                    title="Up",
                    question="Which stores answered, and when did one not?",
                    kind="state-timeline",
                    width=12,
                    queries=tuple(
                        Query(measure(alert), name)
                        for alert, name in (
                            ("KafkaDown", "kafka"),
                            ("RedisDown", "redis"),
                            ("PostgresDown", "postgres"),
                        )
                    ),
                    words=YES_OR_NO,
                    alerts=("KafkaDown", "RedisDown", "PostgresDown"),
                ),
                Panel(
                    title="Disk",
                    question="How much room is left?",
                    unit="percentunit",
                    width=12,
                    queries=(Query(measure("DiskFull"), "free"),),
                    alerts=("DiskLow", "DiskFull"),
                ),
            ),
        ),
        Row(
            title="Kafka",
            panels=(
                Panel(
                    title="Kafka partitions",
                    question="Can every partition be written, with all its copies?",
                    queries=(
                        Query(measure("KafkaPartitionsOffline"), "without a leader"),
                        Query(measure("KafkaUnderReplicated"), "short of copies"),
                    ),
                    alerts=("KafkaPartitionsOffline", "KafkaUnderReplicated"),
                ),
                Panel(
                    title="Kafka traffic",
                    question="How much goes through the broker?",
                    unit="Bps",
                    queries=(
                        Query("sum(rate(kafka_server_bytes_in_total[1m]))", "in"),
                        Query("sum(rate(kafka_server_bytes_out_total[1m]))", "out"),
                    ),
                ),
                Panel(
                    title="Kafka's idle request threads",
                    question="Has the broker room for more?",
                    unit="percentunit",
                    queries=(Query("clamp_max(min(kafka_server_request_idle_ratio), 1)", "idle"),),
                ),
                Panel(
                    title="Kafka's logs",
                    question="Which topics take the space?",
                    unit="bytes",
                    width=12,
                    queries=(Query("sum by (topic) (kafka_log_size_bytes)", "{{topic}}"),),
                    stacked=True,
                ),
                Panel(
                    title="Logins that Kafka refused",
                    question="Does somebody try to get in, or has a service a wrong password?",
                    width=12,
                    queries=(
                        Query(
                            "sum by (listener) (rate(kafka_server_failed_authentications_total[5m]))", "{{listener}}"
                        ),
                    ),
                ),
            ),
        ),
        Row(
            title="Redis",
            panels=(
                Panel(
                    title="Redis memory",
                    question="How much does Redis hold?",
                    unit="bytes",
                    queries=(Query("redis_memory_used_bytes", "used"), Query("redis_memory_max_bytes", "allowed")),
                ),
                Panel(
                    title="Redis commands",
                    question="How busy is Redis?",
                    unit="ops",
                    queries=(Query("rate(redis_commands_processed_total[1m])", "commands"),),
                ),
                Panel(
                    title="Redis log is written",
                    question="Does what Redis holds outlive it?",
                    kind="state-timeline",
                    queries=(Query(measure("RedisPersistenceFailing"), "redis"),),
                    alerts=("RedisPersistenceFailing",),
                    words=YES_OR_NO,
                ),
            ),
        ),
        Row(
            title="Postgres",
            panels=(
                Panel(
                    title="Postgres transactions",
                    question="How busy is Postgres?",
                    unit="ops",
                    queries=(
                        Query("sum(rate(pg_stat_database_xact_commit[1m]))", "committed"),
                        Query("sum(rate(pg_stat_database_xact_rollback[1m]))", "rolled back"),
                        Query("sum(rate(pg_stat_database_deadlocks[5m]))", "deadlocks"),
                    ),
                ),
                Panel(
                    title="Postgres connections",
                    question="Is there room for more connections?",
                    unit="percentunit",
                    queries=(Query(measure("PostgresConnectionsHigh"), "taken"),),
                    alerts=("PostgresConnectionsHigh",),
                ),
                Panel(
                    title="Postgres size",
                    question="Which tables take the space?",
                    unit="bytes",
                    width=12,
                    queries=(Query("max by (tables) (trader_database_bytes)", "{{tables}}"),),
                    stacked=True,
                ),
                Panel(
                    title="Postgres growth",
                    question="At the pace of the last six hours, how much does each table grow in a day?",
                    unit="bytes",
                    width=12,
                    queries=(Query("max by (tables) (deriv(trader_database_bytes[6h])) * 86400", "{{tables}}"),),
                ),
            ),
        ),
    ),
)
