"""`trader audit verify`, `explain` and `archive` with a month that is over, on Postgres."""

import asyncio
import errno
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.commands import audit
from cli.errors import CommandError, ExitStatus
from cli.place import DEPLOYED, Place
from cli.upkeep import look_at_archives
from libs.embedded.directory import DataDirectory
from services.audit_recorder.adapters import PostgresRepositories
from services.audit_recorder.service import AuditRecorder
from tests.support.migrated import MigratedDatabase
from tests.support.order_story import an_order_story

LAST_MONTH = datetime.now(UTC).replace(day=1) - timedelta(days=1)
NAME = f"audit-{LAST_MONTH:%Y-%m}"
NEXT = f"The next one is over for good on {LAST_MONTH + timedelta(days=63):%Y-%m}-02 00:00:00 UTC."
"""Of the next month: this one has no table here."""


@pytest.fixture(autouse=True)
async def place(migrated: MigratedDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A stack whose audit log holds one order, all of it in a month that is over."""
    directory = DataDirectory(tmp_path)
    directory.create()
    (directory.secrets / "postgres-postgres").write_text(urlsplit(migrated.url).password or "")
    place = Place(directory, {"postgres": migrated.url_of("reader")})
    monkeypatch.setattr(audit, "find_place", lambda _: place)
    database = await migrated.connect("audit_recorder")
    async with database.transaction() as transaction:
        await AuditRecorder(follow=lambda _: None).on_records(an_order_story(), PostgresRepositories(transaction))
    await database.close()
    owner = await asyncpg.connect(migrated.url)
    part = "months.audit_recorder_audit_log_before"
    await owner.execute(f"ALTER TABLE audit_recorder.audit_log DETACH PARTITION {part}")
    await owner.execute(f"ALTER TABLE {part} DISABLE TRIGGER USER")
    await owner.execute(f"UPDATE {part} SET stored_at = $1", LAST_MONTH)
    ends = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    await owner.execute(
        f"ALTER TABLE audit_recorder.audit_log ATTACH PARTITION {part} FOR VALUES FROM (MINVALUE) TO ('{ends}')"
    )
    await owner.close()
    return place


async def said(*arguments: str, place: Place) -> tuple[int, str]:
    """Run a command in a thread, because it has a loop of its own; return its exit status and what it printed."""
    command = [*arguments, "--data-dir", str(place.directory.root)]
    result = await asyncio.to_thread(CliRunner().invoke, app, command)
    if isinstance(result.exception, CommandError):
        return int(result.exception.status), f"{result.exception.message} {result.exception.hint}"
    return int(result.exit_code), result.output


async def test_a_month_that_is_over_is_archived_verified_and_told_from(place: Place):
    status, told = await said("audit", "archive", "--json", place=place)
    (archived,) = json.loads(told[told.index("{") :])["archives"]
    again = await said("audit", "archive", place=place)
    verified = await said("audit", "verify", place=place)
    explained = await said("audit", "explain", "wish", place=place)
    doctor = await look_at_archives(place)

    assert doctor.found == "every month that has long been over is archived"
    assert (status, archived["name"], archived["records"]) == (ExitStatus.DONE, NAME, 8)
    assert again == (ExitStatus.DONE, f"No month waits to be archived. {NEXT}\n")
    assert (verified[0], verified[1].split(", ")[-1]) == (ExitStatus.DONE, "1 archives.\n")
    assert explained[1].count("OrderFilled") == 2


async def test_an_archive_that_is_not_at_hand_is_named_and_found_where_it_is_said_to_be(place: Place, tmp_path: Path):
    await said("audit", "archive", "--to", str(tmp_path / "elsewhere"), place=place)

    verified = await said("audit", "verify", place=place)
    explained = await said("audit", "explain", "wish", place=place)
    found = await said("audit", "verify", "--archives", str(tmp_path / "elsewhere"), place=place)

    assert verified[0] == ExitStatus.FOUND
    assert verified[1].startswith(f"{NAME}: the archive is missing: expected ")
    assert explained[0] == ExitStatus.FAILED
    assert f"the story of wish needs an archive: {NAME}: the archive is missing" in explained[1]
    assert "--archives" in explained[1]
    assert found[0] == ExitStatus.DONE


async def test_a_month_that_does_not_verify_is_left_where_it_is(place: Place, migrated: MigratedDatabase):
    owner = await asyncpg.connect(migrated.url)
    await owner.execute("UPDATE months.audit_recorder_audit_log_before SET payload = 'forged' WHERE topic = 'signals'")
    await owner.close()

    status, told = await said("audit", "archive", place=place)

    assert status == ExitStatus.FOUND
    assert "signals/0 at offset 0 was altered in the database" in told
    assert "Nothing of this month was dropped." in told


async def test_a_full_disk_drops_nothing_and_the_next_run_goes_on(place: Place, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        status, told = await said("audit", "archive", place=place)
    verified = await said("audit", "verify", place=place)
    again = await said("audit", "archive", place=place)

    assert status == ExitStatus.FAILED
    assert "found: No space left on device Nothing of this month was dropped." in told
    assert (verified[0], verified[1].split(", ")[-1]) == (ExitStatus.DONE, "0 archives.\n")
    assert again[0] == ExitStatus.DONE


async def test_a_deployment_finds_the_owners_password_among_its_secrets(
    place: Place, migrated: MigratedDatabase, monkeypatch: pytest.MonkeyPatch
):
    parts = urlsplit(migrated.url)
    monkeypatch.setenv(DEPLOYED, "kafka:9092")
    monkeypatch.setenv("TRADER_POSTGRES_ADDRESS", f"{parts.hostname}:{parts.port}{parts.path}")
    monkeypatch.setenv("TRADER_SECRETS_DIR", str(place.directory.secrets))

    status, told = await said("audit", "archive", "--before", f"{LAST_MONTH:%Y-%m}", place=place)

    assert (status, told) == (ExitStatus.DONE, f"No month before {LAST_MONTH:%Y-%m} waits to be archived. {NEXT}\n")


async def test_a_month_that_is_none_is_a_wrong_usage(place: Place):
    status, told = await said("audit", "archive", "--before", "september", place=place)

    assert (status, told.strip()) == (ExitStatus.USAGE, "--before: expected a month such as 2026-09, found 'september'")
