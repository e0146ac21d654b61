"""A deployment is found by TRADER_… variables, and looked at like any stack."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cli import examination
from cli.deployment.place import Deployment
from cli.finding import Finding
from cli.place import DEPLOYED, Place, find_place
from libs.common.errors import ConfigurationError

ROW = {"name": "risk_manager", "ready": True, "uptime_s": 3.5}


class Rows:
    async def fetch(self, _: str) -> list[dict[str, Any]]:
        return [ROW]


class FakeDatabase:
    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Rows]:
        yield Rows()


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("kafka-trader", "redis-trader", "postgres-reader"):
        (tmp_path / name).write_text(f"password of {name}")
    configuration = tmp_path / "configuration.json"
    configuration.write_text('{"symbols": ["ETH/USDT"]}')
    for name, value in {
        DEPLOYED: "kafka:9092",
        "TRADER_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "TRADER_POSTGRES_ADDRESS": "postgres:5432/trader",
        "TRADER_REDIS_ADDRESS": "redis:6379/0",
        "TRADER_REDIS_USER": "trader",
        "TRADER_SECRETS_DIR": str(tmp_path),
        "TRADER_HALT_DIR": str(tmp_path / "halt"),
        "TRADER_CONFIG_FILES": f'["{configuration}"]',
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path


async def test_a_deployment_is_where_the_variables_say(secrets: Path, tmp_path: Path):
    place = find_place(tmp_path / "nothing here")

    assert isinstance(place, Deployment)
    assert place.endpoints["postgres"] == "postgresql://reader:password%20of%20postgres-reader@postgres:5432/trader"
    assert place.endpoints["redis"] == "redis://trader:password%20of%20redis-trader@redis:6379/0"
    assert place.endpoints["operator_key_file"] == str(secrets / "operator.pem")
    assert (place.secrets, place.halt_dir) == (secrets, secrets / "halt")
    assert place.configuration().symbols == ("ETH/USDT",)
    kafka = place.kafka()
    assert kafka.login is not None
    assert (kafka.bootstrap_servers, kafka.login.user) == ("kafka:9092", "trader")


async def test_its_processes_are_those_that_told_of_themselves(secrets: Path):
    database: Any = FakeDatabase()

    assert await find_place(secrets).process_rows(database) == [ROW]


@pytest.mark.parametrize(
    ("postgres", "not_looked_at"),
    [("postgres:5432/trader", set()), ("postgres.provider.example:5432/trader", {"backups"})],
)
async def test_a_doctor_asks_a_deployment_for_no_java_and_a_provider_for_no_backups(
    secrets: Path, monkeypatch: pytest.MonkeyPatch, postgres: str, not_looked_at: set[str]
):
    ours = {
        **{name: f"_{name}" for name in ("processes", "database", "topics", "exchange", "channels")},
        **{name: f"look_at_{name}" for name in ("schema", "archives", "secrets", "backups")},
    }
    for look, function in ours.items():

        async def found(_: Place, subject: str = look) -> Finding:
            return Finding(subject=subject, found="well")

        monkeypatch.setattr(examination, function, found)

    monkeypatch.setenv("TRADER_POSTGRES_ADDRESS", postgres)

    looked_at = {finding.subject for finding in await examination.examine(secrets)}

    assert looked_at == {"disk", *ours} - not_looked_at


def test_a_missing_secret_is_named(secrets: Path):
    (secrets / "redis-trader").unlink()

    with pytest.raises(ConfigurationError, match="redis-trader"):
        find_place(secrets)
