"""Apache Kafka, one node that is broker and controller, from its own jars.

Invariant: ready means that a client could produce to every existing topic and join a group now.
"""

import asyncio
import secrets
import shutil
from base64 import urlsafe_b64encode
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from libs.embedded.command import run_to_end
from libs.embedded.directory import DataDirectory, write_atomically
from libs.embedded.process import ProcessSpec
from libs.embedded.stores.kafka_runtime import KafkaRuntime
from libs.embedded.stores.store import LOOPBACK, listens, store_environment

_FORMAT_DEADLINE_S = 60.0
_ANSWER_DEADLINE_S = 1.5
_PROBE_GROUP = "supervisor"

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "compression.type": "lz4",
    # One node: what Kafka keeps for itself has one copy, in few partitions.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "4",
    # Ready again soon after a kill: until its old session has expired, a broker is refused (9 s by default).
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # Without events the controller writes nothing: nobody waits for its idle records, which come twice a second.
    "metadata.max.idle.interval.ms": "10000",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # Retention removes whole segments: they are small, so that a topic's byte bound holds to 16 MiB a partition.
    "log.segment.bytes": str(16 * 1024 * 1024),
    "log.retention.check.interval.ms": "30000",
    "log.index.size.max.bytes": str(1024 * 1024),
    # Threads and memory of a small machine; the cleaner alone would take 128 MiB.
    "num.network.threads": "2",
    "num.io.threads": "2",
    "background.threads": "2",
    "group.coordinator.threads": "1",
    "log.cleaner.dedupe.buffer.size": str(4 * 1024 * 1024),
}


def fresh_cluster_id() -> str:
    """Return 16 random bytes in base64, as Kafka writes them, without a dash in front, which reads as an option."""
    first = secrets.randbelow(0b1111_1000)  # its upper six bits make the first character; 0b111110 is the dash
    return urlsafe_b64encode(bytes((first,)) + secrets.token_bytes(15)).decode().rstrip("=")


class KafkaStore:
    """The Kafka broker of one stack.

    Args:
        directory: Its data lies below.
        port: Where clients connect, on the loopback interface only.
        controller_port: Where it talks to itself.
        runtime: The Java runtime and the jars.
    """

    name = "kafka"

    def __init__(self, directory: DataDirectory, *, port: int, controller_port: int, runtime: KafkaRuntime) -> None:
        self._directory = directory
        self._files = directory.root / "kafka"
        self._port = port
        self._controller_port = controller_port
        self._runtime = runtime

    @property
    def address(self) -> str:
        """Return the bootstrap servers."""
        return f"{LOOPBACK}:{self._port}"

    def spec(self) -> ProcessSpec:
        """Return how to run it."""
        return ProcessSpec(
            name=self.name,
            command=self._java("kafka.Kafka", str(self._configuration)),
            log_file=self._directory.log_file(self.name),
            environment=store_environment(self._directory, MALLOC_ARENA_MAX="2"),
            working_directory=self._directory.root,
            prepare=self._prepare,
            ready=self._ready,
            stop_timeout_s=8.0,
        )

    async def close(self) -> None:
        """Do nothing: readiness is asked over a new connection each time."""

    @property
    def _configuration(self) -> Path:
        return self._files / "server.properties"

    @property
    def _scratch(self) -> Path:
        return self._files / "tmp"

    def _java(self, main_class: str, *arguments: str) -> tuple[str, ...]:
        options = (f"@{self._files / 'java.options'}", f"-Djava.io.tmpdir={self._scratch}")
        return (str(self._runtime.java.program), *options, main_class, *arguments)

    async def _prepare(self) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)  # a killed broker leaves its native libraries there
        self._scratch.mkdir(mode=0o700, parents=True)
        log = self._files / "log"
        settings = SETTINGS | {
            "log.dirs": str(log),
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{LOOPBACK}:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.quorum.voters": f"1@{LOOPBACK}:{self._controller_port}",
        }
        write_atomically(self._configuration, "".join(f"{key}={value}\n" for key, value in settings.items()))
        write_atomically(self._files / "java.options", self._runtime.options_text())
        if (log / "meta.properties").exists():
            return
        await run_to_end(
            self._java(
                "kafka.tools.StorageTool",
                *(
                    "format",
                    "--cluster-id",
                    fresh_cluster_id(),
                    "--config",
                    str(self._configuration),
                    "--ignore-formatted",
                ),
            ),
            environment=store_environment(self._directory),
            working_directory=self._directory.root,
            deadline_s=_FORMAT_DEADLINE_S,
        )

    async def _ready(self) -> bool:
        if not await listens(self._port):
            return False
        client = AIOKafkaAdminClient(bootstrap_servers=self.address, request_timeout_ms=int(_ANSWER_DEADLINE_S * 1_000))
        try:
            async with asyncio.timeout(_ANSWER_DEADLINE_S):
                await client.start()
                topics = await client.describe_topics()
                await client.find_coordinator(_PROBE_GROUP)
        except (KafkaError, OSError, TimeoutError):
            return False
        finally:
            await client.close()
        return all(partition["leader"] >= 0 for topic in topics for partition in topic["partitions"])
