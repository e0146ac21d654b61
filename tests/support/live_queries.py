"""Every expression of rules and dashboards, asked of a Prometheus that watches a running stack."""

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deploy.monitoring.dashboard import STATE_CHANGES
from deploy.monitoring.dashboards import DASHBOARDS
from deploy.monitoring.exported import EXPORTERS
from deploy.monitoring.rules import ALERTS, RECORDED
from tests.support.promql import metrics_of

OF_STORES = {name for name in EXPORTERS if name.startswith(("kafka_", "redis_", "pg_", "alertmanager_"))}
ANSWER_S_MAX = 20


@dataclass(frozen=True)
class Question:
    """One expression.

    Attributes:
        where: The alert, recording or panel that asks it.
        may_be_empty: No data is no fault.
        is_of_stores: The exporters answer it, which not every stack has.
    """

    where: str
    expression: str
    may_be_empty: bool

    @property
    def is_of_stores(self) -> bool:
        stores_are_asked = re.search(r'job=~?"(kafka|redis|postgres)', self.expression)
        return bool(metrics_of(self.expression) & OF_STORES) or stores_are_asked is not None


def questions() -> list[Question]:
    """Return what is asked anywhere; of an alert what it measures, because on a healthy stack it does not fire."""
    found = [Question(f"alert {alert.name}", alert.measure, bool(alert.rare)) for alert in ALERTS]
    found += [Question(f"alert {alert.name} fires", alert.expression, may_be_empty=True) for alert in ALERTS]
    seldom = {alert.measure for alert in ALERTS if alert.rare}
    found += [Question(f"recording {name}", asked, may_be_empty=name in seldom) for name, asked in RECORDED.items()]
    found += [
        Question(f"{dashboard.title}: {panel.title}", chosen(query.expression), bool(query.rare))
        for dashboard in DASHBOARDS
        for panel in dashboard.panels
        for query in panel.queries
    ]
    return [*found, Question("annotation", STATE_CHANGES, may_be_empty=True)]


def chosen(expression: str) -> str:
    """Return an expression as Grafana sends it where everything is chosen."""
    return re.sub(r"\$\w+", ".*", expression)


def as_sent(sql: str, *, begins_at: datetime, ends_at: datetime, account: str) -> str:
    """Return a table's query as Grafana sends it: the time that is shown and the chosen accounts in place of macros."""
    within = f"at BETWEEN '{begins_at.isoformat()}' AND '{ends_at.isoformat()}'"
    return sql.replace("$__timeFilter(at)", within).replace("${account:pipe}", account)


class Prometheus:
    """The HTTP interface of one."""

    def __init__(self, address: str) -> None:
        self._address = address

    def ask(self, expression: str) -> list[Any]:
        """Return what an expression yields now; a quantile of nothing is not a number, and not here."""
        answer: list[Any] = self._get("query", {"query": expression})["result"]
        return [sample for sample in answer if sample["value"][1] != "NaN"]

    def broken_rules(self) -> dict[str, str]:
        """Return the rules that could not be evaluated, and why."""
        rules = [rule for group in self._get("rules", {})["groups"] for rule in group["rules"]]
        assert rules
        return {rule["name"]: rule.get("lastError", "") for rule in rules if rule["health"] == "err"}

    def unanswered(self, asked: list[Question]) -> dict[str, str]:
        """Return the questions to which no data came although it should."""
        return {
            question.where: question.expression
            for question in asked
            if not self.ask(question.expression) and not question.may_be_empty
        }

    def _get(self, name: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        address = f"{self._address}/api/v1/{name}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=ANSWER_S_MAX) as response:
            content = json.load(response)
        found: dict[str, Any] = content["data"]
        return found
