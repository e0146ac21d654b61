"""A dashboard of Grafana: rows of panels that fill the width, with the changes of the trading state as lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from deploy.monitoring.panels import PROMETHEUS, WIDTH, Panel

SCHEMA: Final = 41
"""Of Grafana 12."""

STATE_CHANGES: Final = (
    "max by (account, state) (trader_trading_state) == 1 "
    "unless max by (account, state) (trader_trading_state offset 15s) == 1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels below a heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """One page.

    Attributes:
        uid: Its place in Grafana's addresses.
        variables: What can be chosen: the label, and the metric that has its values.
        text: Markdown below the panels.
    """

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Sequence[tuple[str, str]] = ()
    span: str = "1h"
    text: str = ""

    @property
    def panels(self) -> list[Panel]:
        """Every panel."""
        return [panel for row in self.rows for panel in row.panels]

    def model(self) -> dict[str, Any]:
        """Return the dashboard as Grafana reads it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["trader"],
            "schemaVersion": SCHEMA,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "timezone": "utc",
            "refresh": "5s",
            "time": {"from": f"now-{self.span}", "to": "now"},
            "templating": {"list": [_variable(label, metric) for label, metric in self.variables]},
            "annotations": {"list": [_state_changes()]},
            "links": [
                {
                    "title": "Dashboards",
                    "type": "dashboards",
                    "tags": ["trader"],
                    "asDropdown": False,
                    "includeVars": True,
                    "keepTime": True,
                }
            ],
            "panels": self._placed(),
        }

    def _placed(self) -> list[dict[str, Any]]:
        placed: list[dict[str, Any]] = []
        y = 0
        for row in self.rows:
            position = {"x": 0, "y": y, "w": WIDTH, "h": 1}
            placed.append(
                {"id": len(placed) + 1, "type": "row", "title": row.title, "collapsed": False, "gridPos": position}
            )
            y, x, deepest = y + 1, 0, 0
            for panel in row.panels:
                if x + panel.width > WIDTH:
                    x, y, deepest = 0, y + deepest, 0
                placed.append(panel.model(len(placed) + 1, x=x, y=y))
                x, deepest = x + panel.width, max(deepest, panel.height)
            y += deepest
        if self.text:
            position = {"x": 0, "y": y, "w": WIDTH, "h": 40}
            placed.append(
                {
                    "id": len(placed) + 1,
                    "type": "text",
                    "title": "What each alert means, and what to do",
                    "description": "What am I to do about an alert?",
                    "gridPos": position,
                    "options": {"mode": "markdown", "content": self.text},
                }
            )
        return placed


def _variable(label: str, metric: str) -> dict[str, Any]:
    query = f"label_values({metric}, {label})"
    return {
        "name": label,
        "label": label,
        "type": "query",
        "datasource": PROMETHEUS,
        "definition": query,
        "query": {"query": query, "refId": label},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _state_changes() -> dict[str, Any]:
    return {
        "name": "Trading state",
        "datasource": PROMETHEUS,
        "enable": True,
        "hide": False,
        "iconColor": "blue",
        "expr": STATE_CHANGES,
        "step": "5s",
        "titleFormat": "{{account}} is {{state}}",
        "textFormat": "",
        "tagKeys": "account,state",
    }
