"""What is done to containers of a deployment from outside: a crash, a freeze, a cut from every network.

Invariant: what is done to a container is undone before anything else is, whatever goes wrong between.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.compose.conftest import ComposeProject

FAULT_S: Final = 7.0
"""Longer than an owner's lease may be silent (5 s), shorter than the watchdog's patience (10 s), which would halt."""

KILLER: Final = "crypto-trader-pro/proxy:local"
"""The smallest image with a shell."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a service."""

    deployment: ComposeProject
    service: str
    id: str

    def inspect(self) -> dict[str, Any]:
        """Return what the engine knows of it."""
        found: list[dict[str, Any]] = json.loads(self.deployment.docker("inspect", self.id))
        return found[0]

    def kill(self) -> None:
        """Kill its first process from the host, as the kernel does for want of memory.

        `docker kill` is the operator's stop to the engine: no restart policy brings back what it killed.
        """
        pid = self.inspect()["State"]["Pid"]
        self.deployment.docker(
            *("run", "--rm", "--pid", "host", "--network", "none", "--user", "0:0"),
            *("--cap-drop", "ALL", "--cap-add", "KILL", "--entrypoint", "sh", KILLER, "-c", f"kill -KILL {pid}"),
        )

    def freeze(self) -> None:
        """Stop all its processes for a while."""
        self.deployment.docker("pause", self.id)
        try:
            time.sleep(FAULT_S)
        finally:
            self.deployment.docker("unpause", self.id)

    def cut_off(self) -> None:
        """Take it out of all its networks for a while."""
        networks = self.inspect()["NetworkSettings"]["Networks"]
        ends_at_s = time.monotonic() + FAULT_S
        cut: list[str] = []
        try:
            for network in networks:
                self.deployment.docker("network", "disconnect", network, self.id)
                cut.append(network)
            time.sleep(max(0.0, ends_at_s - time.monotonic()))
        finally:
            for network in cut:
                self.deployment.docker("network", "connect", "--alias", self.service, network, self.id)

    def is_well(self) -> bool:
        """Return whether it runs and its own health check, asked now, says so."""
        found = self.inspect()
        if found["State"]["Status"] != "running":
            return False
        kind, *test = found["Config"]["Healthcheck"]["Test"]
        command = ("sh", "-c", *test) if kind == "CMD-SHELL" else test
        return self.deployment.succeeds("exec", self.id, *command)


def containers_of(deployment: ComposeProject, service: str) -> list[Container]:
    """Return the containers of a service, whether they run or not."""
    return [Container(deployment, service, each) for each in deployment.compose("ps", "-aq", service).split()]


def container_of(deployment: ComposeProject, service: str) -> Container:
    """Return the one container of a service."""
    (found,) = containers_of(deployment, service)
    return found


FAULTS: Final[dict[str, Callable[[Container], None]]] = {
    "killed": Container.kill,
    "frozen": Container.freeze,
    "cut off": Container.cut_off,
}
