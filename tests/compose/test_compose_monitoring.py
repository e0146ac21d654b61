"""The deployment with its monitoring: every expression of rules and dashboards has data, the stores' included."""

import os
import time
import urllib.error
from collections.abc import Iterator

import pytest

from tests.compose.conftest import ComposeProject, project
from tests.support.live_queries import Prometheus, questions

DATA_S_MAX = 600.0
LOOK_S = 5.0
PORT = os.environ.get("TRADER_PROMETHEUS_PORT", "9090")


@pytest.fixture(scope="module")
def monitored(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeProject]:
    """Start everything with Prometheus, Alertmanager, Grafana and the exporters."""
    del images
    with project(tmp_path_factory.mktemp("monitored"), profiles="paper,monitoring") as made:
        made.up()
        yield made


@pytest.mark.timeout(3_000)
@pytest.mark.usefixtures("monitored")
def test_every_expression_has_data_and_every_rule_can_be_evaluated():
    prometheus, asked = Prometheus(f"http://127.0.0.1:{PORT}"), questions()
    ends_at_s = time.monotonic() + DATA_S_MAX
    missing = {"prometheus": "no answer"}

    while missing and time.monotonic() < ends_at_s:
        try:
            missing = prometheus.unanswered(asked)
        except urllib.error.URLError as error:
            missing = {"prometheus": str(error)}
        time.sleep(LOOK_S)

    assert missing == {}
    assert prometheus.broken_rules() == {}
