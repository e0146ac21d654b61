"""`trader secrets init|rotate|enrol|exchange-keys|arm`: the secret files of a deployment with docker compose."""

import os
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import CommandError, ExitStatus
from cli.options import AsJson
from cli.output import emit_json, tell

secrets = typer.Typer(help="The secret files of a deployment with docker compose.", no_args_is_help=True)

Directory = Annotated[Path, typer.Option("--directory", help="Where the secret files are.")]
Into = Annotated[Path, typer.Option("--into", help="A directory exchange-RIGHT for each right lies here.")]
DEFAULT_DIRECTORY = Path("secrets")


@secrets.command("init")
def init(directory: Directory = DEFAULT_DIRECTORY, as_json: AsJson = False) -> None:
    """Make every secret that is missing; none is ever overwritten."""
    from cli.deployment.secrets import make_secrets  # noqa: PLC0415 - the libraries behind it cost time

    made = make_secrets(directory)
    if as_json:
        emit_json(
            {"directory": str(directory), "written": made.written, "kept": made.kept, "missing_for_live": made.missing}
        )
        return
    for name in made.written:
        tell(f"wrote {directory / name}")
    tell(f"{len(made.written)} files written, {len(made.kept)} kept. {directory} is open to you alone: keep a copy.")
    if made.missing:
        tell(f"Trading for real also needs the exchange's keys here: {', '.join(made.missing)}.")


@secrets.command("rotate")
def rotate(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Passwords by the names of their files.")],
    directory: Directory = DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Make passwords anew; they hold once the deployment was started again with --force-recreate."""
    from cli.deployment.secrets import rotate_secrets  # noqa: PLC0415 - the libraries behind it cost time

    written = rotate_secrets(directory, names)
    if as_json:
        emit_json({"directory": str(directory), "written": written})
        return
    for name in written:
        tell(f"wrote {directory / name}")
    tell(
        "Until `docker compose up --wait --force-recreate` the old ones hold: see docs/runbook.md, Rotating passwords."
    )


@secrets.command("enrol")
def enrol() -> None:
    """Let the operator's key command where nobody does yet; settings come from TRADER_… variables."""
    from cli.deployment.secrets import enrol_operator  # noqa: PLC0415 - the libraries behind it cost time
    from libs.common.settings import ServiceSettings, load_settings  # noqa: PLC0415

    settings = load_settings(ServiceSettings)
    enrolled = enrol_operator(settings.secrets_dir, settings.operators_file)
    tell("The operator may command." if enrolled else "Who may command stays as it is.")


@secrets.command("exchange-keys")
def exchange_keys(
    keys_file: Annotated[Path, typer.Option("--keys-file", help="The paper exchange's own keys.")],
    into: Into,
) -> None:
    """Give each service the one key of the paper exchange that it needs, in a directory of its own."""
    from cli.stack.exchange_keys import installed_file, write_key_files  # noqa: PLC0415 - only this command needs it

    write_key_files(keys_file, lambda right: installed_file(into, right))
    tell("Every service has its key.")


@secrets.command("arm")
def arm(into: Into) -> None:
    """Give each service its key of the real exchange, unless anything is missing that trading for real needs."""
    from cli.deployment.arming import install_keys, objections  # noqa: PLC0415 - the libraries behind it cost time
    from cli.stack.plan import check_startable  # noqa: PLC0415
    from libs.common.configuration import load_sourced  # noqa: PLC0415
    from libs.common.settings import ServiceSettings, load_settings  # noqa: PLC0415

    settings = load_settings(ServiceSettings)
    configuration = load_sourced(settings.config_files, os.environ).configuration
    if found := list(objections(settings, configuration, os.environ)):
        raise CommandError(
            "\n".join(("expected an armed deployment, found one that is not:", *found)),
            hint="docs/deploy.md says how real trading is armed. Nothing was started.",
            status=ExitStatus.CONFIGURATION,
        )
    check_startable(configuration, where=", ".join(str(path) for path in settings.config_files))
    install_keys(settings.secrets_dir, into)
    tell("Armed: every service has its key of the real exchange.")
