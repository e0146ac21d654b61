"""The project's own files, with the addresses of a test's stack in them.

Invariant: nothing else is changed, but that hours are made seconds (`HOUR_S`) in the rules that look back for hours.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from deploy.monitoring.files import ALERTMANAGER, PROMETHEUS

HOUR_S: Final = 10
"""How long an hour lasts in rules that look back for hours: windows, ages, horizons and rates, by one factor."""
FACTOR: Final = 3_600 // HOUR_S
_WINDOW: Final = re.compile(r"\[(\d+)h\]")
_SECONDS: Final = re.compile(r"(?<![\w.])\d{4,6}(?![\w.])")


def shortened(expression: str) -> str:
    """Return a rule that looks back for hours with its hours made shorter; any other as it is."""
    if not _WINDOW.search(expression):
        return expression
    scaled = _WINDOW.sub(lambda match: f"[{int(match[1]) * HOUR_S}s]", expression)
    return _SECONDS.sub(lambda match: str(int(match[0]) // FACTOR), scaled)


def write_rules(directory: Path) -> Path:
    """Write the rules; return the pattern that finds them."""
    directory.mkdir()
    for path in (PROMETHEUS / "rules").glob("*.yml"):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for group in content["groups"]:
            for rule in group["rules"]:
                rule["expr"] = shortened(rule["expr"])
        (directory / path.name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return directory / "*.yml"


def prometheus_settings(
    *,
    rules: Path,
    alertmanager: str,
    prometheus: str,
    services: Mapping[str, str],
    stores: Mapping[str, str],
    more: Path,
) -> dict[str, Any]:
    """Return Prometheus's configuration: the pace and the jobs are the deployment's, the addresses the test's.

    Args:
        rules: Where the rules are.
        alertmanager: Its address; `prometheus` likewise.
        services: The address of each service's metrics.
        stores: The address of each store's exporter.
        more: A file of targets that come and go (`file_sd`), each with its job.
    """
    content: dict[str, Any] = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    jobs = {job["job_name"] for job in content["scrape_configs"]}
    assert jobs == {"services", *stores, "prometheus", "alertmanager"}
    addresses = {**services, **stores, "prometheus": prometheus, "alertmanager": alertmanager}
    content["rule_files"] = [str(rules)]
    content["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    content["scrape_configs"] = [
        *({"job_name": name, "static_configs": [{"targets": [address]}]} for name, address in addresses.items()),
        {"job_name": "more", "file_sd_configs": [{"files": [str(more)], "refresh_interval": "5s"}]},
    ]
    return content


def alertmanager_settings(*, webhook: str, token_file: Path, switch_file: Path) -> dict[str, Any]:
    """Return Alertmanager's configuration with the switch outside: routes, pauses and inhibitions as deployed."""
    content: dict[str, Any] = yaml.safe_load((ALERTMANAGER / "alertmanager-outside.yml").read_text(encoding="utf-8"))
    receivers = {receiver["name"]: receiver["webhook_configs"][0] for receiver in content["receivers"]}
    receivers["notifier"]["url"] = webhook
    receivers["notifier"]["http_config"]["authorization"]["credentials_file"] = str(token_file)
    receivers["outside"]["url_file"] = str(switch_file)
    return content
