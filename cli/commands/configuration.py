"""`trader config show|validate`: the configuration."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import DEFAULT_DATA_DIR, AsJson, DataDir
from cli.output import emit_json, emit_rows, tell
from cli.place import find_place

config = typer.Typer(help="The configuration.", no_args_is_help=True)


@config.command("show")
def show(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Show the running configuration, and which values differ from the specification's."""
    from libs.common.configuration import load_configuration  # noqa: PLC0415 - the models cost 200 ms

    configuration = find_place(data_dir).configuration()
    content = configuration.model_dump(mode="json")
    if as_json:
        emit_json({"version": configuration.version, "hash": configuration.hash, "configuration": content})
        return
    specified = dict(_flat(load_configuration([]).model_dump(mode="json")))
    rows = [
        {"key": key, "value": value, "from": "default" if specified.get(key) == value else "configuration"}
        for key, value in _flat(content)
    ]
    emit_rows("configuration", rows, ("key", "value", "from"), as_json=False)


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


def _flat(content: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in content.items():
        if isinstance(value, dict) and value:
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", value))
    return rows
