"""Programs beside the stack: Prometheus, Alertmanager, exporters, and whatever else a fault needs.

Invariant: whatever is started here is ended by whoever leaves the context.
"""

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

LOOPBACK: Final = "127.0.0.1"
STOPPED_S_MAX: Final = 10.0
READY_S_MAX: Final = 30.0
BINARIES: Final[Mapping[str, tuple[str, ...]]] = {
    "PROMETHEUS": ("prometheus",),
    "ALERTMANAGER": ("prometheus-alertmanager", "alertmanager"),
    "REDIS_EXPORTER": ("prometheus-redis-exporter", "redis_exporter"),
    "POSTGRES_EXPORTER": ("prometheus-postgres-exporter", "postgres_exporter"),
}
"""The variable that names each program, and what it is called otherwise."""


def missing_programs() -> list[str]:
    """Return what is not installed."""
    return [names[0] for variable, names in BINARIES.items() if _found(variable) is None]


def binary(variable: str) -> str:
    """Return where one of the programs is."""
    found = _found(variable)
    if found is None:
        raise FileNotFoundError(f"expected {BINARIES[variable][0]} to be installed, found none (Debian: apt install)")
    return found


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        return int(taken.getsockname()[1])


@dataclass
class Program:
    """One process with a log of its own."""

    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    ignores_file_limit: bool = False
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command,
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
                # Python ignores SIGXFSZ and gives it back to its children: without that, a full disk would kill them.
                restore_signals=not self.ignores_file_limit,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """Kill it without warning."""
        self._signal(signal.SIGKILL)

    async def stop(self) -> None:
        """End it, by force if it takes long."""
        if self.process is None:
            return
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), STOPPED_S_MAX)
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self.process.wait()
        self.process = None

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)


class Alertmanager:
    """Alertmanager with `alertmanager.yml` of a directory; each start begins with an empty memory.

    Args:
        root: The directory.
        address: Where it listens.
    """

    def __init__(self, root: Path, address: str) -> None:
        self._memory = root / "alertmanager"
        self._ready = f"http://{address}/-/ready"
        self._program = Program(
            (
                binary("ALERTMANAGER"),
                f"--config.file={root / 'alertmanager.yml'}",
                f"--storage.path={self._memory}",
                "--cluster.listen-address=",
                "--log.level=warn",
                f"--web.listen-address={address}",
            ),
            log=root / "alertmanager.log",
        )

    async def restart(self) -> None:
        """Start it, or start it again; returns when it takes alerts."""
        await self.stop()
        shutil.rmtree(self._memory, ignore_errors=True)
        await self._program.start()
        ends_s = asyncio.get_running_loop().time() + READY_S_MAX
        while not await answers(self._ready):
            if asyncio.get_running_loop().time() > ends_s:
                raise TimeoutError(f"expected Alertmanager to be ready within {READY_S_MAX:g} s")
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """End it."""
        await self._program.stop()


def redis_exporter(log: Path, *, server: str, password: str, listen: str) -> Program:
    """Return the exporter of a Redis server, with the deployment's options."""
    command = (
        binary("REDIS_EXPORTER"),
        f"-redis.addr=redis://{server}",
        f"-web.listen-address={listen}",
        "-connection-timeout=1s",
    )
    return Program(command, log, {"REDIS_PASSWORD": password})


async def answers(address: str) -> bool:
    """Return whether GET of an address answers 200."""
    try:
        async with aiohttp.ClientSession() as session, session.get(address) as response:
            return response.ok
    except aiohttp.ClientError:
        return False


def _found(variable: str) -> str | None:
    given = os.environ.get(variable)
    return given or next((path for name in BINARIES[variable] if (path := shutil.which(name))), None)
