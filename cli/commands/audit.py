"""`trader audit verify|explain|archive`: the tamper-evident log, and its months in files."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlsplit, urlunsplit

import typer

from cli.commands.setup import OWNER
from cli.errors import CommandError, ExitStatus
from cli.options import DEFAULT_DATA_DIR, AsJson, DataDir
from cli.output import emit_json, tell, text_of
from cli.place import DEPLOYED, Place, find_place, run

audit = typer.Typer(help="The tamper-evident log.", no_args_is_help=True)

Archives = Annotated[
    Path | None, typer.Option("--archives", help="Where its archives are; otherwise `archives` in the data directory.")
]


@audit.command("verify")
def verify(archives: Archives = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Verify every link of the audit log, in its archives and in the database, and its signed anchors."""
    content = run(_verify(find_place(data_dir), archives))
    broken = content["first_broken"]
    if as_json:
        emit_json(content)
    elif broken is None:
        typer.echo(
            f"Verified: {content['events']} events in {content['chains']} chains, {content['anchors']} anchors, "
            f"{content['archives']} archives."
        )
    if broken is not None:
        place = f"{broken['topic']}/{broken['partition']} at offset {broken['offset']}: "
        raise CommandError(
            f"{'' if broken['topic'] == 'archives' else place}{broken['problem']}: "
            f"expected {broken['expected']}, found {broken['found']}",
            hint="Halt (`trader halt --reason ...`), keep the database as it is, and see docs/runbook.md.",
            status=ExitStatus.FOUND,
        )


@audit.command("explain")
def explain(
    order: Annotated[str, typer.Argument(help="A client order id, exchange order id, intent id or signal id.")],
    archives: Archives = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Tell one order's whole story: from the quote and candle it was decided on to its fills."""
    steps = run(_explain(find_place(data_dir), order, archives))
    if not steps:
        raise CommandError(
            f"{order}: expected an order or signal of the audit log, found none",
            hint="`trader orders` lists client order ids. The log is written within a second of each event.",
        )
    if as_json:
        emit_json({"order": order, "steps": [step.as_json() for step in steps]})
        return
    for step in steps:
        typer.echo(f"{text_of(step.recorded_at)}  {step.event_type:<20} {_told(step.content)}")


@audit.command("archive")
def archive(
    before: Annotated[
        str | None,
        typer.Option("--before", help="Only months before this one, as 2026-09; otherwise all that are over."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Where to; otherwise `archives` in the data directory.")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Write months that are over into signed files, read them back, and drop them from the database."""
    directory = to if to is not None else data_dir / "archives"
    archived, closing = run(_archive(_owner_dsn(data_dir), directory, data_dir, _month(before)))
    if as_json:
        emit_json({"directory": str(directory), "archives": archived, "next_from": closing.isoformat()})
    elif not archived:
        waiting = "No month" if before is None else f"No month before {before}"
        typer.echo(f"{waiting} waits to be archived. The next one is over for good on {text_of(closing)} UTC.")


async def _verify(place: Place, archives: Path | None) -> dict[str, Any]:
    from cli.checking import check_audit  # noqa: PLC0415

    async with place.database() as database:
        return await check_audit(database, place.directory, archives)


async def _explain(place: Place, order: str, archives: Path | None) -> Any:
    from cli.checking import shelf_of  # noqa: PLC0415
    from libs.common.audit.archives import ArchiveError  # noqa: PLC0415
    from libs.common.audit.explanation import explain as explain_order  # noqa: PLC0415

    shelf = shelf_of(place.directory, archives)
    try:
        async with place.database() as database, database.connection() as connection:
            return await explain_order(connection, order, shelf=shelf)
    except ArchiveError as error:
        raise CommandError(
            f"the story of {order} needs an archive: {error}",
            hint=f"Bring its files back to {shelf.directory}, or name their directory with --archives.",
        ) from error


async def _archive(
    dsn: str, directory: Path, data_dir: Path, before: datetime | None
) -> tuple[list[dict[str, Any]], datetime]:
    from cli.checking import AUDIT_KEY  # noqa: PLC0415 - see cli/place.py
    from libs.common.audit.anchors import load_or_create_key  # noqa: PLC0415
    from libs.common.audit.archives import ArchiveError, records_path  # noqa: PLC0415
    from libs.common.audit.archiving import ArchivingError, archive_months, next_closing, owner_connection  # noqa: PLC0415
    from libs.embedded.directory import DataDirectory  # noqa: PLC0415

    key = load_or_create_key(DataDirectory(data_dir).secrets / AUDIT_KEY)
    connection = await owner_connection(dsn)
    archived = []
    try:
        async for done in archive_months(connection, directory=directory, key=key, before=before):
            path = records_path(directory, done.name)
            tell(f"{path}: {done.records} records, {path.stat().st_size} bytes")
            archived.append({"name": done.name, "records": done.records, "sha256": done.sha256})
        return archived, await next_closing(connection)
    except ArchiveError as error:
        raise CommandError(
            str(error), hint="Nothing of this month was dropped. See `trader audit verify`.", status=ExitStatus.FOUND
        ) from error
    except ArchivingError as error:
        raise CommandError(str(error), hint=f"Nothing of this month was dropped. {error.advice}") from error
    finally:
        await connection.close()


def _owner_dsn(data_dir: Path) -> str:
    """Return the address of the database with its owner's password, which no other command needs."""
    if DEPLOYED in os.environ:
        from libs.common.settings import ServiceSettings, load_settings  # noqa: PLC0415 - pydantic costs 200 ms

        return load_settings(ServiceSettings).postgres_dsn(OWNER)
    place = find_place(data_dir)
    parts = urlsplit(str(place.endpoints["postgres"]))
    password = (place.secrets / f"postgres-{OWNER}").read_text(encoding="utf-8").strip()
    return urlunsplit(parts._replace(netloc=f"{OWNER}:{quote(password, safe='')}@{parts.hostname}:{parts.port}"))


def _month(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError as error:
        raise CommandError(
            f"--before: expected a month such as 2026-09, found {text!r}", status=ExitStatus.USAGE
        ) from error


def _told(content: dict[str, Any]) -> str:
    """Return what matters of an event in one line: its fields without ids and empty ones."""
    skipped = {"occurred_at", "intent_id", "parent_intent_id", "correlation_id", "key_id", "signature"}
    return "  ".join(
        f"{name}={value}" for name, value in content.items() if name not in skipped and value not in (None, "", [], {})
    )
