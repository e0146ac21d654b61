"""Where the others are comes from the environment; secrets come from files."""

import ssl
from pathlib import Path
from typing import Literal

import pytest

from libs.common.errors import ConfigurationError
from libs.common.messaging.kafka import Kafka
from libs.common.settings import ServiceSettings, load_settings


def test_a_variable_overrides_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADER_HEALTH_PORT", "8080")
    monkeypatch.setenv("TRADER_CONFIG_FILES", '["a.json", "b.json"]')

    settings = load_settings(ServiceSettings)

    assert (settings.health_port, settings.config_files) == (8080, (Path("a.json"), Path("b.json")))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRADER_HEALTH_PORT", "-1"),
        ("TRADER_TOPIC_PREFIX", "with space"),
        ("TRADER_POSTGRES_ROLE", "Robert'); DROP TABLE"),
        ("TRADER_INSTALLATION", "UPPER6"),
        ("TRADER_KAFKA_SECURITY_PROTOCOL", "SSL"),
        ("TRADER_KAFKA_SASL_MECHANISM", "GSSAPI"),
        ("TRADER_KAFKA_USER", "../admin"),
        ("TRADER_KAFKA_REPLICATION", "0"),
        ("TRADER_CA_FILE", "/nowhere/authorities.pem"),
        ("TRADER_REDIS_USER", "two words"),
        ("TRADER_START_ACTIVE", "perhaps"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=f"environment variable {name}"):
        load_settings(ServiceSettings)


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_no_password_is_told_in_the_open(monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    monkeypatch.setenv("TRADER_KAFKA_SECURITY_PROTOCOL", protocol)
    monkeypatch.setenv("TRADER_KAFKA_SASL_MECHANISM", "PLAIN")

    if protocol == "SASL_SSL":
        assert load_settings(ServiceSettings).kafka_sasl_mechanism == "PLAIN"
        return
    with pytest.raises(ConfigurationError, match=r"environment variable TRADER_KAFKA_SASL_MECHANISM.*set SASL_SSL"):
        load_settings(ServiceSettings)


def test_passwords_are_put_into_addresses_as_they_must_be_written_there(tmp_path: Path) -> None:
    (tmp_path / "postgres-risk_manager").write_text("p@ss/w:rd\n")
    (tmp_path / "redis").write_text(" s ecret \n")
    settings = ServiceSettings(secrets_dir=tmp_path)

    assert settings.postgres_dsn("risk_manager") == "postgresql://risk_manager:p%40ss%2Fw%3Ard@127.0.0.1:5432/trader"
    assert settings.redis_url() == "redis://:s%20ecret@127.0.0.1:6379/0"


def test_a_user_of_redis_has_a_secret_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "redis-trade_executor").write_text("p@ss")
    settings = ServiceSettings(secrets_dir=tmp_path, redis_user="trade_executor")

    assert settings.redis_url() == "redis://trade_executor:p%40ss@127.0.0.1:6379/0"


def test_a_cluster_that_asks_nobody_needs_no_secret(tmp_path: Path) -> None:
    assert ServiceSettings(secrets_dir=tmp_path).kafka_login("watchdog") is None
    assert Kafka("kafka:9092", client_id="watchdog").connection == {
        "bootstrap_servers": "kafka:9092",
        "client_id": "watchdog",
    }


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize(("user", "known_as"), [("", "watchdog"), ("admin", "admin")])
def test_a_cluster_that_asks_is_told_by_the_services_own_secret(
    tmp_path: Path, protocol: Literal["SASL_PLAINTEXT", "SASL_SSL"], user: str, known_as: str
) -> None:
    (tmp_path / f"kafka-{known_as}").write_text("pass\n")
    settings = ServiceSettings(secrets_dir=tmp_path, kafka_security_protocol=protocol, kafka_user=user)

    login = settings.kafka_login("watchdog")
    connection = Kafka("kafka:9092", client_id="watchdog", login=login).connection

    assert login is not None
    assert "pass" not in repr(login)
    assert (connection["sasl_plain_username"], connection["sasl_plain_password"]) == (known_as, "pass")
    assert (connection["security_protocol"], connection["sasl_mechanism"]) == (protocol, "SCRAM-SHA-512")
    assert isinstance(connection["ssl_context"], ssl.SSLContext) is (protocol == "SASL_SSL")


def test_a_cluster_that_asks_is_not_approached_without_a_secret(tmp_path: Path) -> None:
    settings = ServiceSettings(secrets_dir=tmp_path, kafka_security_protocol="SASL_PLAINTEXT")

    with pytest.raises(ConfigurationError, match="kafka-watchdog"):
        settings.kafka_login("watchdog")


def test_a_role_can_be_set_apart_from_the_name(tmp_path: Path) -> None:
    (tmp_path / "postgres-reader").write_text("secret")

    assert (
        ServiceSettings(secrets_dir=tmp_path, postgres_role="reader")
        .postgres_dsn("watchdog")
        .startswith("postgresql://reader:secret@")
    )


@pytest.mark.parametrize(("content", "found"), [(None, "No such file"), (b" \n", "an empty file"), (b"\xff", "other")])
def test_a_secret_that_cannot_be_used_is_named_and_not_shown(tmp_path: Path, content: bytes | None, found: str) -> None:
    if content is not None:
        (tmp_path / "redis").write_bytes(content)

    with pytest.raises(ConfigurationError, match=found) as refused:
        ServiceSettings(secrets_dir=tmp_path).redis_url()

    assert str(tmp_path / "redis") in str(refused.value)
    assert refused.value.__cause__ is None or content is None
