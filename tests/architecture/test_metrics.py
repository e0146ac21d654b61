"""Metrics stand in one place, and their names say whose they are and in what unit."""

import ast

from prometheus_client.metrics import MetricWrapperBase

from libs.common.observability import metrics
from tests.support.source import modules, named

KINDS = {"Counter", "Gauge", "Histogram", "Summary", "Info"}
ELSEWHERE = ("libs/common/observability/metrics.py", "services/paper_exchange/health.py")
"""The table, and the paper exchange, which is no part of the trading system and has a registry of its own."""


def _declared() -> dict[str, MetricWrapperBase]:
    return {name: value for name, value in vars(metrics).items() if isinstance(value, MetricWrapperBase)}


def test_every_metric_is_the_traders_and_explained() -> None:
    standard = {family.name for family in metrics.PROCESS.collect()}
    families = [family for family in metrics.REGISTRY.collect() if family.name not in standard]

    assert all(name.startswith("process_") for name in standard)
    assert len(families) == len(_declared()) > 20
    assert [family.name for family in families if not family.name.startswith("trader_")] == []
    assert [family.name for family in families if not family.documentation.endswith(".")] == []


def test_counters_end_in_total_and_times_in_their_unit() -> None:
    for family in metrics.REGISTRY.collect():
        if family.type == "histogram":
            assert family.name.endswith("_seconds"), family.name
        assert not family.name.endswith(("_ms", "_minutes")), family.name


def test_metrics_are_declared_in_one_place() -> None:
    places = set()
    for path in modules("libs", "services", "cli"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "prometheus_client":
                places |= {named(path) for alias in node.names if alias.name in KINDS}

    assert places == set(ELSEWHERE)


def test_every_declared_metric_is_used() -> None:
    used = "".join(
        path.read_text(encoding="utf-8") for path in modules("libs", "services", "cli") if named(path) != ELSEWHERE[0]
    )

    assert [name for name in _declared() if f"metrics.{name}" not in used] == []
