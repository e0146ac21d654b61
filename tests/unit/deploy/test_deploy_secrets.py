"""`trader secrets`: every secret file is made once, closed to others, and never overwritten."""

import hashlib
import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.deployment.secrets import (
    LIVE_KEYS,
    OPERATOR_KEY,
    ROTATED_OTHERWISE,
    enrol_operator,
    make_secrets,
    rotate_secrets,
)
from cli.errors import CommandError
from libs.common.audit.anchors import load_or_create_key, load_public_key
from libs.common.control import operators
from libs.common.control.operators import Operators
from libs.common.errors import ConfigurationError
from libs.common.permissions import PERMISSIONS, secret_names

RUNNER = CliRunner()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "secrets"


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_the_directory_is_closed_and_its_files_can_be_read_by_whom_they_are_handed(directory: Path):
    make_secrets(directory)

    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    to_fill_in = {"notification-channels", "dead-man-url", "watchdog-webhooks"}
    for path in directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == (0o644 if path.name in to_fill_in else 0o444), path.name


def test_every_secret_is_another_one(directory: Path):
    make_secrets(directory)

    passwords = [(directory / name).read_text() for name in secret_names()]
    assert len(set(passwords)) == len(passwords) > 20
    assert all(len(password) == 32 for password in passwords)


def test_what_is_there_is_kept(directory: Path):
    first = make_secrets(directory)
    before = contents(directory)
    (directory / "redis-trader").unlink()

    second = make_secrets(directory)

    after = contents(directory)
    assert first.kept == ()
    assert second.written == ("redis-trader", "redis-users.acl")
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"redis-trader", "redis-users.acl"}
    assert make_secrets(directory).written == ()


def test_redis_is_given_hashes_alone(directory: Path):
    make_secrets(directory)
    access = (directory / "redis-users.acl").read_text()

    for name, permissions in PERMISSIONS.items():
        if permissions.redis:
            password = (directory / f"redis-{name}").read_text()
            assert password not in access
            assert f"user {name} on #{hashlib.sha256(password.encode()).hexdigest()} resetkeys" in access


def test_the_keys_can_be_used(directory: Path):
    make_secrets(directory)

    key = load_or_create_key(directory / "audit-anchor-key")
    load_public_key(directory / "audit-anchor-key.pub").verify(key.sign(b"a"), b"a")


def test_a_public_key_that_was_lost_is_derived_again(directory: Path):
    make_secrets(directory)
    before = contents(directory)
    (directory / "audit-anchor-key.pub").unlink()

    assert make_secrets(directory).written == ("audit-anchor-key.pub",)
    assert contents(directory) == before


def test_the_operator_is_enrolled_where_nobody_commands_yet(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    make_secrets(directory)
    with pytest.raises(ConfigurationError, match="0600"):
        enrol_operator(directory, tmp_path / "operators.json")

    monkeypatch.setattr(operators, "_MOUNTED", directory)  # as in a container
    assert enrol_operator(directory, tmp_path / "operators.json")

    enrolled = Operators.load(tmp_path / "operators.json")
    assert [operator.issuer for operator in enrolled.accepted.values()] == ["operator"]
    (directory / OPERATOR_KEY).unlink()
    assert not enrol_operator(directory, tmp_path / "operators.json")
    assert Operators.load(tmp_path / "operators.json") == enrolled


def test_a_password_is_made_anew_with_what_is_derived_from_it_and_nothing_else(directory: Path):
    make_secrets(directory)
    before = contents(directory)

    told = RUNNER.invoke(
        app, ["secrets", "rotate", "redis-trader", "kafka-admin", "--directory", str(directory), "--json"]
    )

    after = contents(directory)
    assert json.loads(told.stdout)["written"] == ["redis-trader", "kafka-admin", "redis-users.acl"]
    assert {name for name in before if before[name] != after[name]} == {
        "redis-trader",
        "kafka-admin",
        "redis-users.acl",
    }
    assert hashlib.sha256(after["redis-trader"]).hexdigest() in after["redis-users.acl"].decode()
    assert stat.S_IMODE((directory / "kafka-admin").stat().st_mode) == 0o444


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("operator.pem", "trader keys new"),
        ("audit-anchor-key", "vouches for all anchors"),
        ("watchdog-webhooks", "Write the new addresses"),
        ("exchange-trade.json", "at the exchange"),
        ("nothing", "no password that is made here"),
    ],
)
def test_what_is_no_password_says_how_it_is_replaced(directory: Path, name: str, hint: str):
    make_secrets(directory)
    before = contents(directory)

    with pytest.raises(CommandError) as refused:
        rotate_secrets(directory, ["redis-trader", name])

    assert hint in refused.value.hint
    assert contents(directory) == before


