"""The dashboard Alerts: what fires, and what is to be done."""

from typing import Final

from deploy.monitoring.alert import Severity
from deploy.monitoring.dashboard import Dashboard, Row
from deploy.monitoring.panels import Panel, Query
from deploy.monitoring.rules import ALERTS


def _meanings() -> str:
    lines = ["| alert | whom | what it means, and what to do |", "| --- | --- | --- |"]
    lines += [
        f"| **{alert.name}** | {alert.severity} | {alert.description} Runbook: `{alert.anchor}` |"
        for alert in ALERTS
        if alert.severity is not Severity.NONE
    ]
    return "\n".join(lines)


ALERTING: Final = Dashboard(
    uid="trader-alerts",
    title="Alerts",
    description="What fires, since when, and what is to be done?",
    span="6h",
    text=_meanings(),
    rows=(
        Row(
            title="Now and lately",
            panels=(
                Panel(
                    title="Firing",
                    question="Which alerts fire, and since when?",
                    kind="state-timeline",
                    width=24,
                    height=10,
                    queries=(
                        Query(
                            'max by (alertname, severity) (ALERTS{alertstate="firing"})', "{{severity}} {{alertname}}"
                        ),
                    ),
                    words=((1, "fires", "red"),),
                ),
            ),
        ),
    ),
)
