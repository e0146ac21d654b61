"""The stack that a command is about: its data directory, its endpoints, and its database under the reader's role.

Libraries are imported where they are used: a command pays only for what it needs (the database's client takes 200 ms).
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cli.errors import CommandError, ExitStatus, is_debugging
from libs.common.errors import DeadlineExceededError, RetryableError
from libs.embedded.directory import DataDirectory

if TYPE_CHECKING:
    from libs.common.configuration import TradingConfiguration
    from libs.common.messaging.kafka import Kafka
    from libs.common.storage.postgres import Database
    from libs.embedded.process_table import ProcessTable

T = TypeVar("T")

DEPLOYED: Final = "TRADER_KAFKA_BOOTSTRAP_SERVERS"
"""Where this variable is set, a deployment is meant, and variables say where it is; no data directory is looked at."""


@dataclass(frozen=True, slots=True)
class Place:
    """A running stack.

    Attributes:
        directory: Its data directory.
        endpoints: What `trader endpoints` prints.
    """

    directory: DataDirectory
    endpoints: dict[str, Any]

    @property
    def secrets(self) -> Path:
        """The directory of its secrets."""
        return self.directory.secrets

    @property
    def halt_dir(self) -> Path:
        """The directory of its `HALT` files."""
        return self.directory.root / "halt"

    @property
    def has_backups(self) -> bool:
        """Whether its database is backed up by us: what `trader up` runs is copied as a whole, while it is down."""
        return False

    @asynccontextmanager
    async def database(self) -> AsyncIterator["Database"]:
        """Lend its database, for reading."""
        from libs.common.storage.postgres import Database  # noqa: PLC0415 - see the module

        database = await Database.connect(self.endpoints["postgres"], application="trader", connections_max=2)
        try:
            yield database
        finally:
            await database.close()

    def configuration(self) -> "TradingConfiguration":
        """Return the configuration that the stack runs with."""
        from libs.common.configuration import load_configuration  # noqa: PLC0415 - see the module

        return load_configuration([self.directory.run / "configuration.json"])

    def kafka(self) -> "Kafka":
        """Return its cluster."""
        from libs.common.messaging.kafka import Kafka  # noqa: PLC0415 - see the module

        return Kafka(self.endpoints["kafka"], client_id="trader")

    async def process_rows(self, database: "Database") -> Sequence[Mapping[str, Any]]:
        """Return its processes: name, whether each is ready, and its uptime.

        Args:
            database: Where those of a deployment are found.

        Raises:
            CommandError: It has stopped meanwhile.
        """
        del database
        return self.processes().processes

    def processes(self) -> "ProcessTable":
        """Return its processes.

        Raises:
            CommandError: It has stopped meanwhile.
        """
        from libs.embedded.process_table import read_table  # noqa: PLC0415 - see the module

        table = read_table(self.directory)
        if table is None:
            raise _not_running(self.directory)
        return table


def find_place(data_dir: Path) -> Place:
    """Return the stack that runs in a data directory.

    Raises:
        CommandError: None runs there, or it is still starting.
    """
    if DEPLOYED in os.environ:
        from cli.deployment.place import find_deployment  # noqa: PLC0415 - see the module

        return find_deployment(data_dir)
    directory = DataDirectory(data_dir)
    if not directory.lock_file.exists() or directory.running_pid() is None:
        raise _not_running(directory)
    try:
        endpoints = json.loads(directory.endpoints_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CommandError(
            f"{directory.root}: expected a stack that is ready, found one that is still starting",
            hint="Wait for `ready`, or look at `trader ps`.",
            status=ExitStatus.NOT_RUNNING,
        ) from error
    return Place(directory, endpoints)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work.

    Raises:
        CommandError: A store or the exchange cannot be reached (3) or does not answer in time (5).
    """
    from cli.logs import log_to_nowhere, log_to_stderr  # noqa: PLC0415 - see the module

    if is_debugging():
        log_to_stderr()
    else:
        log_to_nowhere()
    try:
        return asyncio.run(work)
    except DeadlineExceededError as error:
        raise CommandError(
            str(error), hint="See `trader ps` and `trader logs`.", status=ExitStatus.TIMED_OUT
        ) from error
    except RetryableError as error:
        raise CommandError(
            str(error), hint="See `trader ps` and `trader logs`.", status=ExitStatus.NOT_RUNNING
        ) from error


def _not_running(directory: DataDirectory) -> CommandError:
    return CommandError(
        f"{directory.root}: expected a running stack, found none",
        hint="Start one with `trader up` (or `make run`), or name its directory with --data-dir.",
        status=ExitStatus.NOT_RUNNING,
    )
