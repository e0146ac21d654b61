"""Dashboards ask for metrics that exist, answer a question each, and draw the alerts' own thresholds."""

import json
import re
from typing import Any

import pytest
import yaml

from deploy.monitoring.alert import Alert, Severity
from deploy.monitoring.dashboard import STATE_CHANGES, Dashboard
from deploy.monitoring.dashboards import DASHBOARDS
from deploy.monitoring.exported import known_metrics
from deploy.monitoring.files import DEPLOY, GRAFANA
from deploy.monitoring.panels import WIDTH, Panel, steps
from deploy.monitoring.rules import ALERT, RECORDED
from tests.support.documents import RUNBOOK, anchors
from tests.support.promql import metrics_of

PANELS = [(dashboard, panel) for dashboard in DASHBOARDS for panel in dashboard.panels]
PROVISIONING = DEPLOY / "grafana" / "provisioning"
NAMES = [f"{dashboard.title}-{panel.title}" for dashboard, panel in PANELS]
KNOWN = known_metrics()
each_panel = pytest.mark.parametrize("panel", [panel for _, panel in PANELS], ids=NAMES)
each_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.title)


@each_panel
def test_a_panel_asks_for_metrics_that_somebody_serves(panel: Panel):
    for query in panel.queries:
        assert metrics_of(query.expression) <= KNOWN | RECORDED.keys()
        assert metrics_of(query.expression)


@each_panel
def test_a_panel_asks_one_source(panel: Panel):
    assert bool(panel.queries) != bool(panel.sql)
    assert bool(panel.sql) == (panel.kind == "table")
    if panel.sql:  # the reader's role sees nothing else
        assert set(re.findall(r"(?:FROM|JOIN) (\w+)\.", panel.sql)) == {"reading"}


@each_panel
def test_a_panel_answers_a_question_and_names_the_entries_about_it(panel: Panel):
    assert "?" in panel.question
    named = re.findall(r"runbook\.md#([a-z]+)", panel.description)

    assert named == [name.lower() for name in panel.alerts]
    assert set(named) <= anchors(RUNBOOK.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("dashboard", "panel"), PANELS, ids=NAMES)
def test_a_panel_uses_only_the_variables_of_its_dashboard(dashboard: Dashboard, panel: Panel):
    asked = [query.expression for query in panel.queries] + [panel.sql]
    used = {name for text in asked for name in re.findall(r"\$\{?(\w+)", text) if name != "__timeFilter"}

    assert used <= {label for label, _ in dashboard.variables}


@each_dashboard
def test_panels_fill_the_grid_without_covering_each_other(dashboard: Dashboard):
    taken: set[tuple[int, int]] = set()
    for panel in dashboard.model()["panels"]:
        place: dict[str, int] = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < WIDTH
        taken |= cells


def test_names_are_unique():
    assert len({dashboard.uid for dashboard in DASHBOARDS}) == len(DASHBOARDS)
    for dashboard in DASHBOARDS:
        panels: list[dict[str, Any]] = dashboard.model()["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        assert len({panel["title"] for panel in panels}) == len(panels)


@each_dashboard
def test_what_grafana_reads_says_where_every_figure_comes_from(dashboard: Dashboard):
    model = json.loads((GRAFANA / f"{dashboard.uid.removeprefix('trader-')}.json").read_text(encoding="utf-8"))
    sources = yaml.safe_load((PROVISIONING / "datasources" / "trader.yml").read_text(encoding="utf-8"))
    known = {source["uid"] for source in sources["datasources"]}

    for panel in model["panels"]:
        assert panel["type"] == "row" or panel["description"]
        assert {target["datasource"]["uid"] for target in panel.get("targets", [])} <= known
    (annotation,) = model["annotations"]["list"]
    assert annotation["expr"] == STATE_CHANGES
    assert metrics_of(STATE_CHANGES) <= KNOWN


def test_every_alert_but_the_watchdog_is_explained_where_panels_lead():
    (alerting,) = [dashboard for dashboard in DASHBOARDS if dashboard.uid == "trader-alerts"]

    assert [name for name in ALERT if f"**{name}**" not in alerting.text] == ["Watchdog"]


def an_alert(operator: str, threshold: float, severity: Severity) -> Alert:
    return Alert(
        name="X", severity=severity, measure="x", operator=operator, threshold=threshold, summary="", description=""
    )


@pytest.mark.parametrize(
    ("alerts", "expected"),
    [
        ([], [("green", None)]),
        ([an_alert(">", 0, Severity.PAGE)], [("green", None), ("red", 1e-9)]),
        (
            [an_alert(">=", 1, Severity.PAGE), an_alert(">", 0.8, Severity.TICKET)],
            [("green", None), ("orange", 0.8), ("red", 1)],
        ),
        (
            [an_alert("<", 0.2, Severity.TICKET), an_alert("<", 0.05, Severity.PAGE)],
            [("red", None), ("orange", 0.05), ("green", 0.2)],
        ),
        ([an_alert("<", 1, Severity.PAGE), an_alert("<", 1, Severity.TICKET)], [("red", None), ("green", 1)]),
    ],
)
def test_colours_change_where_alerts_fire(alerts: list[Alert], expected: list[tuple[str, float | None]]):
    assert [(step["color"], step["value"]) for step in steps(alerts)] == expected
