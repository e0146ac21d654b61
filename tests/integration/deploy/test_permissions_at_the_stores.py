"""The stores of this machine, set up as a deployment sets up its own, refuse everything that is not listed."""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from cli.deployment.kafka_access import apply_access
from cli.deployment.secrets import make_secrets
from libs.common.messaging.administration import apply_topics
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.login import KafkaLogin
from libs.common.permissions import KAFKA_ADMIN
from libs.common.storage.migrations import ROLES
from libs.embedded.command import run_to_end
from libs.embedded.directory import DataDirectory
from libs.embedded.ports import PortBook
from libs.embedded.stores.kafka import KafkaStore, fresh_cluster_id
from libs.embedded.stores.kafka_fetch import fetch_runtime
from libs.embedded.stores.store import LOOPBACK, listens, store_environment
from libs.embedded.stores.valkey import ValkeyStore
from libs.embedded.supervisor import Supervisor
from tests.support import migrated
from tests.support.permission_matrix import ATTEMPTS, PermissionMatrix, everything

ROOT = Path(__file__).parents[3]
START_S_MAX = 300.0
ATTEMPTS_S_MAX = 900.0


class GuardedKafka(KafkaStore):
    """The broker with the deployment's own settings, but for its places."""

    def __init__(self, directory: DataDirectory, *, brokers_port: int, secrets: Path, **more: Any) -> None:
        super().__init__(directory, **more)
        self._brokers_port = brokers_port
        self._secrets = secrets

    async def _prepare(self) -> None:
        self._scratch.mkdir(mode=0o700, parents=True)
        settings = (ROOT / "deploy" / "kafka" / "server.properties").read_text(encoding="utf-8")
        for deployed, here in {
            "listeners=CLIENTS://:9092,BROKERS://:9093,CONTROLLER://127.0.0.1:9094": "",
            "advertised.listeners=CLIENTS://kafka:9092,BROKERS://kafka:9093": (
                f"listeners=CLIENTS://{self.address},BROKERS://{LOOPBACK}:{self._brokers_port},"
                f"CONTROLLER://{LOOPBACK}:{self._controller_port}"
            ),
            "127.0.0.1:9094": f"{LOOPBACK}:{self._controller_port}",
            "/run/secrets": str(self._secrets),
            "/var/lib/kafka/data": str(self._files / "log"),
        }.items():
            assert deployed in settings
            settings = settings.replace(deployed, here)
        self._configuration.write_text(settings, encoding="utf-8")
        (self._files / "java.options").write_text(self._runtime.options_text(), encoding="utf-8")
        await run_to_end(
            self._java(
                *("kafka.tools.StorageTool", "format", "--cluster-id", fresh_cluster_id()),
                *("--config", str(self._configuration)),
            ),
            environment=store_environment(self._directory),
            working_directory=self._directory.root,
            deadline_s=START_S_MAX,
        )

    async def _ready(self) -> bool:
        return await listens(self._port) and await listens(self._brokers_port)


class GuardedValkey(ValkeyStore):
    """The server with the deployment's own users."""

    def __init__(self, directory: DataDirectory, *, users: Path, port: int) -> None:
        super().__init__(directory, port=port, password="")
        self._users = users

    async def _prepare(self) -> None:
        self._files.mkdir(mode=0o700)
        lines = (f"bind {LOOPBACK}", f"port {self._port}", f'aclfile "{self._users}"', 'save ""', "set-proc-title no")
        self._configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def found(tmp_path_factory: pytest.TempPathFactory, postgres: Any) -> AsyncIterator[dict[str, Any]]:
    place = tmp_path_factory.mktemp("guarded")
    secrets = place / "secrets"
    make_secrets(secrets)
    directory = DataDirectory(place / "data")
    directory.create()
    ports = PortBook(directory.ports_file, choice=random.SystemRandom())
    kafka = GuardedKafka(
        directory,
        port=ports.port("kafka"),
        brokers_port=ports.port("brokers"),
        controller_port=ports.port("controller"),
        secrets=secrets,
        runtime=await fetch_runtime(),
    )
    valkey = GuardedValkey(directory, users=secrets / "redis-users.acl", port=ports.port("redis"))

    def password(user: str) -> str:
        return (secrets / f"kafka-{user}").read_text(encoding="utf-8")

    url = urlsplit(await postgres.fresh_database(await postgres.template("migrated", migrated._migrate)))
    for role, known in {**dict.fromkeys(ROLES, migrated.PASSWORD), "postgres": url.password or ""}.items():
        (secrets / f"postgres-{role}").unlink()
        (secrets / f"postgres-{role}").write_text(known, encoding="utf-8")
    async with Supervisor(directory, on_event=lambda _: None) as supervisor:
        await supervisor.start([replace(store.spec(), ready_deadline_s=START_S_MAX) for store in (kafka, valkey)])
        brokers = f"{LOOPBACK}:{ports.port('brokers')}"
        await asyncio.to_thread(apply_access, bootstrap_servers=brokers, password=password)
        login = KafkaLogin(KAFKA_ADMIN, password(KAFKA_ADMIN))
        await apply_topics(Kafka(kafka.address, client_id="test", login=login))
        done = await asyncio.to_thread(
            subprocess.run,
            (sys.executable, ATTEMPTS),
            env={
                "ATTEMPTS_SECRETS": str(secrets),
                "ATTEMPTS_KAFKA": kafka.address,
                "ATTEMPTS_REDIS": LOOPBACK,
                "ATTEMPTS_REDIS_PORT": str(ports.port("redis")),
                "ATTEMPTS_POSTGRES": str(url.hostname),
                "ATTEMPTS_POSTGRES_PORT": str(url.port),
                "ATTEMPTS_DATABASE": url.path[1:],
            },
            input=json.dumps(everything()),
            text=True,
            capture_output=True,
            timeout=ATTEMPTS_S_MAX,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout)
    await valkey.close()
    await postgres.drop(url.geturl())


class TestStores(PermissionMatrix):
    """Every cell, at the stores of this machine."""
