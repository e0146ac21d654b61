"""`trader invariants`, `trader doctor`: is all of it true?"""

from typing import Any

import typer

from cli.errors import CommandError, ExitStatus
from cli.options import DEFAULT_DATA_DIR, AsJson, DataDir
from cli.output import emit_json, emit_rows, tell
from cli.place import Place, find_place, run


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


async def _invariants(place: Place) -> dict[str, Any]:
    from cli.checking import check_stack  # noqa: PLC0415

    async with place.database() as database:
        return await check_stack(
            database,
            place.directory,
            symbols=place.configuration().symbols,
            kafka=place.kafka(),
        )
