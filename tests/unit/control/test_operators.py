import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from libs.common.control.operators import Operator, OperatorKey, OperatorRole, Operators
from libs.common.errors import ConfigurationError

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def test_a_saved_key_is_readable_by_its_owner_only_and_signs_as_before(tmp_path: Path) -> None:
    key = OperatorKey.generate()
    path = tmp_path / "operator.pem"

    key.save(path)
    loaded = OperatorKey.load(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert loaded.key_id == key.key_id
    assert loaded.sign(b"message") == key.sign(b"message")  # Ed25519 signatures are deterministic


def test_an_existing_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "operator.pem"
    OperatorKey.generate().save(path)

    with pytest.raises(FileExistsError):
        OperatorKey.generate().save(path)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "operator.pem"
    OperatorKey.generate().save(path)
    path.chmod(0o644)

    with pytest.raises(ConfigurationError, match="chmod 600"):
        OperatorKey.load(path)


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n"])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "operator.pem"
    path.touch(mode=0o600)
    path.write_bytes(content)

    with pytest.raises(ConfigurationError, match="Ed25519"):
        OperatorKey.load(path)


def test_a_missing_key_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"operator\.pem"):
        OperatorKey.load(tmp_path / "operator.pem")


def test_operators_survive_their_file(tmp_path: Path) -> None:
    key = OperatorKey.generate()
    path = tmp_path / "operators.json"

    Operators({}).with_key(key, issuer="alice", accounts=("main",)).save(path)
    operator = Operators.load(path).find(key.key_id)

    assert operator is not None
    assert operator.issuer == "alice"
    assert operator.accounts == ("main",)
    assert operator.signed(b"message", key.sign(b"message"))


def test_a_missing_operators_file_accepts_nobody(tmp_path: Path) -> None:
    assert Operators.load(tmp_path / "operators.json").by_key_id == {}


def test_a_revoked_key_is_unknown() -> None:
    key = OperatorKey.generate()
    operators = Operators({}).with_key(key, issuer="alice")

    revoked = operators.without(key.key_id, at=NOW)
    assert revoked.find(key.key_id) is None


def test_a_revocation_that_no_service_could_read_is_not_made() -> None:
    key = OperatorKey.generate()

    with pytest.raises(ValidationError, match="2000"):
        Operators({}).with_key(key, issuer="alice").without(key.key_id, at=NOW, reason="x" * 2_001)


def test_what_no_service_could_read_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "operators.json"
    Operators({}).with_key(OperatorKey.generate(), issuer="alice").save(path)
    before = path.read_bytes()
    unreadable = Operator.model_construct(public_key="AAAA", issuer="")

    with pytest.raises(ConfigurationError, match="operators by key id"):
        Operators({"a": unreadable}).save(path)

    assert path.read_bytes() == before


def test_the_operators_are_on_the_disk_before_they_are_in_force_and_only_their_owner_changes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "operators.json"
    synced: list[tuple[str, bool]] = []

    def fsync(descriptor: int) -> None:
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    umask = os.umask(0)
    try:
        Operators({}).with_key(OperatorKey.generate(), issuer="alice").save(path)
    finally:
        os.umask(umask)

    assert synced == [(".operators.json.draft", False), (tmp_path.name, True)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("content", ["[]", '{"a": 1}', "not json"])
def test_a_malformed_operators_file_is_a_configuration_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "operators.json"
    path.write_text(content)

    with pytest.raises(ConfigurationError, match="operators"):
        Operators.load(path)


def test_a_key_id_that_is_not_the_keys_fingerprint_is_refused(tmp_path: Path) -> None:
    key = OperatorKey.generate()
    path = tmp_path / "operators.json"
    Operators({}).with_key(key, issuer="alice").save(path)
    path.write_text(path.read_text().replace(key.key_id, "0" * 16))

    with pytest.raises(ConfigurationError, match=key.key_id):
        Operators.load(path)


def test_the_watchdogs_key_may_only_halt() -> None:
    key = OperatorKey.generate()
    operator = Operators({}).with_key(key, issuer="watchdog", role=OperatorRole.WATCHDOG).find(key.key_id)

    assert operator is not None
    assert operator.may("HALT", "main")
    assert not operator.may("RESUME", "main")


@pytest.mark.parametrize("signature", ["", "not base64!", "AAAA"])
def test_a_malformed_signature_is_no_signature(signature: str) -> None:
    key = OperatorKey.generate()
    operator = Operators({}).with_key(key, issuer="alice").find(key.key_id)

    assert operator is not None
    assert not operator.signed(b"message", signature)
