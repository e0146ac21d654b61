"""The rule files: what is computed beforehand, and every alert."""

from typing import Any, Final

from deploy.monitoring.alert import Alert
from deploy.monitoring.alerts_market import MARKET
from deploy.monitoring.alerts_money import MONEY
from deploy.monitoring.alerts_stores import STORES
from deploy.monitoring.alerts_system import SYSTEM

GROUPS: Final[dict[str, tuple[Alert, ...]]] = {"money": MONEY, "market": MARKET, "system": SYSTEM, "stores": STORES}
ALERTS: Final = tuple(alert for alerts in GROUPS.values() for alert in alerts)
ALERT: Final = {alert.name: alert for alert in ALERTS}


def quantile(share: float, histogram: str, window: str, *by: str) -> str:
    """Return PromQL of a histogram's quantile over a window."""
    labels = ", ".join((*by, "le"))
    return f"histogram_quantile({share:g}, sum by ({labels}) (rate({histogram}_bucket[{window}])))"


RECORDED: Final[dict[str, str]] = {
    "job:process_start_time_seconds:max": "max by (job) (process_start_time_seconds)",
    "job_topic:trader_event_age_seconds:p99_5m": quantile(0.99, "trader_event_age_seconds", "5m", "job", "topic"),
    "job_topic:trader_handling_seconds:p99_5m": quantile(0.99, "trader_handling_seconds", "5m", "job", "topic"),
    "job:trader_tick_to_order_seconds:p99_15m": quantile(0.99, "trader_tick_to_order_seconds", "15m", "job"),
    "account:trader_exposure:ratio": (
        "max by (account) (trader_exposure_quote) / on (account) max by (account) (trader_exposure_limit_quote)"
    ),
    "job:trader_disk_free:ratio": "min by (job) (trader_disk_free_bytes / (trader_disk_size_bytes > 0))",
}
"""Names by Prometheus's convention: the labels that are left, the metric, what was done with it."""


def rule_files() -> dict[str, Any]:
    """Return the content of each file of `deploy/prometheus/rules`."""
    recording = [{"record": name, "expr": expression} for name, expression in RECORDED.items()]
    alerting = {name: [alert.rule() for alert in alerts] for name, alerts in GROUPS.items()}
    return {
        f"{name}.yml": {"groups": [{"name": name, "rules": rules}]}
        for name, rules in {"recording": recording, **alerting}.items()
    }
