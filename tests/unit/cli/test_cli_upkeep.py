"""What `trader doctor` says of backups, the database's version and the files of secrets."""

import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from cli.finding import Finding
from cli.place import Place
from cli.upkeep import look_at_archives, look_at_backups, look_at_schema, look_at_secrets
from libs.common.storage.migrations import newest_known
from libs.embedded.directory import DataDirectory


class Answering:
    """A database that says one thing."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["Answering"]:
        yield self

    async def fetchval(self, _statement: str) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@dataclass(frozen=True, slots=True)
class APlace(Place):
    """A stack whose database answers."""

    answer: Any = None

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Any]:
        yield Answering(self.answer)


@pytest.fixture
def place_with(tmp_path: Path) -> Callable[..., APlace]:
    directory = DataDirectory(tmp_path)
    directory.create()
    return lambda answer=None: APlace(directory, {}, answer)


def ago(**spans: int) -> str:
    return f"{datetime.now(UTC) - timedelta(**spans):%Y%m%dT%H%M%SZ}"


@pytest.mark.parametrize(
    ("told", "mark", "words"),
    [
        ({}, "✓", "the newest copy is 3 h old, and changes are received; verified 2 d ago"),
        ({"receiving": False}, "✗", "changes are not received"),
        ({"at": ago(minutes=5)}, "✗", "changes are not received"),
        ({"at": ""}, "✗", "changes are not received"),
        ({"newest": ""}, "!", "the first copy is being made"),
        ({"newest": "", "history": ago(hours=3)}, "✗", "changes are received for 3 h, and no copy was made since"),
        ({"newest": "", "history": ""}, "!", "the first copy is being made"),
        ({"newest": ago(hours=30)}, "✗", "the newest copy is 1 d old"),
        ({"verified": ""}, "!", "none was verified for 8 d"),
        ({"verified": ago(days=9)}, "!", "none was verified for 8 d"),
        ({"newest": "yesterday"}, "✗", "expected a status"),
    ],
)
async def test_backups_are_judged_by_their_age_and_whether_one_was_restored(
    place_with: Callable[..., APlace], told: dict[str, Any], mark: str, words: str
):
    place = place_with()
    good = {
        "at": ago(seconds=5),
        "receiving": True,
        "history": ago(hours=1),
        "newest": ago(hours=3),
        "verified": ago(days=2),
    }
    (place.directory.root / "backups").mkdir()
    (place.directory.root / "backups" / "status").write_text(json.dumps({**good, **told}))

    found = await look_at_backups(place)

    assert (found.mark, words in found.found) == (mark, True), found


async def test_a_deployment_without_any_backup_is_told_so(place_with: Callable[..., APlace]):
    assert (await look_at_backups(place_with())).failed


@pytest.mark.parametrize(
    ("said", "mark"),
    [(newest_known(), "✓"), ("9999", "!"), ("0001", "✗"), (None, "✗")],
    ids=["same", "newer", "older", "silent"],
)
async def test_the_schema_is_compared_with_the_program(place_with: Callable[..., APlace], said: str | None, mark: str):
    answer = f"version {said}, for programs of 0001 and newer" if said else None

    assert (await look_at_schema(place_with(answer))).mark == mark


async def test_secrets_are_closed_to_others_and_not_too_old(place_with: Callable[..., APlace]):
    place = place_with()
    assert await said_of(place) == ("✗", f"none in {place.secrets}")
    secret = place.secrets / "postgres-reader"
    secret.touch(mode=0o600)
    assert await said_of(place) == ("✓", "1 files, the oldest < 1 h old (postgres-reader)")
    year_ago = (datetime.now(UTC) - timedelta(days=400)).timestamp()
    os.utime(secret, (year_ago, year_ago))
    assert (await said_of(place))[0] == "!"
    secret.chmod(0o644)
    assert (await said_of(place))[0] == "!"  # nobody comes into the directory
    place.secrets.chmod(0o755)
    assert await said_of(place) == ("✗", "1 files; open to others: postgres-reader")


async def said_of(place: Place) -> tuple[str, str]:
    found: Finding = await look_at_secrets(place)
    return found.mark, found.found


@pytest.mark.parametrize(
    ("ended", "mark", "words"),
    [
        (timedelta(days=-3), "✓", "every month that has long been over is archived"),
        (timedelta(days=34), "✓", "every month that has long been over is archived"),
        (timedelta(days=36), "!", "the oldest month of the audit log in the database ended 36 d ago"),
        (None, "✓", "every month"),
        (asyncpg.UndefinedTableError("reading.unarchived"), "✓", "nothing is archived yet"),
    ],
)
async def test_a_month_that_nobody_archives_is_told_of(place_with, ended, mark, words):
    answer = datetime.now(UTC) - ended if isinstance(ended, timedelta) else ended

    finding = await look_at_archives(place_with(answer))

    assert (finding.mark, finding.found[: len(words)]) == (mark, words)
