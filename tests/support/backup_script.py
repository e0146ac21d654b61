"""The deployment's own backup script, at work on the Postgres of an embedded stack."""

import asyncio
import json
import os
import secrets
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libs.embedded.command import launched
from libs.embedded.stores.identity import give
from libs.embedded.stores.postgres import PostgresStore
from tests.support.eventually import eventually

ROOT = Path(__file__).parents[2]
PROGRAMS = {
    "backup": ROOT / "deploy" / "backup" / "backup.sh",
    "pg_verifybackup": Path(__file__).with_name("pg_verifybackup.sh"),
}
DONE_S_MAX = 300.0
FAILING = """#!/bin/sh
for place; do case $place in --pgdata=*) break; esac; done
mkdir "${place#--pgdata=}"
exit 9
"""


@dataclass
class BackupScript:
    """The script, as the account that Postgres runs as.

    Attributes:
        root: A directory that every account can use: the script and all backups go below it.
        password: Of the role `backup`.
    """

    root: Path
    store: PostgresStore
    port: int
    password: str = field(default_factory=secrets.token_urlsafe)
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.root / "programs").mkdir()
        for name, source in PROGRAMS.items():
            (self.root / "programs" / name).write_bytes(source.read_bytes())
            (self.root / "programs" / name).chmod(0o755)
        (self.root / "backup-password").write_text(self.password)
        for directory in (self.backups, self.root / "scratch"):
            directory.mkdir()
            give(directory, self.store._identity)
        give(self.root / "backup-password", self.store._identity)

    @property
    def backups(self) -> Path:
        return self.root / "backups"

    def histories(self) -> list[Path]:
        return sorted(self.backups.glob("2*"))

    def copies(self) -> list[Path]:
        return sorted(self.backups.glob("2*/copies/2*"))

    def status(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.backups / "status").read_text())
        return content

    async def is_pruned_to_one(self) -> bool:
        """Whether one history is left, with one copy, and the status says so."""
        return [copy.parent.parent for copy in self.copies()] == self.histories() and (
            self.status()["oldest"] == self.status()["newest"] == self.copies()[0].name
        )

    async def run(self, *arguments: str, status: int = 0) -> str:
        """Run a command of the script; return all that it said."""
        process = await self._start(*arguments, stdout=PIPE, stderr=STDOUT)
        said, _ = await asyncio.wait_for(process.communicate(), DONE_S_MAX)
        assert process.returncode == status, said.decode()
        return said.decode()

    def unfinished(self) -> list[Path]:
        """Return what a command that failed would have left behind, beside the backups and beside the database."""
        return [
            *self.backups.glob("*/copies/.new"),
            *self.backups.glob("*/left"),
            *self.backups.glob(".verify"),
            *self.store._cluster.parent.glob(f"{self.store._cluster.name}.re*"),
        ]

    @contextmanager
    def failing(self, program: str) -> Iterator[None]:
        """Let a program that copies end with status 9 after it has begun."""
        stub = self.root / "programs" / program
        stub.write_text(FAILING)
        stub.chmod(0o755)
        try:
            yield
        finally:
            stub.unlink()

    @asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        """Run what the service `backup` does; what is done in it begins once the newest history has a copy."""
        (self.backups / "status").unlink(missing_ok=True)
        process = await self._start("run")
        try:
            await eventually(self._is_at_work, seconds=DONE_S_MAX, every_s=0.5, what="a history with a verified copy")
            yield
        finally:
            process.terminate()
            await process.wait()

    async def _start(self, *arguments: str, **more: Any) -> Process:
        environment = {
            "PATH": f"{self.root / 'programs'}:{self.store._binaries / 'bin'}:{os.defpath}",
            "TMPDIR": str(self.root / "scratch"),
            "BACKUPS": str(self.backups),
            "PGDATA": str(self.store._cluster),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PASSWORD_FILE": str(self.root / "backup-password"),
            "LOOK_S": "0.5",
            "RESERVE_PCT": "0",
            **self.variables,
        }
        command = launched(
            ("/bin/bash", str(self.root / "programs" / "backup"), *arguments), identity=self.store._identity
        )
        return await asyncio.create_subprocess_exec(*command, env=environment, stdin=DEVNULL, cwd="/", **more)

    async def _is_at_work(self) -> bool:
        if not (self.backups / "status").exists() or not self.copies():
            return False
        told, newest = self.status(), self.copies()[-1]
        is_whole = newest.parent.parent == self.histories()[-1] and told["newest"] == newest.name
        return bool(is_whole and told["receiving"] and told["verified"])
