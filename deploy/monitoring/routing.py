"""Alertmanager's configuration: everything to the notifier, which knows the user's channels; the watchdog outside.

Two files, because a receiver without an address cannot be written down: with an address for the outside switch, and
without one.
"""

from typing import Any, Final

from deploy.monitoring.alert import Severity

WEBHOOK: Final = "http://notifier:8080/webhooks/alertmanager"
WEBHOOK_SECRET: Final = "/run/secrets/alertmanager-webhook"  # noqa: S105 - where the secret is, not what
DEAD_MAN_SECRET: Final = "/run/secrets/dead-man-url"  # noqa: S105 - the same

INHIBITIONS: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("KafkaDown", "ConsumerStalled|OutboxStuck|ServiceNotReady|AuditStalled|EventsLate|EquityStale", ()),
    ("PostgresDown", "OutboxStuck|ServiceNotReady|AuditStalled|ReconciliationStale|EquityStale|HandlingSlow", ()),
    ("RedisDown", "ServiceNotReady|PermitLost", ()),
    ("MarketDataStale", "EquityStale", ()),
    ("ServiceDown", "ServiceNotReady|ConsumerStalled|OutboxStuck", ("job",)),
    ("DailyLossExceeded", "DailyLossWarning", ("account",)),
    ("ClockWrong", "ClockSkewed", ("job",)),
    ("DiskFull", "DiskLow|DiskFullSoon", ()),
    ("DiskLow", "DiskFullSoon", ()),
    ("ExchangeBanned", "ExchangeLimited|ReconciliationStale|UserStreamDown", ()),
)
"""Cause, what follows from it and is not told besides, and the labels in which both must agree."""


def routing(*, outside: bool) -> dict[str, Any]:
    """Return the configuration; `outside`: there is a dead man's switch to be kept quiet."""
    return {
        "route": {
            "receiver": "notifier",
            "group_by": ["alertname", "account", "job"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "1d",
            "routes": [
                {
                    "matchers": ['alertname="Watchdog"'],
                    "receiver": "outside",
                    "group_wait": "0s",
                    "group_interval": "30s",
                    "repeat_interval": "1m",
                },
                {
                    "matchers": [f'severity="{Severity.PAGE}"'],
                    "receiver": "notifier",
                    "group_wait": "1s",
                    "group_interval": "15s",
                    "repeat_interval": "1h",
                },
            ],
        },
        "inhibit_rules": [
            {
                "source_matchers": [f'alertname="{cause}"'],
                "target_matchers": [f'alertname=~"{effects}"'],
                **({"equal": list(equal)} if equal else {}),
            }
            for cause, effects, equal in INHIBITIONS
        ],
        "receivers": [
            {
                "name": "notifier",
                "webhook_configs": [
                    {
                        "url": WEBHOOK,
                        "send_resolved": True,
                        "http_config": {
                            "authorization": {"type": "Bearer", "credentials_file": WEBHOOK_SECRET},
                        },
                    }
                ],
            },
            _outside() if outside else {"name": "outside"},
        ],
    }


def _outside() -> dict[str, Any]:
    return {
        "name": "outside",
        "webhook_configs": [
            {
                "url_file": DEAD_MAN_SECRET,
                "send_resolved": False,
                "http_config": {"proxy_from_environment": True},
            }
        ],
    }
