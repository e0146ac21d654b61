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
from libs.common.contracts.events.control import CommandName
from libs.common.control.commands import CommandHistory, CommandRefusal, issue_command, verify
from libs.common.control.operators import OperatorKey, Operators
from libs.common.control.operators_file import OperatorsFile
from libs.common.errors import ConfigurationError
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
    assert signing_key(place, "STOP", "main")[1] == "operator"
    new("alice", role="operator", account=None, data_dir=directory.root)
    assert signing_key(place, "STOP", "main")[1] == "operator"

    revoke("operator", "rotated", data_dir=directory.root)

    assert signing_key(place, "STOP", "main")[1] == "alice"


def test_a_variable_names_the_key_to_sign_with(directory: DataDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = directory.root / "alice.pem"
    new("alice", role="operator", account=None, out=elsewhere, data_dir=directory.root)
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(elsewhere))

    key, issuer = signing_key(a_place(directory), "HALT", "main")

    assert (key.key_id, issuer) == (OperatorKey.load(elsewhere).key_id, "alice")


def test_a_broken_operators_file_does_not_prevent_a_halt(directory: DataDirectory) -> None:
    (directory.root / "operators.json").write_text("{")

    assert signing_key(a_place(directory), "HALT", "main")[1] == "operator"


@pytest.mark.parametrize("command", ["HALT", "STOP"])
def test_after_a_lost_key_was_revoked_and_deleted_its_successor_signs(
    directory: DataDirectory, command: CommandName, capsys: pytest.CaptureFixture[str]
) -> None:
    new("alice", role="operator", account=None, data_dir=directory.root)
    new("zoe", role="operator", account=None, data_dir=directory.root)
    revoke("operator", "lost", data_dir=directory.root)
    (directory.secrets / "operator.pem").unlink()
    (directory.secrets / "operator-alice.pem").chmod(0o644)

    assert signing_key(a_place(directory), command, "main")[1] == "zoe"
    told = capsys.readouterr().err
    assert "operator.pem: expected" in told
    assert "chmod 600" in told


def test_a_key_that_may_command_goes_before_one_that_may_not(directory: DataDirectory) -> None:
    place = a_place(directory)
    new("alice", role="watchdog", account=None, data_dir=directory.root)
    new("bob", role="operator", account=["other"], data_dir=directory.root)
    new("carol", role="operator", account=["main"], data_dir=directory.root)
    new("zoe", role="operator", account=None, data_dir=directory.root)
    revoke("operator", "lost", data_dir=directory.root)

    assert signing_key(place, "START", "main")[1] == "zoe"
    (directory.secrets / "operator-zoe.pem").unlink()
    assert signing_key(place, "START", "main")[1] == "carol"
    assert signing_key(place, "HALT", "main")[1] == "alice"


def test_a_halt_needs_no_key_and_says_so_where_there_is_none(
    directory: DataDirectory, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(directory.root / "mislaid.pem"))
    (directory.secrets / "operator.pem").unlink()
    operators = Operators.load(directory.root / "operators.json")

    key, _ = signing_key(a_place(directory), "HALT", "main")

    assert operators.find(key.key_id) is None
    assert "goes out unsigned" in capsys.readouterr().err
    with pytest.raises(ConfigurationError, match=r"mislaid\.pem"):
        signing_key(a_place(directory), "STOP", "main")


def test_a_halt_is_signed_by_the_variables_key_as_long_as_it_may_halt(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = directory.root / "dog.pem"
    new("dog", role="watchdog", account=None, out=elsewhere, data_dir=directory.root)
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(elsewhere))
    assert signing_key(a_place(directory), "HALT", "main")[1] == "dog"

    revoke("dog", "lost", data_dir=directory.root)

    assert signing_key(a_place(directory), "HALT", "main")[1] == "operator"
    assert "dog.pem: expected an accepted key that may HALT main" in capsys.readouterr().err


def test_a_halt_is_signed_by_the_directory_where_the_variables_key_is_mislaid(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(directory.root / "mislaid.pem"))

    assert signing_key(a_place(directory), "HALT", "main")[1] == "operator"


@pytest.mark.parametrize(
    ("name", "role", "message"),
    [("Alice", "operator", "NAME"), ("alice", "admin", "--role"), ("operator", "operator", "no other key has")],
)
def test_a_key_that_cannot_be_meant_is_refused(directory: DataDirectory, name: str, role: str, message: str) -> None:
    with pytest.raises(CommandError, match=message) as refused:
        new(name, role=role, account=None, data_dir=directory.root)

    assert refused.value.status is ExitStatus.USAGE


@pytest.mark.parametrize(
    ("account", "configuration", "message"),
    [("Main", None, "an account such as main, found Main"), ("nosuch", "{}", r"of this stack \(main\), found nosuch")],
)
def test_a_key_for_an_account_that_cannot_be_meant_is_not_made(
    directory: DataDirectory, account: str, configuration: str | None, message: str
) -> None:
    if configuration is not None:
        (directory.run / "configuration.json").write_text(configuration)

    with pytest.raises(CommandError, match=message) as refused:
        new("alice", role="operator", account=["main", account], data_dir=directory.root)

    assert refused.value.status is ExitStatus.USAGE
    assert not (directory.secrets / "operator-alice.pem").exists()


def test_an_existing_key_file_is_never_overwritten(directory: DataDirectory) -> None:
    with pytest.raises(CommandError, match="expected a new file"):
        new("alice", out=directory.secrets / "operator.pem", data_dir=directory.root)


@pytest.mark.parametrize(
    ("key", "reason", "message"),
    [
        ("nobody", "x", "name or id"),
        ("operator", " ", "found an empty text. Nothing was revoked"),
        ("operator", "x" * 2_001, "up to 2000 characters, found 2001"),
    ],
)
def test_a_revocation_that_cannot_be_meant_is_refused(
    directory: DataDirectory, key: str, reason: str, message: str
) -> None:
    with pytest.raises(CommandError, match=message) as refused:
        revoke(key, reason, data_dir=directory.root)

    assert refused.value.status is ExitStatus.USAGE


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