def test_a_directory_without_the_secret_is_not_one_to_rotate_in(directory: Path):
    with pytest.raises(CommandError, match="expected a secret file, found none"):
        rotate_secrets(directory, ["redis-trader"])

    assert not directory.exists()


def test_every_secret_that_is_mounted_can_be_replaced(directory: Path):
    make_secrets(directory)
    derived = {"redis-users.acl", "redis-exporter.json", "audit-anchor-key.pub"}

    passwords = {path.name for path in directory.iterdir()} - ROTATED_OTHERWISE.keys() - derived

    assert set(rotate_secrets(directory, sorted(passwords))) == passwords | derived - {"audit-anchor-key.pub"}


def test_the_command_tells_what_it_wrote_and_what_live_trading_lacks(directory: Path):
    first = RUNNER.invoke(app, ["secrets", "init", "--directory", str(directory)])
    (directory / LIVE_KEYS[0]).write_text("{}")
    second = RUNNER.invoke(app, ["secrets", "init", "--directory", str(directory), "--json"])

    assert f"wrote {directory / 'kafka-admin'}" in first.stderr
    assert ", ".join(LIVE_KEYS) in first.stderr
    told = json.loads(second.stdout)
    assert told["written"] == []
    assert "kafka-admin" in told["kept"]
    assert told["missing_for_live"] == list(LIVE_KEYS[1:])


def test_the_command_says_nothing_of_live_trading_once_its_keys_are_there(directory: Path):
    make_secrets(directory)
    for name in LIVE_KEYS:
        (directory / name).write_text("{}")

    told = RUNNER.invoke(app, ["secrets", "init", "--directory", str(directory)])

    assert "for real" not in told.stderr


def test_the_enrolling_command_says_whether_anything_changed(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    make_secrets(directory)
    monkeypatch.setattr(operators, "_MOUNTED", directory)
    monkeypatch.setenv("TRADER_SECRETS_DIR", str(directory))
    monkeypatch.setenv("TRADER_OPERATORS_FILE", str(tmp_path / "operators.json"))

    told = [RUNNER.invoke(app, ["secrets", "enrol"]).stderr for _ in range(2)]

    assert told == ["The operator may command.\n", "Who may command stays as it is.\n"]


def test_each_service_is_given_its_own_key_of_the_paper_exchange(tmp_path: Path):
    keys = {name: {"api_key": name, "api_secret": "s"} for name in ("main", "main-reader", "main-watchdog", "visitor")}
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    for right in ("trade", "read", "watchdog"):
        (tmp_path / f"exchange-{right}").mkdir()

    RUNNER.invoke(app, ["secrets", "exchange-keys", f"--keys-file={tmp_path / 'keys.json'}", f"--into={tmp_path}"])

    given = {
        right: json.loads((tmp_path / f"exchange-{right}" / "keys.json").read_text())["main"]["api_key"]
        for right in ("trade", "read", "watchdog")
    }
    assert given == {"trade": "main", "read": "main-reader", "watchdog": "main-watchdog"}
