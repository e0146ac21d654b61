"""Every service of `docker-compose.yml` has every line of hardening; nothing reaches more than it needs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.deployment.secrets import LIVE_KEYS, make_secrets
from cli.stack.composition import WATCHED
from cli.stack.exchange_keys import KEY_RIGHTS
from libs.common.permissions import KAFKA_ADMIN, PERMISSIONS
from libs.common.storage.migrations import LOGINS

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
JOBS = {"access", "topics", "database", "operators", "exchange_keys", "arming"}
RUN_BY_HAND = {"trader", "archive", "restore"}
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("crypto-trader-pro/trading:")}
PUBLISHED = {"grafana", "prometheus"}
ASKING_THE_EXCHANGE = {"market_monitor", "risk_manager", "trade_executor", "position_manager", "watchdog"}
OUTWARD = ASKING_THE_EXCHANGE | {"notifier", "alertmanager"}
STORES = {"kafka", "redis", "postgres"}
STOP_S_MIN = 20
"""An orderly stop of a service takes at most 11 s."""

every_service = pytest.mark.parametrize("name", sorted(SERVICES))


def seconds(duration: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(s|m)", duration).groups()  # type: ignore[union-attr]
    return int(number) * (60 if unit == "m" else 1)


def networks(name: str) -> set[str]:
    return set(SERVICES[name].get("networks", ()))


@every_service
def test_a_service_can_do_nothing_that_it_need_not(name: str):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert not {"privileged", "cap_add", "devices", "pid", "ipc", "userns_mode", "extra_hosts"} & service.keys()
    assert service.get("network_mode", "none") == "none"


@every_service
def test_a_service_is_bounded(name: str):
    service = SERVICES[name]

    assert 0 < service["pids_limit"] <= 500
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert 0 < service["cpus"] <= 2
    options = service["logging"]["options"]
    assert (service["logging"]["driver"], options["max-size"], options["max-file"]) == ("json-file", "10m", "3")
    for tmpfs in service.get("tmpfs", ()):
        assert "size=" in tmpfs


@every_service
def test_a_service_stops_in_order_and_comes_back(name: str):
    service = SERVICES[name]

    assert seconds(service["stop_grace_period"]) >= STOP_S_MIN
    assert service["restart"] == ("no" if name in JOBS | RUN_BY_HAND else "unless-stopped")


@every_service
def test_a_service_has_a_health_check_unless_it_ends_by_itself(name: str):
    check: Any = SERVICES[name].get("healthcheck")

    if name in JOBS | RUN_BY_HAND:
        assert check == {"disable": True}
    elif name in OURS:
        assert check is None  # the image's own
    else:
        assert {"test", "interval", "timeout", "retries", "start_period", "start_interval"} <= check.keys()


@every_service
def test_an_image_is_named_by_a_tag(name: str):
    image = SERVICES[name]["image"]

    assert re.fullmatch(r"[a-z/-]+:(v?\d[\d.]*|\$\{TRADER_BUILD:-local\})", image)
    assert SERVICES[name].get("pull_policy") == ("never" if image.startswith("crypto-trader-pro/") else None)


@every_service
def test_only_named_volumes_hold_data(name: str):
    for volume in SERVICES[name].get("volumes", ()):
        source = re.sub(r"^\$\{TRADER_BACKUPS:-(\w+)\}", r"\1", volume).partition(":")[0]
        if source.startswith("./deploy/"):
            assert volume.endswith(":ro")
            assert (ROOT / source).is_dir()
        else:
            assert source in COMPOSE["volumes"], f"{name} mounts {source} of the host"


@every_service
def test_no_secret_stands_in_the_environment(name: str):
    environment = SERVICES[name].get("environment", {})

    for variable in environment:
        assert not re.search(r"(PASSWORD|SECRET|TOKEN|KEY)$", variable), variable


@every_service
def test_what_is_published_is_published_on_this_machine_alone(name: str):
    ports = SERVICES[name].get("ports", [])

    assert bool(ports) == (name in PUBLISHED)
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_only_the_proxy_reaches_outside():
    reaching = [name for name, network in COMPOSE["networks"].items() if not (network or {}).get("internal")]

    assert set(reaching) <= {"outside", "published"}
    assert {name for name in SERVICES if "outside" in networks(name)} == {"proxy"}
    assert {name for name in SERVICES if "published" in networks(name)} == PUBLISHED & SERVICES.keys()
    assert {name for name in SERVICES if "outward" in networks(name)} - {"proxy"} == OUTWARD & SERVICES.keys()


def test_the_exchange_is_reached_by_those_who_ask_it():
    assert {name for name in SERVICES if "exchange" in networks(name)} == {
        *ASKING_THE_EXCHANGE,
        *("paper_exchange", "trader", "prometheus"),
    }
    asking = {
        name
        for name in WATCHED
        for path in (ROOT / "services" / name).rglob("*.py")
        if "exchange_rest_url" in path.read_text(encoding="utf-8")
    }
    assert asking == ASKING_THE_EXCHANGE - {"watchdog"}


def test_who_reaches_outside_is_told_of_the_proxy():
    for name in OUTWARD:
        assert SERVICES[name]["environment"]["HTTPS_PROXY"] == "http://proxy:8888"


def test_what_is_published_cannot_reach_outside_by_it():
    options = COMPOSE["networks"]["published"]["driver_opts"]

    assert options["com.docker.network.bridge.enable_ip_masquerade"] == "false"


@pytest.mark.parametrize("name", sorted(PERMISSIONS))
def test_a_process_is_in_the_networks_of_its_stores_alone(name: str):
    permissions = PERMISSIONS[name]
    needed = {"kafka"} | ({"redis"} if permissions.redis else set()) | ({"postgres"} if permissions.postgres else set())

    assert networks(name) & STORES == needed


@pytest.mark.parametrize("name", sorted(PERMISSIONS))
def test_a_process_is_given_its_own_secrets_alone(name: str):
    permissions = PERMISSIONS[name]
    own = {f"kafka-{name}"}
    own |= {f"redis-{name}"} if permissions.redis else set()
    own |= {f"postgres-{permissions.postgres}"} if permissions.postgres else set()
    more = {
        "audit_recorder": {"audit-anchor-key"},
        "notifier": {"alertmanager-webhook", "notification-channels"},
        "trader": {"operator.pem", "audit-anchor-key.pub"},
        "watchdog": {"watchdog-webhooks"},
    }

    assert set(SERVICES[name]["secrets"]) == own | more.get(name, set())


def test_a_job_is_given_what_it_sets_up():
    assert set(SERVICES["access"]["secrets"]) == {f"kafka-{name}" for name in (KAFKA_ADMIN, *PERMISSIONS)}
    assert set(SERVICES["database"]["secrets"]) == {f"postgres-{role}" for role in ("postgres", *LOGINS)}
    assert SERVICES["topics"]["secrets"] == SERVICES["kafka"]["secrets"] == [f"kafka-{KAFKA_ADMIN}"]


@pytest.mark.parametrize(("name", "right"), sorted(KEY_RIGHTS.items()))
def test_a_process_is_given_its_own_key_of_the_exchange_alone(name: str, right: str):
    mounted = [volume for volume in SERVICES[name]["volumes"] if volume.startswith("key_")]

    assert mounted == [f"key_{right}:/run/exchange-{right}:ro"]
    assert SERVICES[name]["environment"]["TRADER_EXCHANGE_KEYS_FILE"] == f"/run/exchange-{right}/keys.json"


def test_nobody_else_is_given_a_key_of_the_exchange():
    given = {name for name, service in SERVICES.items() for volume in service.get("volumes", ()) if "key_" in volume}

    assert given == {*KEY_RIGHTS, "exchange_keys", "arming"}


def test_backups_are_seen_whole_by_those_who_make_and_restore_them():
    mounting = {
        name: volume.removeprefix("${TRADER_BACKUPS:-backups}:")
        for name, service in SERVICES.items()
        for volume in service.get("volumes", ())
        if "backups" in volume
    }

    assert mounting == {
        "backup": "/var/lib/postgresql/data",
        "restore": "/var/lib/postgresql/backups",
        "trader": "/var/lib/trader/backups:ro",  # the status alone is open to its account
        "watchdog": "/var/lib/trader/backups:ro",  # the same
    }
    assert {name for name, service in SERVICES.items() if "postgres-backup" in service.get("secrets", ())} == {
        *("backup", "database"),
    }
    assert networks("backup") == networks("restore") == {"postgres"}
    assert {SERVICES[name]["user"] for name in ("backup", "restore")} == {SERVICES["postgres"]["user"]}


def test_every_secret_that_is_mounted_is_made(tmp_path: Path):
    make_secrets(tmp_path / "secrets")
    made = {path.name for path in (tmp_path / "secrets").iterdir()}

    assert COMPOSE["secrets"].keys() <= made | set(LIVE_KEYS)
    for name, secret in COMPOSE["secrets"].items():
        assert secret["file"] == f"${{TRADER_SECRETS:-./secrets}}/{name}"


def test_the_watchdog_has_channels_of_its_own():
    environment = SERVICES["watchdog"]["environment"]

    assert environment["TRADER_WEBHOOK_URLS_FILE"] == "/run/secrets/watchdog-webhooks"
    assert environment["TRADER_HEARTBEAT_URL"] is None  # from outside, and otherwise not set: an empty one is none


def test_an_image_of_ours_is_built_by_somebody():
    built = {service["image"] for service in SERVICES.values() if "build" in service}

    assert built == {service["image"] for service in SERVICES.values() if service["image"].startswith("crypto-trader")}


def test_the_watchdog_watches_every_service():
    targets = json.loads(SERVICES["watchdog"]["environment"]["TRADER_TARGETS"])

    assert targets == {name: f"http://{name}:8080" for name in WATCHED}


@pytest.mark.parametrize("name", sorted(set(WATCHED) | {"watchdog"}))
def test_nothing_of_ours_starts_before_the_jobs_are_done(name: str):
    waited_for = dict(SERVICES[name]["depends_on"])
    if name == "watchdog":
        assert waited_for == {each: {"condition": "service_healthy"} for each in WATCHED}
        return

    assert waited_for["arming"] == {"condition": "service_completed_successfully", "required": False}
    for job in ("topics", "database", "operators"):
        assert waited_for[job] == {"condition": "service_completed_successfully"}
    # What deploy/cluster/managed.yml may take out is waited for wherever it is there, and here it always is.
    assert waited_for["access"] == {"condition": "service_completed_successfully", "required": False}
    for store in STORES:
        assert waited_for[store] == {"condition": "service_healthy", "required": False}
    assert not any("profiles" in SERVICES[each] for each in ("access", *STORES))


def test_a_plain_up_is_the_paper_installation():
    assert (ROOT / ".env").read_text(encoding="utf-8").splitlines()[-1] == "COMPOSE_PROFILES=paper"
    assert {name for name, service in SERVICES.items() if service.get("profiles") == ["paper"]} == {
        *("paper_exchange", "exchange_keys"),
    }
    assert SERVICES["arming"]["profiles"] == ["live"]
    assert SERVICES["arming"]["command"][:2] == ["secrets", "arm"]
