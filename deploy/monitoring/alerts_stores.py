"""Alerts about Kafka, Redis and Postgres, as their exporters see them."""

from typing import Final

from deploy.monitoring import limits
from deploy.monitoring.alert import Alert, Severity


def _since(of: str) -> str:
    """Return PromQL of how long ago that was with backups."""
    return f'time() - max by (job) (trader_backup_timestamp_seconds{{job="watchdog", of="{of}"}})'


_BACKED_UP: Final = "only a deployment with the service `backup` has them"

STORES: Final = (
    Alert(
        name="KafkaDown",
        severity=Severity.PAGE,
        measure='max by (job) (up{job="kafka"})',  # of three brokers two are enough
        operator="<",
        threshold=1,
        during=10,
        summary="Kafka does not answer",
        description="No event travels. Halts still work by Redis and file. Look at the broker's log and its disk.",
    ),
    Alert(
        name="KafkaBrokerDown",
        severity=Severity.TICKET,
        measure='min by (job, instance) (up{job="kafka"})',
        operator="<",
        threshold=1,
        where='and on (job) max by (job) (up{job="kafka"}) == 1',
        during=60,
        summary="One broker of several does not answer: {{ $labels.instance }}",
        description="Events travel on by the others. With a second one they stop: bring it back before that.",
    ),
    Alert(
        name="RedisDown",
        severity=Severity.PAGE,
        measure='(redis_up{job="redis"} or up{job="redis"})',  # of a frozen store the exporter answers too late
        operator="<",
        threshold=1,
        during=10,
        summary="Redis does not answer",
        description="Permits lapse, so nothing is entered. Its content is rebuilt from Postgres when it is back.",
    ),
    Alert(
        name="PostgresDown",
        severity=Severity.PAGE,
        measure='(pg_up{job="postgres"} or up{job="postgres"})',
        operator="<",
        threshold=1,
        during=10,
        summary="Postgres does not answer",
        description="Nothing is decided and nothing is forgotten. Look at its log and its disk.",
    ),
    Alert(
        name="ExporterDown",
        severity=Severity.TICKET,
        measure='up{job=~"redis|postgres"}',
        operator="<",
        threshold=1,
        during=60,
        summary="The exporter of {{ $labels.job }} does not answer",
        description="The store itself may be well, but nobody watches it. Restart the exporter.",
    ),
    Alert(
        name="KafkaPartitionsOffline",
        severity=Severity.PAGE,
        measure="sum by (job) (kafka_controller_offline_partitions)",
        operator=">",
        threshold=0,
        summary="Partitions of Kafka have no leader",
        description=(
            "What belongs there cannot be written or read. A broker's disk is gone, or too many brokers are down."
        ),
    ),
    Alert(
        name="KafkaUnderReplicated",
        severity=Severity.TICKET,
        measure="sum by (job) (kafka_server_under_replicated_partitions)",
        operator=">",
        threshold=0,
        during=60,
        summary="Partitions of Kafka have fewer copies than they should",
        description="Nothing is lost yet. Bring the missing broker back before another one goes.",
    ),
    Alert(
        name="RedisMemoryHigh",
        severity=Severity.TICKET,
        measure='redis_memory_used_bytes{job="redis"} / (redis_memory_max_bytes{job="redis"} > 0)',
        operator=">",
        threshold=limits.MEMORY_USED,
        summary="Redis is running out of memory",
        description="When it is full it refuses writes, and permits lapse. Give it more, or find what grows.",
    ),
    Alert(
        name="RedisPersistenceFailing",
        severity=Severity.PAGE,
        measure='redis_aof_last_write_status{job="redis"}',
        operator="<",
        threshold=1,
        during=10,
        summary="Redis cannot write its log to disk",
        description="It refuses writes, so permits lapse. Mostly the disk is full.",
    ),
    Alert(
        name="PostgresConnectionsHigh",
        severity=Severity.TICKET,
        measure="sum by (job) (pg_stat_database_numbackends) / on (job) max by (job) (pg_settings_max_connections)",
        operator=">",
        threshold=limits.CONNECTIONS_USED,
        during=60,
        summary="Postgres is running out of connections",
        description="Services that start will not get in. See who holds them: pg_stat_activity.",
    ),
    Alert(
        name="BackupStalled",
        severity=Severity.TICKET,
        measure=_since("received"),
        operator=">",
        threshold=limits.BACKUP_SILENCE_S,
        during=60,
        summary="The changes of the database are not received as a backup",
        description="If the disk is lost now, what changed since is lost. See the log of the service `backup`.",
        rare=_BACKED_UP,
    ),
    Alert(
        name="BackupOld",
        severity=Severity.TICKET,
        measure=_since("copied"),
        operator=">",
        threshold=limits.BACKUP_AGE_S,
        during=60,
        summary="No copy of the database was made for more than a day",
        description="Copies fail, mostly for want of room. See the log of the service `backup`, which says why.",
        rare=_BACKED_UP,
    ),
    Alert(
        name="BackupUnverified",
        severity=Severity.TICKET,
        measure=_since("verified"),
        operator=">",
        threshold=limits.BACKUP_VERIFIED_S,
        during=60,
        summary="For more than a week it was not tried whether a backup can be restored",
        description="A backup that was never restored may be none. Try it, and read what the service `backup` says.",
        rare=_BACKED_UP,
    ),
)
