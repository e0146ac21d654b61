"""`trader keys`: who may command is what the operators file says, at once."""

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli.commands.keys import list_keys, new, revoke
from cli.errors import CommandError, ExitStatus
from cli.keyring import KEY_FILE_VARIABLE, signing_key
from cli.place import Place
from libs.common.control.commands import CommandHistory, CommandRefusal, issue_command, verify
from libs.common.control.operators import OperatorKey, Operators
from libs.common.control.operators_file import OperatorsFile
from libs.embedded.directory import DataDirectory

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    """Return a data directory as the first start leaves it."""
    directory = DataDirectory(tmp_path)
    directory.create()
    key = OperatorKey.generate()
    key.save(directory.secrets / "operator.pem")
    Operators({}).with_key(key, issuer="operator").save(tmp_path / "operators.json")
    return directory


def a_place(directory: DataDirectory) -> Place:
    return Place(directory, {"operator_key_file": str(directory.secrets / "operator.pem")})


def listed(directory: DataDirectory, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capsys.readouterr()
    list_keys(data_dir=directory.root, as_json=True)
    return list(json.loads(capsys.readouterr().out)["keys"])


def test_a_new_key_commands_at_once_and_a_revoked_one_no_more(directory: DataDirectory) -> None:
    services = OperatorsFile(directory.root / "operators.json")

    new("alice", role="operator", account=["main"], data_dir=directory.root)
    alice = OperatorKey.load(directory.secrets / "operator-alice.pem")
    command = issue_command(
        "HALT", account="main", reason="drill", issuer="alice", key=alice, command_id=uuid.uuid4(), now=NOW
    )

    def refusal() -> CommandRefusal | None:
        return verify(command, operators=services.current(), accounts=("main",), now=NOW, history=CommandHistory())

    assert refusal() is None
    revoke("alice", "left", data_dir=directory.root)
    assert refusal() is CommandRefusal.UNKNOWN_KEY


def test_keys_are_listed_with_what_they_may_and_since_when(
    directory: DataDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    new("dog", role="watchdog", account=None, out=directory.root / "dog.pem", data_dir=directory.root)
    revoke("dog", "rotated", data_dir=directory.root)

    first, dog = listed(directory, capsys)

    assert (first["name"], first["role"], first["accounts"], first["revoked_at"]) == ("operator", "operator", [], None)
    assert (dog["name"], dog["role"], dog["reason"]) == ("dog", "watchdog", "rotated")
    assert dog["created_at"] <= dog["revoked_at"]


def test_the_last_key_that_may_command_every_account_is_not_revoked_without_a_successor(
    directory: DataDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    new("dog", role="watchdog", account=None, data_dir=directory.root)
    new("trainee", role="operator", account=["main"], data_dir=directory.root)

    with pytest.raises(CommandError, match="another key that may command every account") as refused:
        revoke("operator", "rotated", data_dir=directory.root)
    assert "trader keys new" in refused.value.hint
    new("successor", role="operator", account=None, data_dir=directory.root)
    revoke("operator", "rotated", data_dir=directory.root)

    assert [row["name"] for row in listed(directory, capsys) if row["revoked_at"]] == ["operator"]


def test_commands_are_signed_with_another_key_of_the_directory_once_the_first_is_revoked(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_FILE_VARIABLE, raising=False)
    place = a_place(directory)
    assert signing_key(place)[1] == "operator"
    new("alice", role="operator", account=None, data_dir=directory.root)
    assert signing_key(place)[1] == "operator"

    revoke("operator", "rotated", data_dir=directory.root)

    assert signing_key(place)[1] == "alice"


def test_a_variable_names_the_key_to_sign_with(directory: DataDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = directory.root / "alice.pem"
    new("alice", role="operator", account=None, out=elsewhere, data_dir=directory.root)
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(elsewhere))

    key, issuer = signing_key(a_place(directory))

    assert (key.key_id, issuer) == (OperatorKey.load(elsewhere).key_id, "alice")


def test_a_broken_operators_file_does_not_prevent_a_halt(directory: DataDirectory) -> None:
    (directory.root / "operators.json").write_text("{")

    assert signing_key(a_place(directory))[1] == "operator"


@pytest.mark.parametrize(
    ("name", "role", "message"),
    [("Alice", "operator", "NAME"), ("alice", "admin", "--role"), ("operator", "operator", "no other key has")],
)
def test_a_key_that_cannot_be_meant_is_refused(directory: DataDirectory, name: str, role: str, message: str) -> None:
    with pytest.raises(CommandError, match=message) as refused:
        new(name, role=role, account=None, data_dir=directory.root)

    assert refused.value.status is ExitStatus.USAGE


def test_an_existing_key_file_is_never_overwritten(directory: DataDirectory) -> None:
    with pytest.raises(CommandError, match="expected a new file"):
        new("alice", out=directory.secrets / "operator.pem", data_dir=directory.root)


@pytest.mark.parametrize(("key", "reason", "message"), [("nobody", "x", "name or id"), ("operator", " ", "--reason")])
def test_a_revocation_that_cannot_be_meant_is_refused(
    directory: DataDirectory, key: str, reason: str, message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        revoke(key, reason, data_dir=directory.root)


def test_a_key_is_revoked_once(directory: DataDirectory) -> None:
    new("alice", role="operator", account=None, data_dir=directory.root)
    alice = OperatorKey.load(directory.secrets / "operator-alice.pem")
    revoke(alice.key_id, "left", data_dir=directory.root)

    with pytest.raises(CommandError, match="found one revoked"):
        revoke(alice.key_id, "left", data_dir=directory.root)


def test_where_nothing_was_started_there_are_no_keys(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"operators\.json") as refused:
        list_keys(data_dir=tmp_path)

    assert refused.value.status is ExitStatus.NOT_RUNNING
