"""Panels of Grafana: what an operator asks, the PromQL that answers, and the thresholds of the alerts about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from deploy.monitoring.alert import Alert, Severity
from deploy.monitoring.rules import ALERT

PROMETHEUS: Final = {"type": "prometheus", "uid": "prometheus"}
POSTGRES: Final = {"type": "grafana-postgresql-datasource", "uid": "postgres"}
WIDTH: Final = 24
"""Columns of Grafana's grid."""

Kind = Literal["timeseries", "stat", "state-timeline", "table"]
_COLOUR: Final = {Severity.PAGE: "red", Severity.TICKET: "orange"}


@dataclass(frozen=True, slots=True)
class Query:
    """One expression of a panel.

    Attributes:
        expression: PromQL; it has data on every healthy stack, unless `rare` says why not.
        legend: How its lines are named, `{{label}}` included.
    """

    expression: str
    legend: str = ""
    rare: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One question of an operator, answered.

    Attributes:
        question: The question, which is its description.
        unit: Grafana's name of the unit.
        alerts: Which alerts watch the figure: their thresholds are drawn.
        red_from: From where on it is red although no alert is about it.
        sql: Of a table, in place of queries: what it asks of Postgres under the reader's role, with Grafana's macros.
        words: What values are called, with their colours, where they are states rather than amounts.
    """

    title: str
    question: str
    queries: Sequence[Query] = ()
    kind: Kind = "timeseries"
    unit: str = "short"
    decimals: int | None = None
    width: int = 8
    height: int = 8
    alerts: Sequence[str] = ()
    words: Sequence[tuple[float, str, str]] = ()
    stacked: bool = False
    red_from: float | None = None
    sql: str = ""

    @property
    def description(self) -> str:
        """The question, and which alerts watch the answer."""
        if not self.alerts:
            return self.question
        entries = ", ".join(f"{name} ({ALERT[name].anchor})" for name in self.alerts)
        return f"{self.question} Alert: {entries}."

    def model(self, number: int, *, x: int, y: int) -> dict[str, Any]:
        """Return the panel as Grafana reads it."""
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": POSTGRES if self.sql else PROMETHEUS,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "links": [
                {"title": f"What to do: {name}", "url": "/d/trader-alerts", "targetBlank": True} for name in self.alerts
            ],
            "targets": self._targets(),
            "fieldConfig": {"defaults": self._defaults(), "overrides": []},
            "options": _OPTIONS[self.kind],
        }

    def _targets(self) -> list[dict[str, Any]]:
        if self.sql:
            return [{"refId": "A", "datasource": POSTGRES, "format": "table", "rawQuery": True, "rawSql": self.sql}]
        return [
            {
                "refId": chr(ord("A") + place),
                "datasource": PROMETHEUS,
                "expr": query.expression,
                "legendFormat": query.legend or "__auto",
                "range": self.kind != "stat",
                "instant": self.kind == "stat",
            }
            for place, query in enumerate(self.queries)
        ]

    def _steps(self) -> list[dict[str, Any]]:
        own = [{"color": "red", "value": self.red_from}] if self.red_from is not None else []
        return [*steps([ALERT[name] for name in self.alerts]), *own]

    def _defaults(self) -> dict[str, Any]:
        defaults: dict[str, Any] = {
            "unit": self.unit,
            "thresholds": {"mode": "absolute", "steps": self._steps()},
            "color": {"mode": "thresholds" if self.kind != "timeseries" else "palette-classic"},
            "noValue": "none",
        }
        if self.decimals is not None:
            defaults["decimals"] = self.decimals
        if self.words:
            options = {f"{value:g}": {"text": text, "color": colour} for value, text, colour in self.words}
            defaults["mappings"] = [{"type": "value", "options": options}]
        if self.kind == "timeseries":
            defaults["custom"] = {
                "lineWidth": 1,
                "fillOpacity": 40 if self.stacked else 5,
                "showPoints": "never",
                "stacking": {"mode": "normal" if self.stacked else "none"},
                "thresholdsStyle": {"mode": "dashed" if self.alerts else "off"},
            }
        return defaults


def steps(alerts: Sequence[Alert]) -> list[dict[str, Any]]:
    """Return Grafana's threshold steps of the alerts about a figure: green where none of them fires.

    A step begins at its value, an alert mostly beyond it; nothing is beyond 0 by less than a billionth.
    """
    pages_last = sorted(alerts, key=lambda alert: alert.severity is Severity.PAGE)
    below = {each.threshold: _COLOUR[each.severity] for each in pages_last if each.operator in ("<", "<=")}
    above = {each.threshold: _COLOUR[each.severity] for each in pages_last if each.operator in (">", ">=")}
    deepest_first = sorted(below)
    colours = [*(below[bound] for bound in deepest_first), "green", *(above[bound] for bound in sorted(above))]
    bounds: list[float | None] = [None, *deepest_first, *(bound or 1e-9 for bound in sorted(above))]
    return [{"color": colour, "value": bound} for colour, bound in zip(colours, bounds, strict=True)]


_OPTIONS: Final[dict[Kind, dict[str, Any]]] = {
    "timeseries": {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"], "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "colorMode": "background",
        "graphMode": "none",
        "justifyMode": "center",
        "textMode": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
    "state-timeline": {"mergeValues": True, "showValue": "auto", "rowHeight": 0.9, "legend": {"showLegend": False}},
    "table": {"showHeader": True, "cellHeight": "sm"},
}
