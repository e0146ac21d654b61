"""Every `trader` command and option that a document names exists and takes its arguments."""

from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from cli.__main__ import app
from cli.errors import ExitStatus
from tests.support.documents import (
    README,
    README_KO,
    documents,
    inline_code,
    named,
    rows,
    shell_lines,
    trader_arguments,
)

PROGRAM: Any = get_command(app)


def refusal_of(line: str, *, complete: bool) -> str | None:
    """Return why a command line is not understood; None if it is.

    Args:
        line: The command as documented.
        complete: It is meant to be run as it stands; otherwise its name alone suffices.
    """
    arguments = trader_arguments(line)
    command, context = PROGRAM, PROGRAM.context_class(PROGRAM, info_name="trader")
    while hasattr(command, "commands"):
        if not arguments:
            return None
        if arguments[0].startswith("-") and command.invoke_without_command:
            break
        if (name := arguments.pop(0)) not in command.commands:
            return f"no command {name!r}"
        command = command.commands[name]
        context = command.context_class(command, parent=context, info_name=name)
    if not arguments and not complete:
        return None
    try:
        command.parse_args(context, arguments)
    except Exception as error:  # noqa: BLE001 - whatever the parser says against it is the answer
        return str(error) or type(error).__name__
    return None


def options(command: Any) -> set[str]:
    own = {name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]}
    return own.union(*(options(child) for child in getattr(command, "commands", {}).values()))


@pytest.mark.parametrize("document", documents(), ids=named)
def test_documented_commands_are_understood(document: Path):
    text = document.read_text(encoding="utf-8")
    to_run = {line: True for line in shell_lines(text) if line.startswith("trader ")}
    told = {code: False for code in inline_code(text) if code.startswith("trader ")}

    refused = {line: why for line, run in {**told, **to_run}.items() if (why := refusal_of(line, complete=run))}

    assert refused == {}


@pytest.mark.parametrize("document", documents(), ids=named)
def test_documented_options_exist(document: Path):
    text = document.read_text(encoding="utf-8")

    named_options = {code.split()[0] for code in inline_code(text) if code.startswith("--")}

    assert named_options <= options(PROGRAM) | {"--help"}


def test_a_command_that_does_not_exist_is_noticed():
    assert refusal_of("trader fly", complete=True)
    assert refusal_of("trader orders --limit many", complete=True)
    assert refusal_of("trader halt", complete=True)
    assert refusal_of("trader alerts --flight 7", complete=True)


@pytest.mark.parametrize("readme", [README, README_KO], ids=named)
def test_the_readme_names_every_command(readme: Path):
    told = {tuple(code.split()[1:]) for code in inline_code(readme.read_text(encoding="utf-8")) if "trader " in code}
    known = {
        (name, *child)
        for name, command in PROGRAM.commands.items()
        for child in ([(each,) for each in command.commands] if hasattr(command, "commands") else [()])
    }

    assert {path for path in known if not any(words[: len(path)] == path for words in told)} == set()


@pytest.mark.parametrize("readme", [README, README_KO], ids=named)
def test_the_readme_names_every_exit_status(readme: Path):
    first_cells = [cells[0] for cells in rows(readme.read_text(encoding="utf-8"))]

    assert [int(cell) for cell in first_cells if cell.isdigit()] == [status.value for status in ExitStatus]
