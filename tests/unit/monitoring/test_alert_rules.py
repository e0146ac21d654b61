"""Every alert names metrics that exist, says what to do, has its entry in the runbook, and was tried."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.monitoring.alert import Alert, Severity
from deploy.monitoring.alerts_system import TRADING_JOBS
from deploy.monitoring.exported import known_metrics
from deploy.monitoring.files import ALERTMANAGER, PROMETHEUS, generated, trial_files
from deploy.monitoring.routing import INHIBITIONS
from deploy.monitoring.rules import ALERT, ALERTS, RECORDED
from deploy.monitoring.trials import TRIALS
from tests.support.documents import ROOT, RUNBOOK, anchors
from tests.support.promql import metrics_of

GENERATED = generated()
KNOWN = known_metrics()
PROMTOOL = os.environ.get("PROMTOOL") or shutil.which("promtool")
ENTRIES = re.split(r"^## ", RUNBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE)
by_name = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
with_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed (Debian: apt install prometheus)"
)


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: str(path.relative_to(ROOT)))
def test_generated_files_are_fresh(path: Path):
    assert path.read_text(encoding="utf-8") == GENERATED[path], "run `make docs`"


def test_nothing_else_lies_beside_the_generated_files():
    for directory in {path.parent for path in GENERATED}:
        assert set(directory.iterdir()) <= set(GENERATED), directory


@by_name
def test_an_alert_names_only_metrics_that_somebody_serves(alert: Alert):
    named = metrics_of(alert.expression)

    assert named <= KNOWN | RECORDED.keys()
    assert named or alert.name == "Watchdog"


@pytest.mark.parametrize("name", RECORDED)
def test_a_recording_names_only_metrics_that_somebody_serves(name: str):
    assert metrics_of(RECORDED[name]) <= KNOWN


@by_name
def test_an_alert_says_what_it_is_what_it_means_and_where_to_read_on(alert: Alert):
    assert (alert.severity is Severity.NONE) == (alert.name == "Watchdog")
    assert 10 < len(alert.summary) < 120
    assert len(alert.description) > 40
    assert alert.description.endswith(".")
    assert alert.anchor.partition("#")[2] in anchors(RUNBOOK.read_text(encoding="utf-8"))


@by_name
def test_an_alerts_entry_says_whom_it_concerns(alert: Alert):
    (entry,) = [entry for entry in ENTRIES if entry.startswith(f"{alert.name}\n")]

    said = {Severity.PAGE: "Page.", Severity.TICKET: "Ticket.", Severity.NONE: "It fires always"}[alert.severity]
    assert said in entry


@by_name
def test_an_alert_keeps_the_labels_that_its_texts_show(alert: Alert):
    shown = set(re.findall(r"\$labels\.(\w+)", alert.summary + alert.description))
    grouped = re.findall(r"\bby \(([^()]*)\)", alert.expression)

    if grouped and not alert.expression.startswith(("quantile_over_time", "trader_")):
        assert shown <= {label.strip() for labels in grouped for label in labels.split(",")} | {"job"}


def test_every_alert_was_tried_to_fire_and_to_be_silent():
    assert TRIALS.keys() == ALERT.keys()
    assert [name for name, trial in TRIALS.items() if trial.silent is None] == ["Watchdog"]


def test_no_alert_holds_back_itself_or_one_that_does_not_exist():
    for cause, effects, _ in INHIBITIONS:
        named = {cause, *effects.split("|")}
        assert named <= ALERT.keys()
        assert len(named) == 1 + len(effects.split("|"))


def test_every_service_is_scraped_by_its_name():
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    (services,) = [job for job in config["scrape_configs"] if job["job_name"] == "services"]
    (names,) = [dns["names"] for dns in services["dns_sd_configs"]]

    packages = {path.parent.name for path in (ROOT / "services").glob("*/__main__.py")}
    assert set(names) == packages
    assert set(TRADING_JOBS) == packages - {"paper_exchange"}


def test_pages_and_tickets_go_to_the_notifier_and_the_watchdog_outside():
    for name, address in (("alertmanager.yml", None), ("alertmanager-outside.yml", "/run/secrets/dead-man-url")):
        config = yaml.safe_load((ALERTMANAGER / name).read_text(encoding="utf-8"))
        receivers = {receiver["name"]: receiver.get("webhook_configs", []) for receiver in config["receivers"]}

        assert [each["url"] for each in receivers["notifier"]] == ["http://notifier:8080/webhooks/alertmanager"]
        assert [each["url_file"] for each in receivers["outside"]] == ([address] if address else [])


@with_promtool
@pytest.mark.sweep
@pytest.mark.parametrize(
    "arguments", ["check config prometheus.yml", *(f"test rules tests/{name}" for name in trial_files())]
)
def test_promtool_agrees(arguments: str):
    command = [str(PROMTOOL), *arguments.split()]
    answer = subprocess.run(command, cwd=PROMETHEUS, capture_output=True, text=True, check=False, timeout=100)

    assert answer.returncode == 0, answer.stdout + answer.stderr
