"""Every process, every topic, every family of keys, every table: what is allowed works, everything else is refused.

The stores and the jobs alone are started: what is tried is really done.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libs.common.contracts.topics import TopicName
from libs.common.permissions import PERMISSIONS, REDIS_FAMILIES
from libs.common.storage.migrations import ROLES
from tests.compose.conftest import COMMAND_S_MAX, ROOT, ComposeProject

ATTEMPTS = Path(__file__).with_name("attempts.py")
REFUSED_TOPIC = "TOPIC_AUTHORIZATION_FAILED"
REFUSED_GROUP = "GROUP_AUTHORIZATION_FAILED"
REDIS_USERS = [name for name, permissions in PERMISSIONS.items() if permissions.redis]
COMMANDS = sorted(
    {command for permissions in PERMISSIONS.values() for own in permissions.redis.values() for command in own}
    | {"expire", "rename", "hget", "dump", "type", "unlink", "hlen", "strlen", "incr"}
)
WRITTEN = {"SELECT": True, "INSERT": True, "UPDATE": True, "DELETE": True, "TRUNCATE": False}
READ = {"SELECT": True, "INSERT": False, "UPDATE": False, "DELETE": False}
READ_BY_OTHERS = {"reading.differences": {"risk_manager"}}


@pytest.fixture(scope="module")
def found(deployment: ComposeProject) -> Iterator[dict[str, Any]]:
    deployment.up("kafka", "redis", "postgres")
    for job in ("access", "topics", "database"):
        deployment.compose("run", "--rm", "--no-deps", "--no-TTY", job)
    name = f"{deployment.name}-attempts"
    deployment.docker(
        *("create", "--name", name, "--user", "0:0", "--entrypoint", "sleep", "--network", f"{deployment.name}_kafka"),
        *("--volume", f"{deployment.secrets}:/all-secrets:ro", "--volume", f"{ATTEMPTS}:/attempts.py:ro"),
        *("crypto-trader-pro/trading:local", "infinity"),
    )
    try:
        for network in ("redis", "postgres"):
            deployment.docker("network", "connect", f"{deployment.name}_{network}", name)
        deployment.docker("start", name)
        asked = {
            "users": list(PERMISSIONS),
            "topics": [topic.value for topic in TopicName],
            "groups": list(PERMISSIONS),
            "redis users": REDIS_USERS,
            "no redis users": sorted(PERMISSIONS.keys() - set(REDIS_USERS)),
            "keys": {family: pattern.replace("*", "main") for family, pattern in REDIS_FAMILIES.items()},
            "commands": COMMANDS,
            "roles": list(ROLES),
        }
        done = subprocess.run(
            ("docker", "exec", "--interactive", name, "python", "/attempts.py"),
            cwd=ROOT,
            input=json.dumps(asked),
            text=True,
            capture_output=True,
            timeout=COMMAND_S_MAX * 4,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout)
    finally:
        deployment.docker("rm", "--force", name, check=False)


@pytest.mark.parametrize("user", PERMISSIONS)
def test_a_process_writes_to_its_topics_alone(found: dict[str, Any], user: str):
    assert found["kafka"][user]["writes"] == {
        topic.value: "" if topic in PERMISSIONS[user].writes else REFUSED_TOPIC for topic in TopicName
    }


@pytest.mark.parametrize("user", PERMISSIONS)
def test_a_process_reads_its_topics_alone(found: dict[str, Any], user: str):
    assert found["kafka"][user]["reads"] == {
        topic.value: "" if topic in PERMISSIONS[user].reads else REFUSED_TOPIC for topic in TopicName
    }


@pytest.mark.parametrize("user", PERMISSIONS)
def test_a_process_is_in_its_group_alone(found: dict[str, Any], user: str):
    for group, outcome in found["kafka"][user]["groups"].items():
        allowed = group == user and PERMISSIONS[user].has_group
        assert outcome == ("" if allowed else REFUSED_GROUP), group


def test_nobody_is_let_in_without_the_right_password(found: dict[str, Any]):
    assert set(found["kafka strangers"]) == {"watchdog", "stranger"}
    for outcome in found["kafka strangers"].values():
        assert "_AUTHENTICATION" in outcome


@pytest.mark.parametrize("user", REDIS_USERS)
def test_a_process_gives_its_commands_about_its_families_alone(found: dict[str, Any], user: str):
    assert found["redis"][user] == {
        family: {command: command in PERMISSIONS[user].redis.get(family, ()) for command in COMMANDS}
        for family in REDIS_FAMILIES
    }


def test_commands_that_are_nobodys_are_refused(found: dict[str, Any]):
    assert {
        user: [name for name, allowed in beyond.items() if allowed] for user, beyond in found["redis beyond"].items()
    } == {user: [] for user in ("None", *REDIS_USERS)}


def test_a_process_without_redis_cannot_log_in(found: dict[str, Any]):
    assert set(found["redis without user"].values()) == {False}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_uses_its_tables_alone(found: dict[str, Any], role: str):
    for table, allowed in found["postgres"][role].items():
        schema = table.partition(".")[0]
        if table == "audit_recorder.audit_log":
            expected = dict.fromkeys(WRITTEN, False) | {"INSERT": role == "audit_recorder"}
        elif schema == "reading":
            can_read = role == "reader" or role in READ_BY_OTHERS.get(table, ())
            expected = {**READ, "SELECT": can_read}
        else:
            expected = WRITTEN if schema == role else dict.fromkeys(WRITTEN, False)
        assert allowed == expected, table


def test_every_schema_was_tried(found: dict[str, Any]):
    for tables in found["postgres"].values():
        assert {table.partition(".")[0] for table in tables} == {*ROLES, "reading", "public"} - {"reader"}
        assert len(tables) > 60


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_no_power_beyond_its_tables(found: dict[str, Any], role: str):
    assert not any(found["postgres powers"][role].values())
