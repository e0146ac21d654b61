"""The table of permissions is what the code does, and what is derived from it is what the table says."""

import ast
import re
from pathlib import Path

import pytest

from cli.deployment.kafka_access import Entry, entries
from cli.deployment.redis_access import access_list
from libs.common.contracts.topics import EVENT_TYPES, TOPIC_OF, TopicName
from libs.common.permissions import PERMISSIONS, REDIS_FAMILIES, secret_names
from libs.common.storage import keys
from libs.common.storage.migrations import LOGINS, ROLES

ROOT = Path(__file__).parents[3]
TOLD_BY_ALL = {TopicName.HEARTBEATS, TopicName.LOGS, TopicName.DEAD_LETTERS}
TOLD_FOR_OTHERS = {"notifier": {TopicName.ALERTS}}
"""What Alertmanager posts to the notifier becomes an alert."""
SERVICES = sorted(PERMISSIONS.keys() - {"trader"})


def modules(service: str) -> list[ast.AST]:
    return [
        node
        for path in (ROOT / "services" / service).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    ]


def made(service: str) -> set[TopicName]:
    """Return the topics of the events that a service makes."""
    return {
        TOPIC_OF[EVENT_TYPES[node.func.id]].name
        for node in modules(service)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in EVENT_TYPES
    }


def named(service: str) -> set[TopicName]:
    """Return the topics that a service names: those that it reads, because what it writes follows from the events."""
    return {
        TopicName[node.attr]
        for node in modules(service)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "TopicName"
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_write_what_it_tells_and_nothing_else(service: str):
    assert PERMISSIONS[service].writes == made(service) | TOLD_BY_ALL | TOLD_FOR_OTHERS.get(service, set())


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_read_what_it_reads_and_nothing_else(service: str):
    if service == "audit_recorder":
        assert PERMISSIONS[service].reads == set(TopicName)
    else:
        assert PERMISSIONS[service].reads == named(service)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_what_its_wiring_asks_for(service: str):
    wiring = (ROOT / "services" / service / "__main__.py").read_text(encoding="utf-8")
    permissions = PERMISSIONS[service]

    assert bool(permissions.redis) == ("runtime.redis()" in wiring)
    assert permissions.postgres == (service if "runtime.database(" in wiring else "")
    assert permissions.has_group == ("runtime.group(" in wiring)


def test_every_family_of_keys_is_in_the_table():
    documented = set(re.findall(r"^\| `([a-z-]+):", keys.__doc__ or "", flags=re.MULTILINE))

    assert REDIS_FAMILIES.keys() == documented
    assert {family for permissions in PERMISSIONS.values() for family in permissions.redis} == documented


def test_every_role_of_the_database_is_somebodys():
    assert {permissions.postgres for permissions in PERMISSIONS.values()} - {""} == set(ROLES)
    assert {f"postgres-{role}" for role in LOGINS} <= set(secret_names())


def test_kafkas_access_lists_say_what_the_table_says():
    lists = entries("second.")

    for user, permissions in PERMISSIONS.items():
        own = {(entry.resource, entry.name, entry.operation) for entry in lists if entry.user == user}
        topics = {("TOPIC", f"second.{topic.value}", "READ") for topic in permissions.reads}
        topics |= {("TOPIC", f"second.{topic.value}", "WRITE") for topic in permissions.writes}
        assert own == topics | ({("GROUP", f"second.{user}", "READ")} if permissions.has_group else set())


def test_a_process_without_redis_has_no_user_there():
    text = access_list({name: f"password of {name}" for name in [*PERMISSIONS, "exporter"]})

    users = re.findall(r"^user (\w+) on", text, flags=re.MULTILINE)
    assert set(users) == {"default", "exporter"} | {name for name, own in PERMISSIONS.items() if own.redis}
    assert text.splitlines()[0] == "user default on nopass resetkeys resetchannels -@all +ping"
    assert all("-@all" in line and "allkeys" not in line and "+@" not in line for line in text.splitlines())


def test_a_user_of_redis_may_give_a_command_about_its_own_family_alone():
    (monitor,) = [
        line
        for line in access_list(dict.fromkeys([*PERMISSIONS, "exporter"], "p")).splitlines()
        if line.startswith("user market_monitor")
    ]

    assert monitor.endswith("+evalsha ~price:* (~price:* +set)")


def test_entries_have_an_order():
    assert min(entries()) == Entry("audit_recorder", "TOPIC", "account.equity", "READ")
