"""`deploy/cluster/compose.yml`: three brokers that are alike, known to everybody, and a standby beside each owner."""

from pathlib import Path
from typing import Any

import yaml

from libs.common.permissions import PERMISSIONS

ROOT = Path(__file__).parents[3]
ONE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
CLUSTER: dict[str, Any] = yaml.safe_load((ROOT / "deploy/cluster/compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = CLUSTER["services"]
BROKERS = ("kafka", "kafka2", "kafka3")
OWNED = {"risk_manager", "trade_executor", "position_manager", "audit_recorder"}
OWN = {"KAFKA_NODE_ID", "KAFKA_ADVERTISED_LISTENERS"}


def addresses(port: int) -> str:
    return ",".join(f"{broker}:{port}" for broker in BROKERS)


def test_brokers_differ_in_their_numbers_names_and_volumes_alone():
    first = {**ONE["services"]["kafka"], **SERVICES["kafka"]}
    first["environment"] = {**ONE["services"]["kafka"]["environment"], **SERVICES["kafka"]["environment"]}
    brokers = [first, *(SERVICES[name] for name in BROKERS[1:])]

    for number, (name, broker) in enumerate(zip(BROKERS, brokers, strict=True), start=1):
        assert broker["environment"]["KAFKA_NODE_ID"] == str(number)
        assert broker["environment"]["KAFKA_ADVERTISED_LISTENERS"] == f"CLIENTS://{name}:9092,BROKERS://{name}:9093"
        assert f"{number}@{name}:9094" in broker["environment"]["KAFKA_CONTROLLER_QUORUM_VOTERS"].split(",")
        assert broker["volumes"] == [f"{name}:/var/lib/kafka/data"]
        assert shared(broker) == shared(first)


def shared(broker: dict[str, Any]) -> dict[str, Any]:
    environment = {name: value for name, value in broker["environment"].items() if name not in OWN}
    return {**{key: broker[key] for key in broker.keys() - {"build", "volumes"}}, "environment": environment}


def test_what_is_acknowledged_is_on_two_of_three_brokers():
    environment = SERVICES["kafka"]["environment"]

    assert SERVICES["topics"]["environment"]["TRADER_KAFKA_REPLICATION"] == "3"
    assert environment["KAFKA_MIN_INSYNC_REPLICAS"] == "2"
    assert environment["KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR"] == "3"


def test_everybody_knows_every_broker():
    assert SERVICES.keys() >= PERMISSIONS.keys()
    for name in (*PERMISSIONS, "topics"):
        assert SERVICES[name]["environment"]["TRADER_KAFKA_BOOTSTRAP_SERVERS"] == addresses(9092)
    assert SERVICES["access"]["environment"]["TRADER_KAFKA_BOOTSTRAP_SERVERS"] == addresses(9093)
    assert SERVICES["access"]["depends_on"].keys() == set(BROKERS[1:])


def test_owners_alone_have_a_standby():
    assert {name for name, service in SERVICES.items() if service.get("deploy") == {"replicas": 2}} == OWNED


def test_nothing_keeps_a_service_from_having_replicas():
    assert [name for name, service in ONE["services"].items() if {"container_name", "hostname"} & service.keys()] == []
