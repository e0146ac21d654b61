"""Kafka with the deployment's JMX agent, and a second broker that can be lost."""

import asyncio
import os
import random
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from libs.embedded.command import run_to_end
from libs.embedded.directory import DataDirectory
from libs.embedded.lifecycle import ManagedProcess
from libs.embedded.ports import PortBook
from libs.embedded.stores.jars import Jar, cache_directory, fetch_jars
from libs.embedded.stores.kafka import SETTINGS, KafkaStore
from libs.embedded.stores.kafka_fetch import fetch_runtime
from libs.embedded.stores.kafka_runtime import KafkaRuntime
from libs.embedded.stores.store import store_environment
from tests.alerts.programs import LOOPBACK, Program, free_port
from tests.support.documents import ROOT

AGENT_SETTINGS: Final = ROOT / "deploy" / "prometheus" / "kafka_jmx.yml"
_AGENT: Final = re.compile(r"sha256:(\w+).*?/maven2/([\w/]+)/(\w+)/([\d.]+)/\3-\4\.jar", re.DOTALL)
_FORMAT_S_MAX: Final = 60.0
_START_S_MAX: Final = 300.0
_STOP_S_MAX: Final = 10.0


@dataclass
class Broker:
    """The stack's broker."""

    process: ManagedProcess
    directory: DataDirectory
    address: str
    controller: str
    metrics: str
    agent: Path
    runtime: KafkaRuntime

    def freeze(self) -> int:
        """Stop it in the middle of whatever it does; return what lets it go on."""
        pid = self.process.status().pid
        assert pid is not None
        os.killpg(pid, signal.SIGSTOP)
        return pid

    async def second(self) -> "SecondBroker":
        """Start another broker of the same cluster."""
        files = self.directory.root / "second"
        files.mkdir()
        port, metrics = free_port(), free_port()
        settings = SETTINGS | {
            "node.id": "2",
            "process.roles": "broker",
            "log.dirs": str(files / "log"),
            "listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
            "controller.quorum.voters": f"1@{self.controller}",
        }
        configuration = files / "server.properties"
        configuration.write_text("".join(f"{key}={value}\n" for key, value in settings.items()), encoding="utf-8")
        options = files / "java.options"
        agent_options = (f"-javaagent:{self.agent}={LOOPBACK}:{metrics}:{AGENT_SETTINGS}",)
        options.write_text(replace(self.runtime, archive_options=()).options_text(), encoding="utf-8")
        java = (str(self.runtime.java.program), f"@{options}", f"-Djava.io.tmpdir={files}")
        found = re.search(r"^cluster\.id=(\S+)$", self._properties().read_text(encoding="utf-8"), re.MULTILINE)
        assert found is not None
        environment = store_environment(self.directory)
        await run_to_end(
            (*java, "kafka.tools.StorageTool", "format", "--cluster-id", found[1], "--config", str(configuration)),
            environment=environment,
            working_directory=files,
            deadline_s=_FORMAT_S_MAX,
        )
        command = (*java, *agent_options, "kafka.Kafka", str(configuration))
        program = Program(command, log=files / "broker.log", environment=environment)
        await program.start()
        return SecondBroker(program, metrics=f"{LOOPBACK}:{metrics}")

    def _properties(self) -> Path:
        return self.directory.root / "kafka" / "log" / "meta.properties"


@dataclass
class SecondBroker:
    """A broker that holds nothing of the stack's."""

    program: Program
    metrics: str


@asynccontextmanager
async def broker(root: Path) -> AsyncIterator[Broker]:
    """Run Kafka until the context is left."""
    directory = DataDirectory(root)
    directory.create()
    ports = PortBook(directory.ports_file, choice=random.SystemRandom())
    runtime = await fetch_runtime()
    agent = await asyncio.to_thread(_agent)
    metrics = f"{LOOPBACK}:{free_port()}"
    with_agent = replace(runtime, archive_options=(f"-javaagent:{agent}={metrics}:{AGENT_SETTINGS}",))
    controller_port = ports.port("kafka-controller")
    store = KafkaStore(directory, port=ports.port("kafka"), controller_port=controller_port, runtime=with_agent)
    spec = replace(store.spec(), ready_deadline_s=_START_S_MAX)
    process = ManagedProcess(spec, on_event=lambda _event: None)
    process.start()
    try:
        await process.until_ready()
        yield Broker(process, directory, store.address, f"{LOOPBACK}:{controller_port}", metrics, agent, runtime)
    finally:
        with suppress(ProcessLookupError):
            if (pid := process.status().pid) is not None:
                os.killpg(pid, signal.SIGCONT)
        await process.stop(_STOP_S_MAX)


def _agent() -> Path:
    """Return the agent that the deployment's image holds, fetched as it is there: by version and hash."""
    found = _AGENT.search((ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8"))
    assert found is not None
    sha256, group, artifact, version = found.groups()
    (path,) = fetch_jars((Jar(group.replace("/", "."), artifact, version, sha256),), cache_directory())
    return path
