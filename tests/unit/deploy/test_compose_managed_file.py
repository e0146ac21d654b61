"""`deploy/cluster/managed.yml`: nothing of our stores is left, and whoever speaks to a provider's does so over TLS."""

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
BASE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
MANAGED: dict[str, Any] = yaml.safe_load((ROOT / "deploy/cluster/managed.yml").read_text(encoding="utf-8"))
CLUSTER: dict[str, Any] = yaml.safe_load((ROOT / "deploy/cluster/compose.yml").read_text(encoding="utf-8"))
PROMETHEUS = ROOT / "deploy" / "prometheus"
STORES = {"kafka", "redis", "postgres"}
OUT: list[dict[str, Any]] = [{"profiles": ["here"]}, {"deploy": {"replicas": 0}}]
OF_ITS_OWN = {"restore", "grafana"}
"""What replaces a stopped database of ours, and what shows tables where there are some."""


def out() -> set[str]:
    return {name for name, service in MANAGED["services"].items() if service in OUT}


def left() -> dict[str, Any]:
    return {name: service for name, service in BASE["services"].items() if name not in out() | OF_ITS_OWN}


def test_whatever_is_left_speaks_tls_and_believes_the_same_authorities():
    told = {name for name, service in left().items() if "TRADER_POSTGRES_TLS" in service.get("environment", {})}
    beside_stores = {name for name, service in left().items() if STORES & set(service.get("networks", ()))}

    assert beside_stores <= told
    assert "archive" in told
    for name in told:
        environment = MANAGED["services"][name]["environment"]
        assert environment["TRADER_KAFKA_SECURITY_PROTOCOL"].endswith(":-SASL_SSL}")
        assert environment["TRADER_POSTGRES_TLS"].endswith(":-true}")
        assert environment["TRADER_REDIS_TLS"].endswith(":-true}")
        assert environment["TRADER_CA_FILE"] == MANAGED["services"][name]["configs"][0]["target"]


def test_what_keeps_to_our_stores_is_taken_out():
    assert out() == {*STORES, "access", "backup", "redis-exporter", "postgres-exporter"}
    # A list of profiles is added to the one that is there, which would start it all the same.
    assert [
        name for name in out() if "profiles" in MANAGED["services"][name] and "profiles" in BASE["services"][name]
    ] == []


@pytest.mark.parametrize(
    ("file", "watched"),
    [(MANAGED, {name: [] for name in STORES}), (CLUSTER, {"kafka": [f"kafka{number}:9404" for number in ("", 2, 3)]})],
    ids=["of a provider", "three brokers"],
)
def test_prometheus_looks_where_the_stores_are(file: dict[str, Any], watched: dict[str, list[str]]):
    jobs = {
        job["job_name"]: job for job in yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    }
    mounted = {config["target"]: config["source"] for config in file["services"]["prometheus"]["configs"]}

    assert {f"/etc/prometheus/stores/{name}.yml" for name in watched} == mounted.keys()
    for name, addresses in watched.items():
        (place,) = jobs[name]["file_sd_configs"][0]["files"]
        found = yaml.safe_load((ROOT / file["configs"][mounted[f"/etc/prometheus/{place}"]]["file"]).read_text())
        assert [address for group in found for address in group["targets"]] == addresses


def test_prometheus_looks_at_each_store_where_it_is_by_default():
    found = {
        name: [
            target
            for group in yaml.safe_load((PROMETHEUS / f"stores/{name}.yml").read_text())
            for target in group["targets"]
        ]
        for name in STORES
    }

    assert all(targets for targets in found.values())
    assert {target.partition(":")[0] for targets in found.values() for target in targets} <= BASE["services"].keys()


def test_nobody_waits_for_backups_that_are_not_made_here():
    watchdog = BASE["services"]["watchdog"]
    places = [volume.split(":")[-2] for volume in watchdog["volumes"] if "backups" in volume]

    assert watchdog["environment"]["TRADER_BACKUPS_STATUS_FILE"] == f"{places[0]}/status"
    assert MANAGED["services"]["watchdog"]["environment"]["TRADER_BACKUPS_STATUS_FILE"] == ""
