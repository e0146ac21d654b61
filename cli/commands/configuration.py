"""`trader config show|set|history|validate`: the configuration."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import CommandError, ExitStatus
from cli.options import DEFAULT_DATA_DIR, AsJson, DataDir
from cli.output import emit_json, emit_rows, tell
from cli.place import Place, find_place, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cli.operating import Outcome

config = typer.Typer(help="The configuration.", no_args_is_help=True)


@config.command("show")
def show(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Show the configuration in force, where each value comes from, and where the files say otherwise."""
    from cli.versions import differing_files, read_version, tell_differences  # noqa: PLC0415 - the models cost 200 ms
    from libs.common.configuration.keys import flat  # noqa: PLC0415

    place = find_place(data_dir)
    stored = run(read_version(place))
    if as_json:
        differing = differing_files(place, stored)
        content = {name: stored[name] for name in ("version", "hash", "configuration", "origins")}
        emit_json({**content, "files_differ": [{"key": key, "file": value} for key, value in differing.items()]})
        return
    rows = [
        {"key": key, "value": value, "from": stored["origins"].get(key, "default")}
        for key, value in flat(stored["configuration"]).items()
    ]
    emit_rows("configuration", rows, ("key", "value", "from"), as_json=False)
    tell_differences(place, stored)


@config.command("set")
def set_values(
    assignments: Annotated[list[str], typer.Argument(help="KEY=VALUE, as in risk_management.stop_loss_pct=1.5.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept with the version and in the audit log.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Change values while everything runs: signed, checked as a whole, stored as a new version, applied at once."""
    if not reason.strip():
        raise CommandError("--reason: expected a reason, found an empty text", status=ExitStatus.USAGE)
    changes: dict[str, str] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not (key.strip() and equals) or key.strip() in changes:
            raise CommandError(
                f"expected KEY=VALUE, each key once, found {assignment!r}",
                hint="`trader config show` lists the keys. Nothing was changed.",
                status=ExitStatus.USAGE,
            )
        changes[key.strip()] = value.strip()
    place = find_place(data_dir)
    outcome = run(_configured(place, changes, reason))
    _report(outcome, as_json=as_json)


@config.command("history")
def history(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """List every version: when, by whom, why, and what it changed."""
    from cli.versions import read_versions  # noqa: PLC0415 - the clients of the stores

    rows: Sequence[Mapping[str, Any]] = run(read_versions(find_place(data_dir)))
    if as_json:
        emit_json({"versions": rows})
        return
    lines = [{**row, "changes": "; ".join(row["changes"])} for row in rows]
    emit_rows("versions", lines, ("version", "created_at", "issuer", "reason", "changes"), as_json=False)


@config.command("validate")
def validate(
    files: Annotated[list[Path], typer.Argument(help="The configuration; several files form one.")],
    as_json: AsJson = False,
) -> None:
    """Check a configuration without starting anything."""
    from cli.stack.demonstrations import differences  # noqa: PLC0415 - the models cost 200 ms
    from cli.stack.plan import check_startable  # noqa: PLC0415
    from libs.common.configuration import load_configuration  # noqa: PLC0415

    configuration = load_configuration(files)
    check_startable(configuration, where=", ".join(str(file) for file in files))
    if as_json:
        emit_json({"valid": True, "hash": configuration.hash, "changes": differences(configuration)})
        return
    tell("The configuration is valid. It changes from the specification's values:")
    for line in differences(configuration) or ["nothing"]:
        typer.echo(line)


async def _configured(place: Place, changes: "Mapping[str, str]", reason: str) -> "Outcome":
    from pydantic import ValidationError  # noqa: PLC0415 - the libraries behind it cost half a second

    from cli.operating import operate  # noqa: PLC0415 - the same
    from libs.common.configuration.accounts import accounts_of  # noqa: PLC0415 - the same

    accounts = place.configuration().exchange.accounts
    own = accounts_of(changes)  # the command must name an account: one that the change is about, if not all of them
    account = next((name for name in accounts if own is None or name in own), accounts[0])
    try:
        return await operate(place, "CONFIGURE", account=account, reason=reason, changes=changes)
    except ValidationError as error:
        raise CommandError(
            "expected at most 50 changes, keys of 200, values of 10,000 and a reason of 2,000 characters, found more",
            hint="Nothing was changed.",
            status=ExitStatus.USAGE,
        ) from error


def _report(outcome: "Outcome", *, as_json: bool) -> None:
    if outcome.refusal is not None:
        what, _, why = outcome.refusal.partition(": ")
        raise CommandError(
            f"the change was refused: {what}" + (f":\n{why}" if why else ""),
            hint="Nothing was changed. `trader config show` lists the keys and values.",
            status=ExitStatus.CONFIGURATION if what == "CONFIGURATION_IS_INVALID" else ExitStatus.FAILED,
        )
    if outcome.missing:
        raise CommandError(
            f"the change was sent: expected an answer of {', '.join(outcome.missing)} "
            f"within {outcome.waited_s_max:g} s, found none",
            hint=f"It may still be made until {outcome.command.expires_at:%H:%M:%S} UTC; "
            "`trader config history` shows whether it was. See `trader ps`.",
            status=ExitStatus.TIMED_OUT,
        )
    if as_json:
        emit_json(
            {
                "command_id": outcome.command.command_id,
                "acknowledged_ms": outcome.acknowledged_ms,
                "version": int(outcome.note.partition(":")[0].removeprefix("version ")),
                "note": outcome.note,
            }
        )
        return
    typer.echo(outcome.note)
