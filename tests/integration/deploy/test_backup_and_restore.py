"""Backups of a real Postgres: restored to a moment, to the last change, after a restore, and refused where they lack.

The script is the deployment's own, with this machine's Postgres in place of the image's.
"""

import asyncio
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from libs.common.storage.migrations import BACKUP, upgrade_database
from libs.embedded.directory import DataDirectory
from libs.embedded.ports import PortBook
from libs.embedded.stores.postgres import PostgresStore
from libs.embedded.supervisor import Supervisor
from tests.support.backup_script import BackupScript
from tests.support.eventually import eventually


@dataclass
class Machine:
    """A Postgres and its backups."""

    directory: DataDirectory
    store: PostgresStore
    script: BackupScript

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """Run the server, and a connection to it."""
        async with Supervisor(self.directory, on_event=lambda _: None) as supervisor:
            await supervisor.start([self.store.spec()])
            connection = await asyncpg.connect(self.store.address)
            try:
                yield connection
            finally:
                await connection.close()
                await self.store.close()


@pytest.fixture
def machine() -> Iterator[Machine]:
    # Not `tmp_path`, which is closed to the account that Postgres runs as when we are root.
    with tempfile.TemporaryDirectory(prefix="trader-backup-", ignore_cleanup_errors=True) as name:
        root = Path(name)
        root.chmod(0o777)  # whoever Postgres runs as puts the restored database here
        directory = DataDirectory(root)
        directory.create()
        port = PortBook(directory.ports_file, choice=random.SystemRandom()).port("postgres")
        store = PostgresStore(directory, port=port, password="of-a-test", database="trader")
        yield Machine(directory, store, BackupScript(root, store, port))


@asynccontextmanager
async def set_up(machine: Machine) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Run the server for the first time, as the set-up job leaves it."""
    async with machine.serving() as connection:
        url = urlsplit(machine.store.address)
        await asyncio.to_thread(
            upgrade_database,
            address=f"{url.hostname}:{url.port}{url.path}",
            owner="postgres",
            password=url.password or "",
            role_passwords={BACKUP: machine.script.password},
        )
        await connection.execute("CREATE TABLE notes (note text)")
        yield connection


async def write(connection: "asyncpg.Connection[asyncpg.Record]", note: str) -> None:
    await connection.execute("INSERT INTO notes VALUES ($1)", note)


async def written(connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    return [row["note"] for row in await connection.fetch("SELECT note FROM notes")]


@pytest.mark.timeout(900)
async def test_it_is_restored_to_a_moment_and_again_to_the_last_change_after_that(machine: Machine):
    async with set_up(machine) as connection:
        assert "found none" in await machine.script.run("verify", status=1)
        async with machine.script.receiving():
            await write(connection, "right")
            moment = await connection.fetchval("SELECT clock_timestamp()")
            await write(connection, "a mistake")
            await refused_without_room(machine, "now", "verify")
            with machine.script.failing("pg_basebackup"):
                await machine.script.run("now", status=9)
            with machine.script.failing("cp"):
                await machine.script.run("verify", status=9)
            assert machine.script.unfinished() == []
        assert "expected the database to be stopped" in await machine.script.run("restore", status=1)

    assert "expected a time in UTC, found yester" in await machine.script.run("restore", "--at", "yester", status=1)
    assert "expected a copy from before 2020-01-01" in await machine.script.run(
        "restore", "--at", "2020-01-01", status=1
    )
    assert "nothing was replaced" in await machine.script.run("restore", "--at", "2099-01-01", status=1)
    await refused_without_room(machine, "restore")
    assert machine.script.unfinished() == []
    said = await machine.script.run("restore", "--at", f"{moment:%Y-%m-%d %H:%M:%S.%f}")

    assert "restored: the last change is of 2" in said
    assert f"of the history {machine.script.histories()[-1].name}, found none" in await machine.script.run(
        "restore", status=1
    )
    async with machine.serving() as connection:
        assert await written(connection) == ["right"]
        async with machine.script.receiving():
            assert len(machine.script.histories()) == 2
        await write(connection, "received by nobody")

    await machine.script.run("restore")
    async with machine.serving() as connection:
        assert await written(connection) == ["right", "received by nobody"]
    assert len(list(machine.directory.root.glob("postgres.replaced-*"))) == 2


@pytest.mark.timeout(900)
async def test_missed_changes_begin_a_history_old_copies_go_and_a_damaged_one_is_found(machine: Machine):
    machine.script.variables["KEEP"] = "1"
    async with set_up(machine) as connection:
        await connection.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'")
        await connection.execute("SELECT pg_reload_conf()")
        async with machine.script.receiving():
            assert "changes until" in await machine.script.run("list")
        for note in "abcd":
            await write(connection, note)
            await connection.execute("SELECT pg_switch_wal()")
        await connection.execute("CHECKPOINT")
        assert await connection.fetchval("SELECT wal_status FROM pg_replication_slots") == "lost"

        async with machine.script.receiving():
            await eventually(machine.script.is_pruned_to_one, seconds=60, what="one history with one copy")
            (copy,) = machine.script.copies()
            await machine.script.run("healthy")
            await refused_the_tables(machine)
        damaged = next((copy / "base").glob("*/1259"))
        damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
        assert "base/" in await machine.script.run("verify", status=1)
        await another_place_is_begun(machine)

    assert "backup restore [--at TIME]" in await machine.script.run("put", "back", status=2)


async def refused_without_room(machine: Machine, *commands: str) -> None:
    """Whoever would fill the disk makes no copy."""
    machine.script.variables["RESERVE_PCT"] = "101"
    for command in commands:
        assert "expected room for a copy" in await machine.script.run(command, status=1)
    del machine.script.variables["RESERVE_PCT"]


async def another_place_is_begun(machine: Machine) -> None:
    """Changes are received where backups go now, although the server still keeps some for the place before."""
    for history in machine.script.histories():
        shutil.rmtree(history)
    backing_up = await machine.script._start("run")
    try:
        await eventually(
            lambda: asyncio.to_thread(lambda: list(machine.script.backups.glob("2*/changes/*"))),
            seconds=60,
            what="changes in the new place",
        )
    finally:
        backing_up.terminate()
        await backing_up.wait()


async def refused_the_tables(machine: Machine) -> None:
    """Who copies the whole server sees none of its tables."""
    url = urlsplit(machine.store.address)
    password = machine.script.password
    copying = await asyncpg.connect(f"postgresql://{BACKUP}:{password}@{url.hostname}:{url.port}{url.path}")
    try:
        for table in ("public.notes", "audit_recorder.audit_log", "reading.fills"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await copying.execute(f"SELECT * FROM {table}")
    finally:
        await copying.close()
