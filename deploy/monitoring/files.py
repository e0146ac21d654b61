"""Which files are generated, and what stands in each."""

import json
from pathlib import Path
from typing import Any, Final

import yaml

from deploy.monitoring.dashboards import DASHBOARDS
from deploy.monitoring.routing import routing
from deploy.monitoring.rules import rule_files
from deploy.monitoring.trials import GROUPS
from deploy.monitoring.trials_types import STEP

DEPLOY: Final = Path(__file__).resolve().parents[1]
PROMETHEUS: Final = DEPLOY / "prometheus"
ALERTMANAGER: Final = DEPLOY / "alertmanager"
GRAFANA: Final = DEPLOY / "grafana" / "dashboards"
_HEADER: Final = "# Written by `make docs` from deploy/monitoring: change it there.\n"


def generated() -> dict[Path, str]:
    """Return the text of every generated file."""
    files = {PROMETHEUS / "rules" / name: _yaml(content) for name, content in rule_files().items()}
    files |= {PROMETHEUS / "tests" / name: _yaml(content) for name, content in trial_files().items()}
    files[ALERTMANAGER / "alertmanager.yml"] = _yaml(routing(outside=False))
    files[ALERTMANAGER / "alertmanager-outside.yml"] = _yaml(routing(outside=True))
    for dashboard in DASHBOARDS:
        name = dashboard.uid.removeprefix("trader-") + ".json"
        files[GRAFANA / name] = json.dumps(dashboard.model(), indent=2, ensure_ascii=False) + "\n"
    return files


def trial_files() -> dict[str, Any]:
    """Return the content of each file that promtool tries: a group of alerts at one pace."""
    files = {}
    for group, trials in GROUPS.items():
        for interval, step in STEP.items():
            tests = [test for name, trial in trials.items() if trial.interval == interval for test in trial.tests(name)]
            if tests:
                files[f"{group}_{step}.yml"] = {
                    "rule_files": ["../rules/recording.yml", f"../rules/{group}.yml"],
                    "evaluation_interval": step,
                    "tests": tests,
                }
    return files


def _yaml(content: Any) -> str:
    return _HEADER + yaml.safe_dump(content, sort_keys=False, width=120, allow_unicode=True)
