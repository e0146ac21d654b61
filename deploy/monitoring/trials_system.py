"""How the alerts about processes, messages and the disk are tried."""

from collections.abc import Mapping
from typing import Final

from deploy.monitoring.alerts_system import TRADING_JOBS
from deploy.monitoring.trials_types import HOURS, Trial


def _one(series: str, fires: str, silent: str, at: str = "2m") -> Trial:
    return Trial(fires={series: fires}, silent={series: silent}, at=at)


def _up(*jobs: str) -> Mapping[str, str]:
    return {f'up{{job="{job}", instance="10.0.0.{number}:8080"}}': "1x90" for number, job in enumerate(jobs, start=1)}


def _gone(job: str) -> Mapping[str, str]:
    others = [name for name in TRADING_JOBS if name != job]
    return {**_up(*others), 'process_start_time_seconds{job="prometheus"}': "_x60 300x30"}


def _lag(handled: str, waiting: str = "5x40") -> Mapping[str, str]:
    labels = 'job="risk_manager", instance="10.0.0.1:8080", topic="signals"'
    return {
        f"trader_consumer_lag_records{{{labels}}}": waiting,
        f'trader_messages_handled_total{{{labels}, type="SignalGenerated"}}': handled,
    }


def _aged(series: str, values: str, *, started: int) -> Mapping[str, str]:
    labels = 'job="watchdog", instance="10.0.0.1:8080"'
    return {f"{series}{{{labels}}}": values, f"process_start_time_seconds{{{labels}}}": f"{started}x120"}


def _anchored(values: str) -> Mapping[str, str]:
    recorder, other = 'job="audit_recorder", instance="10.0.0.1:8080"', 'job="notifier", instance="10.0.0.2:8080"'
    return {
        f"trader_audit_anchored_timestamp_seconds{{{recorder}}}": values,
        f"process_start_time_seconds{{{recorder}}}": "0x40",
        f"trader_audit_anchored_timestamp_seconds{{{other}}}": "0x40",
        f"process_start_time_seconds{{{other}}}": "0x40",
    }


SYSTEM: Final[dict[str, Trial]] = {
    "Watchdog": Trial(fires={"up": "1x40"}, silent=None),
    "ServiceDown": Trial(
        # Prometheus came back a minute before: only where it has no past may that be a first start.
        fires_too=(_up(*TRADING_JOBS[1:]),),
        fires={**_gone(TRADING_JOBS[0]), 'up{job="prometheus", instance="127.0.0.1:9090"}': "1x90"},
        silent={**_gone(TRADING_JOBS[0]), 'up{job="prometheus", instance="127.0.0.1:9090"}': "_x60 1x30"},
        at="6m",
    ),
    "ServiceNotReady": _one('trader_ready{job="risk_manager", instance="10.0.0.1:8080"}', "0x40", "1x40"),
    "ServiceRestarting": _one(
        'process_start_time_seconds{job="notifier", instance="10.0.0.1:8080"}',
        "1x9 2x9 3x9 4x9 5x70",
        "1x9 2x9 3x9 4x80",
        "5m",
    ),
    "ProcessesDiffer": _one('trader_processes_differing{job="risk_manager"}', "1x40", "0x40"),
    "LoopLagging": _one('trader_loop_lag_seconds{job="trade_executor"}', "0.11x100", "0.1x100", "7m"),
    "MemoryGrowing": Trial(
        fires=_aged("process_resident_memory_bytes", "100000000+480000x120", started=0),  # 5.8 MB/h
        silent=_aged("process_resident_memory_bytes", "100000000+360000x120", started=0),  # 4.3 MB/h
        at="8h",
        interval=HOURS,
    ),
    # Silent: a start with a backlog, at the first look at it.
    "ConsumerStalled": Trial(fires=_lag("7x40"), silent=_lag("_x10 0+1x40", "_x10 5x40"), at="50s"),
    "DeadLetters": Trial(
        fires={'trader_messages_dead_lettered_total{job="notifier", topic="alerts"}': "_x10 1x40"},
        silent={'trader_messages_dead_lettered_total{job="risk_manager", topic="fills"}': "_x10 1x40"},
    ),
    "MoneyDeadLetters": Trial(
        fires={'trader_messages_dead_lettered_total{job="risk_manager", topic="fills"}': "_x10 1x40"},
        silent={'trader_messages_dead_lettered_total{job="notifier", topic="alerts"}': "_x10 1x40"},
    ),
    "OutboxStuck": _one('trader_outbox_oldest_seconds{job="trade_executor"}', "0+5x40", "5x40"),
    "HandlingSlow": Trial(
        fires={
            'trader_handling_seconds_bucket{job="audit_recorder", topic="batch", le="0.5"}': "0x100",
            'trader_handling_seconds_bucket{job="audit_recorder", topic="batch", le="1.0"}': "0+1x100",
            'trader_handling_seconds_bucket{job="audit_recorder", topic="batch", le="+Inf"}': "0+1x100",
        },
        silent={
            'trader_handling_seconds_bucket{job="audit_recorder", topic="batch", le="0.5"}': "0+1x100",
            'trader_handling_seconds_bucket{job="audit_recorder", topic="batch", le="1.0"}': "0+1x100",
            'trader_handling_seconds_bucket{job="audit_recorder", topic="batch", le="+Inf"}': "0+1x100",
        },
        at="6m",
    ),
    "AuditStalled": _one('trader_audit_records_total{job="audit_recorder", kind="event"}', "100x40", "0+1x40"),
    "AnchorsOld": Trial(fires=_anchored("0x40"), silent=_anchored("10x40"), at="130s"),
    "NotificationsFailing": Trial(
        fires={'trader_notifications_total{job="notifier", channel="email", state="FAILED"}': "_x10 1x40"},
        silent={'trader_notifications_total{job="notifier", channel="email", state="SENT"}': "_x10 1x40"},
    ),
    "AlertDeliveryFailing": _one(
        'alertmanager_notifications_failed_total{job="alertmanager", integration="webhook"}', "0+1x40", "7x40"
    ),
    "DiskFullSoon": Trial(
        fires=_aged("trader_disk_free_bytes", "20000000000-36000000x120", started=0),  # 10.4 GB a day
        silent=_aged("trader_disk_free_bytes", "20000000000-12000000x120", started=0),  # 3.5 GB a day
        at="8h",
        interval=HOURS,
    ),
    "DiskLow": Trial(
        fires={'trader_disk_free_bytes{job="watchdog"}': "19x40", 'trader_disk_size_bytes{job="watchdog"}': "100x40"},
        silent={'trader_disk_free_bytes{job="watchdog"}': "20x40", 'trader_disk_size_bytes{job="watchdog"}': "100x40"},
    ),
    "DiskFull": Trial(
        fires={'trader_disk_free_bytes{job="watchdog"}': "4x40", 'trader_disk_size_bytes{job="watchdog"}': "100x40"},
        silent={'trader_disk_free_bytes{job="watchdog"}': "5x40", 'trader_disk_size_bytes{job="watchdog"}': "100x40"},
    ),
}
