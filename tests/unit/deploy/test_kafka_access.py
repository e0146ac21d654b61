"""`trader access apply`: Kafka's users and access lists become what the table says, and nothing more."""

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from confluent_kafka import KafkaError, KafkaException
from typer.testing import CliRunner

from cli.__main__ import app
from cli.deployment import kafka_access
from cli.deployment.kafka_access import apply_access, entries
from cli.errors import CommandError, ExitStatus
from libs.common.errors import RetryableError
from libs.common.permissions import KAFKA_ADMIN, PERMISSIONS, secret_names

Kind = Enum("Kind", "ANY TOPIC GROUP CLUSTER LITERAL PREFIXED READ WRITE ALLOW DENY SCRAM_SHA_512")
RUNNER = CliRunner()


class Binding(NamedTuple):
    restype: Any
    name: str | None
    resource_pattern_type: Any
    principal: str | None
    host: str | None
    operation: Any
    permission_type: Any


class Answer(NamedTuple):
    content: Any

    def result(self, _: float) -> Any:
        if isinstance(self.content, Exception):
            raise self.content
        return self.content


class Cluster:
    """A cluster that keeps users and access lists, and asks no password."""

    def __init__(self) -> None:
        self.users: dict[str, bytes] = {}
        self.bindings: set[Binding] = set()
        self.refuses = False
        self.logins: list[dict[str, Any]] = []

    def connect(self, settings: dict[str, Any]) -> "Cluster":
        self.logins.append(settings)
        return self

    def alter_user_scram_credentials(self, users: Sequence[Any], **_: Any) -> dict[str, Answer]:
        self.users.update({user: password for user, _, password in users})
        refused = KafkaException(KafkaError(KafkaError._TRANSPORT))
        return {user: Answer(refused if self.refuses else None) for user, _, _ in users}

    def describe_acls(self, _: Binding) -> Answer:
        return Answer(list(self.bindings))

    def create_acls(self, bindings: Sequence[Binding], **_: Any) -> dict[Binding, Answer]:
        self.bindings |= set(bindings)
        return {binding: Answer(None) for binding in bindings}

    def delete_acls(self, bindings: Sequence[Binding], **_: Any) -> dict[Binding, Answer]:
        self.bindings -= set(bindings)
        return {binding: Answer([binding]) for binding in bindings}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster = Cluster()
    api = SimpleNamespace(
        AdminClient=cluster.connect,
        AclBinding=Binding,
        AclBindingFilter=Binding,
        ScramCredentialInfo=lambda mechanism, iterations: (mechanism, iterations),
        UserScramCredentialUpsertion=lambda user, info, password: (user, info, password),
        **dict.fromkeys(
            ("AclOperation", "AclPermissionType", "ResourcePatternType", "ResourceType", "ScramMechanism"), Kind
        ),
    )
    monkeypatch.setattr(kafka_access, "_api", lambda: api)
    return cluster


def applied() -> tuple[int, int, int]:
    return apply_access(bootstrap_servers="kafka:9093", password=lambda user: f"password of {user}")


def test_everybody_becomes_a_user_with_the_entries_of_the_table(cluster: Cluster):
    users, added, removed = applied()

    assert (users, added, removed) == (len(PERMISSIONS) + 1, len(entries()), 0)
    assert cluster.users["watchdog"] == b"password of watchdog"
    assert (cluster.logins[0]["sasl.username"], cluster.logins[0]["sasl.password"]) == ("admin", "password of admin")
    mine = {binding.name: binding for binding in cluster.bindings if binding.principal == "User:watchdog"}
    assert mine.keys() == {"alerts", "heartbeats", "logs", "dead-letters"}
    assert mine["alerts"] == (Kind.TOPIC, "alerts", Kind.LITERAL, "User:watchdog", "*", Kind.WRITE, Kind.ALLOW)


def test_a_second_time_changes_nothing(cluster: Cluster):
    applied()
    before = set(cluster.bindings)

    assert applied()[1:] == (0, 0)
    assert cluster.bindings == before


@pytest.mark.parametrize(
    "foreign",
    [
        Binding(Kind.TOPIC, "control", Kind.LITERAL, "User:watchdog", "*", Kind.WRITE, Kind.ALLOW),
        Binding(Kind.TOPIC, "", Kind.PREFIXED, "User:trader", "*", Kind.READ, Kind.ALLOW),
        Binding(Kind.TOPIC, "alerts", Kind.LITERAL, "User:watchdog", "10.0.0.1", Kind.WRITE, Kind.ALLOW),
        Binding(Kind.TOPIC, "alerts", Kind.LITERAL, "Group:all", "*", Kind.WRITE, Kind.ALLOW),
        Binding(Kind.TOPIC, "alerts", Kind.LITERAL, "User:watchdog", "*", Kind.WRITE, Kind.DENY),
    ],
)
def test_what_the_table_does_not_allow_is_taken_away(cluster: Cluster, foreign: Binding):
    applied()
    cluster.bindings.add(foreign)

    assert applied()[1:] == (0, 1)
    assert foreign not in cluster.bindings
    assert len(cluster.bindings) == len(entries())


def test_a_cluster_that_refuses_is_an_error(cluster: Cluster):
    cluster.refuses = True

    with pytest.raises(RetryableError, match="kafka:9093: expected users and access lists"):
        applied()


def test_the_command_tells_what_changed_or_that_it_could_not(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in secret_names():
        (tmp_path / name).write_text("password")
    monkeypatch.setenv("TRADER_SECRETS_DIR", str(tmp_path))

    done = RUNNER.invoke(app, ["access", "apply"])
    cluster.refuses = True
    failed = RUNNER.invoke(app, ["access", "apply"]).exception

    assert done.stderr == f"{len(PERMISSIONS) + 1} users; {len(entries())} entries added, 0 removed.\n"
    assert isinstance(failed, CommandError)
    assert failed.status is ExitStatus.NOT_RUNNING
    assert KAFKA_ADMIN in cluster.users


def test_the_client_is_the_one_that_the_image_has():
    api = kafka_access._api()

    binding = kafka_access._binding(min(entries()))
    assert kafka_access._entry(binding) == min(entries())
    assert kafka_access._filter(binding).principal == "User:audit_recorder"
    assert api.AdminClient
