"""What `trader doctor` looks at besides what runs: backups, archives, the schema's version, and secret files."""

import json
import stat
from datetime import UTC, datetime, timedelta
from typing import Final

from cli.finding import Finding
from cli.place import Place
from libs.common.clock import SystemClock
from libs.common.storage.migrations import STATED, newest_known, stated

STATUS: Final = "backups/status"
"""Where a deployment's data directory has what deploy/backup/backup.sh says of itself."""

SILENT_AFTER: Final = timedelta(minutes=1)
FIRST_COPY_AFTER: Final = timedelta(hours=2)
"""How long the first copy of a history may take; without one, nothing of that history can be restored."""

COPY_AGE_MAX: Final = timedelta(hours=26)
VERIFIED_AGE_MAX: Final = timedelta(days=8)
UNARCHIVED_MAX: Final = timedelta(days=35)
"""How long a month of the audit log may have been over; the last one is archived on the 3rd of the next."""

SECRET_AGE_MAX: Final = timedelta(days=365)
_OLDEST_ENDS: Final = "SELECT min(ends_at) FROM reading.unarchived"
_MOMENT: Final = "%Y%m%dT%H%M%SZ"
_MOUNTED: Final = "/run/secrets"
_OPEN_TO_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


async def look_at_backups(place: Place) -> Finding:
    """Look at a deployment's backups: are changes received, how old is the newest copy, and was one restored."""
    path = place.directory.root / STATUS
    try:
        told = json.loads(path.read_bytes())
        at, begun, newest, verified = (_moment(str(told[name])) for name in ("at", "history", "newest", "verified"))
        is_receiving = bool(told["receiving"])
    except FileNotFoundError:
        return _failed("none", "Nothing was ever backed up: start the service `backup`, see docs/runbook.md.")
    except (ValueError, KeyError, TypeError) as error:
        return _failed(f"{path}: expected a status, found {error!r}", "See `docker compose logs backup`.")
    now = SystemClock().now()
    if at is None or now - at > SILENT_AFTER or not is_receiving:
        return _failed(f"changes are not received (looked at {at})", "See `docker compose logs backup`.")
    if newest is None:
        return _without_copy(now - begun if begun is not None else timedelta(0))
    return _judged(now - newest, now - verified if verified is not None else None)


def _without_copy(age: timedelta) -> Finding:
    if age > FIRST_COPY_AFTER:
        return _failed(
            f"changes are received for {_age(age)}, and no copy was made since: they cannot be restored",
            "Copies fail: see `docker compose logs backup`.",
        )
    return Finding(subject="backups", found="the first copy is being made", advice="Look again in a few minutes.")


def _judged(age: timedelta, verified: timedelta | None) -> Finding:
    found = f"the newest copy is {_age(age)} old, and changes are received"
    if age > COPY_AGE_MAX:
        return _failed(found, "Copies fail: see `docker compose logs backup`.")
    if verified is None or verified > VERIFIED_AGE_MAX:
        return Finding(
            subject="backups",
            found=f"{found}; none was verified for {_age(VERIFIED_AGE_MAX)}",
            advice="Try whether one can be restored: `docker compose exec backup backup verify`.",
        )
    return Finding(subject="backups", found=f"{found}; verified {_age(verified)} ago")


async def look_at_archives(place: Place) -> Finding:
    """Look at how long the oldest month of the audit log that is still in the database has been over."""
    import asyncpg  # noqa: PLC0415 - see cli/place.py

    try:
        async with place.database() as database, database.connection() as connection:
            ended = await connection.fetchval(_OLDEST_ENDS)
    except asyncpg.UndefinedTableError:
        return Finding(subject="archives", found="nothing is archived yet on a schema of this version")
    over = SystemClock().now() - ended if ended is not None else timedelta(0)
    if over <= UNARCHIVED_MAX:
        return Finding(subject="archives", found="every month that has long been over is archived")
    return Finding(
        subject="archives",
        found=f"the oldest month of the audit log in the database ended {_age(over)} ago",
        advice="Archive it, and have a timer do so each month: see docs/deploy.md, Disk.",
    )


async def look_at_schema(place: Place) -> Finding:
    """Compare the database's version with that of this program."""
    async with place.database() as database, database.connection() as connection:
        version, _ = stated(await connection.fetchval(STATED))
    ours = newest_known()
    if version == ours:
        return Finding(subject="schema", found=f"version {version}, this program's own")
    found = f"version {version or 'unknown'}, this program's is {ours}"
    if version > ours:
        return Finding(
            subject="schema", found=found, advice="An older program runs on a newer schema: upgrade it soon."
        )
    return Finding(subject="schema", found=found, failed=True, advice="Start again: the set-up job upgrades it.")


async def look_at_secrets(place: Place) -> Finding:
    """Look at who may read the secret files, and how old the oldest is."""
    files = [path for path in place.secrets.iterdir() if path.is_file()]
    is_closed = str(place.secrets) == _MOUNTED or not place.secrets.stat().st_mode & _OPEN_TO_OTHERS
    open_to_others = [
        path.name for path in files if not is_closed and path.stat().st_mode & _OPEN_TO_OTHERS and path.suffix != ".pub"
    ]
    found = f"{len(files)} files"
    if open_to_others:
        return Finding(
            subject="secrets",
            found=f"{found}; open to others: {', '.join(sorted(open_to_others))}",
            failed=True,
            advice=f"Close them: `chmod -R go= {place.secrets}`; then make new ones, see docs/runbook.md.",
        )
    if not files:
        return Finding(subject="secrets", found=f"none in {place.secrets}", failed=True, advice="See docs/deploy.md.")
    oldest = min(files, key=lambda path: path.stat().st_mtime)
    age = SystemClock().now() - datetime.fromtimestamp(oldest.stat().st_mtime, tz=UTC)
    advice = "Rotate them once a year: see docs/runbook.md." if age > SECRET_AGE_MAX else ""
    return Finding(subject="secrets", found=f"{found}, the oldest {_age(age)} old ({oldest.name})", advice=advice)


def _failed(found: str, advice: str) -> Finding:
    return Finding(subject="backups", found=found, failed=True, advice=advice)


def _moment(text: str) -> datetime | None:
    return datetime.strptime(text, _MOMENT).replace(tzinfo=UTC) if text else None


def _age(age: timedelta) -> str:
    return f"{age.days} d" if age.days else f"{age // timedelta(hours=1)} h" if age >= timedelta(hours=1) else "< 1 h"
