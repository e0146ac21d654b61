"""Prometheus watches a stack that trades: every rule can be evaluated, and every panel has something to show."""

import os
import shutil
import socket
import subprocess
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deploy.monitoring.files import PROMETHEUS
from tests.support.live_queries import Prometheus, questions
from tests.support.stack import StackUnderTest, until

BINARY = os.environ.get("PROMETHEUS") or shutil.which("prometheus")
DATA_S_MAX = 180.0
"""Rates need two looks, quantiles their share of a window; a busy machine takes its time."""

pytestmark = pytest.mark.skipif(BINARY is None, reason="prometheus is not installed (Debian: apt install prometheus)")


@pytest.fixture
def prometheus(standing: StackUnderTest, tmp_path: Path) -> Iterator[Prometheus]:
    """Lend a Prometheus with our rules that asks the stack's processes."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    config["rule_files"] = [str(PROMETHEUS / "rules" / "*.yml")]
    config["scrape_configs"] = [
        {"job_name": name, "static_configs": [{"targets": [process["metrics_url"].split("/")[2]]}]}
        for name, process in standing.processes().items()
        if process["metrics_url"]
    ]
    del config["alerting"]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    command = [
        str(BINARY),
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=error",
    ]
    process = subprocess.Popen(command)
    try:
        yield Prometheus(f"http://{address}")
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_every_rule_can_be_evaluated_and_every_panel_has_data(prometheus: Prometheus):
    asked = [question for question in questions() if not question.is_of_stores]
    assert len(asked) > 100
    missing: dict[str, str] = {}

    def everything_is_answered() -> bool:
        missing.clear()
        try:
            missing.update(prometheus.unanswered(asked))
        except urllib.error.URLError as error:  # not up yet
            missing["prometheus"] = str(error)
        return not missing

    try:
        until(everything_is_answered, seconds=DATA_S_MAX, what="data for every expression")
    except AssertionError:
        pytest.fail("\n".join(f"{where}: no data for {expression}" for where, expression in missing.items()))

    assert prometheus.broken_rules() == {}
