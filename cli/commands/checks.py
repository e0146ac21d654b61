"""`trader audit verify|explain`, `trader invariants`, `trader doctor`: is all of it true?"""

from typing import Annotated, Any

import typer

from cli.errors import CommandError, ExitStatus
from cli.options import DEFAULT_DATA_DIR, AsJson, DataDir
from cli.output import emit_json, emit_rows, tell, text_of
from cli.place import Place, find_place, run

audit = typer.Typer(help="The tamper-evident log.", no_args_is_help=True)


@audit.command("verify")
def verify(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Verify every link of the audit log and its signed anchors."""
    content = run(_verify(find_place(data_dir)))
    broken = content["first_broken"]
    if as_json:
        emit_json(content)
    elif broken is None:
        typer.echo(f"Verified: {content['events']} events in {content['chains']} chains, {content['anchors']} anchors.")
    if broken is not None:
        raise CommandError(
            f"{broken['topic']}/{broken['partition']} at offset {broken['offset']}: {broken['problem']}: "
            f"expected {broken['expected']}, found {broken['found']}",
            hint="Halt (`trader halt --reason ...`), keep the database as it is, and see docs/runbook.md.",
            status=ExitStatus.FOUND,
        )


@audit.command("explain")
def explain(
    order: Annotated[str, typer.Argument(help="A client order id, exchange order id, intent id or signal id.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Tell one order's whole story: from the quote and candle it was decided on to its fills."""
    steps = run(_explain(find_place(data_dir), order))
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


def invariants(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Compare every order, fill and balance with the exchange's own journal."""
    content = run(_invariants(find_place(data_dir)))
    if as_json:
        emit_json(content)
    else:
        rows = [{"invariant": name, "checked": count} for name, count in content["checked"].items()]
        emit_rows("invariants", rows, ("invariant", "checked"), as_json=False)
    if content["violations"]:
        first = content["violations"][0]
        if not as_json:
            emit_rows("violations", content["violations"], ("invariant", "order", "expected", "found"), as_json=False)
        raise CommandError(
            f"{len(content['violations'])} violations; the first: {first['invariant']}: {first['order']}: "
            f"expected {first['expected']}, found {first['found']}",
            hint="Halt (`trader halt --reason ...`), then see docs/runbook.md.",
            status=ExitStatus.FOUND,
        )


def doctor(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Check this machine and the stack: Java, disk, clock, processes, topics, database, exchange."""
    from cli.examination import examine  # noqa: PLC0415 - it imports the stores' libraries

    findings = run(examine(data_dir))
    if as_json:
        emit_json({"checks": [finding.as_json() for finding in findings]})
    else:
        for finding in findings:
            typer.echo(f"{finding.mark} {finding.subject}: {finding.found}")
            if finding.advice:
                tell(f"    {finding.advice}")
    failed = [finding for finding in findings if finding.failed]
    if failed:
        raise CommandError(
            f"{len(failed)} of {len(findings)} checks failed: {', '.join(finding.subject for finding in failed)}",
            status=ExitStatus.FOUND,
        )


async def _verify(place: Place) -> dict[str, Any]:
    from cli.checking import check_audit  # noqa: PLC0415

    async with place.database() as database:
        return await check_audit(database, place.directory)


async def _explain(place: Place, order: str) -> Any:
    from libs.common.audit.explanation import explain as explain_order  # noqa: PLC0415

    async with place.database() as database, database.connection() as connection:
        return await explain_order(connection, order)


async def _invariants(place: Place) -> dict[str, Any]:
    from cli.checking import check_stack  # noqa: PLC0415

    async with place.database() as database:
        return await check_stack(
            database,
            place.directory,
            symbols=place.configuration().symbols,
            kafka=place.kafka(),
        )


def _told(content: dict[str, Any]) -> str:
    """Return what matters of an event in one line: its fields without ids and empty ones."""
    skipped = {"occurred_at", "intent_id", "parent_intent_id", "correlation_id", "key_id", "signature"}
    return "  ".join(
        f"{name}={value}" for name, value in content.items() if name not in skipped and value not in (None, "", [], {})
    )
