"""Which metrics there are: those of our registries, and what we use of the exporters'."""

from typing import Final

from prometheus_client.metrics_core import Metric

from libs.common.observability import metrics

PROCESS: Final = frozenset(
    {
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_virtual_memory_bytes",
    }
)
"""Of the Python client and of Prometheus's own programs; the client has them where there is /proc."""

PAPER_EXCHANGE: Final = frozenset(
    {
        "paper_exchange_requests_total",
        "paper_exchange_market_place_seconds",
        "paper_exchange_frames",
        "paper_exchange_account_listeners",
    }
)

EXPORTERS: Final = frozenset(
    {
        "up",
        "ALERTS",
        "alertmanager_notifications_failed_total",
        "alertmanager_notifications_total",
        # redis_exporter
        "redis_up",
        "redis_memory_used_bytes",
        "redis_memory_max_bytes",
        "redis_aof_last_write_status",
        "redis_aof_current_size_bytes",
        "redis_connected_clients",
        "redis_commands_processed_total",
        "redis_commands_duration_seconds_total",
        "redis_evicted_keys_total",
        "redis_rejected_connections_total",
        # postgres_exporter
        "pg_up",
        "pg_stat_database_numbackends",
        "pg_settings_max_connections",
        "pg_stat_database_xact_commit",
        "pg_stat_database_xact_rollback",
        "pg_stat_database_deadlocks",
        "pg_stat_database_blks_hit",
        "pg_stat_database_blks_read",
        "pg_database_size_bytes",
        "pg_locks_count",
        # the broker's JMX agent: deploy/prometheus/kafka_jmx.yml
        "kafka_controller_offline_partitions",
        "kafka_server_under_replicated_partitions",
        "kafka_server_partitions",
        "kafka_server_messages_in_total",
        "kafka_server_bytes_in_total",
        "kafka_server_bytes_out_total",
        "kafka_server_request_idle_ratio",
        "kafka_server_failed_authentications_total",
        "kafka_log_size_bytes",
    }
)


def known_metrics() -> frozenset[str]:
    """Return every name that an expression may use."""
    ours = {name for family in metrics.REGISTRY.collect() for name in _samples(family)}
    return frozenset(ours) | PROCESS | PAPER_EXCHANGE | EXPORTERS


def _samples(family: Metric) -> list[str]:
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(family.type, [""])
    return [family.name + suffix for suffix in suffixes]
