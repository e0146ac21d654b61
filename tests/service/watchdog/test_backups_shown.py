"""The watchdog shows how old backups are; what is not told grows old by itself."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.watchdog.backups import Backups
from tests.support.shown import shown

SINCE = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOLD = {
    "at": "20261123T120500Z",
    "receiving": True,
    "history": "20261101T000000Z",
    "oldest": "20261116T030000Z",
    "newest": "20261123T030000Z",
    "verified": "20261120T040000Z",
}


def moments() -> dict[str, datetime]:
    found = {of: shown("trader_backup_timestamp_seconds", of=of) for of in ("received", "copied", "verified")}
    return {of: datetime.fromtimestamp(at, tz=UTC) for of, at in found.items() if at is not None}


@pytest.mark.parametrize(
    ("told", "changed"),
    [
        ({}, {}),
        ({"receiving": False}, {"received": SINCE}),
        ({"newest": ""}, {"copied": datetime(2026, 11, 1, tzinfo=UTC)}),
        ({"verified": ""}, {"verified": datetime(2026, 11, 1, tzinfo=UTC)}),
        ({"history": "", "newest": "", "verified": ""}, {"copied": SINCE, "verified": SINCE}),
    ],
)
async def test_what_the_status_tells_is_shown(tmp_path: Path, told: dict[str, Any], changed: dict[str, datetime]):
    (tmp_path / "status").write_text(json.dumps({**TOLD, **told}))

    await Backups(tmp_path / "status", since=SINCE).look()

    assert moments() == {
        "received": datetime(2026, 11, 23, 12, 5, tzinfo=UTC),
        "copied": datetime(2026, 11, 23, 3, tzinfo=UTC),
        "verified": datetime(2026, 11, 20, 4, tzinfo=UTC),
        **changed,
    }


@pytest.mark.parametrize("content", [None, "", "[]", "{}", json.dumps({**TOLD, "at": "yesterday"})])
async def test_a_status_that_cannot_be_used_leaves_what_was_shown(tmp_path: Path, content: str | None):
    if content is not None:
        (tmp_path / "status").write_text(content)

    await Backups(tmp_path / "status", since=SINCE).look()

    assert moments() == dict.fromkeys(("received", "copied", "verified"), SINCE)
