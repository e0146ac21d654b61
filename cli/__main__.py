"""`trader`: the entry point, and the one place where errors become messages and exit statuses."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import typer

from cli.commands import checks, configuration, listings, setup, stack, state
from cli.errors import CommandError, ExitStatus
from libs.common.errors import ConfigurationError
from libs.embedded.errors import EmbeddedError

app: Final = typer.Typer(
    name="trader",
    help="Crypto Trader Pro: an unattended crypto spot trading system. No profit is promised or implied.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
COMMANDS: Final[Mapping[str, Sequence[Callable[..., None]]]] = {
    "The stack": (stack.up, stack.down, stack.ps, stack.logs, stack.endpoints),
    "Trading": (state.status, state.start, state.stop, state.halt, state.resume),
    "What happened": (
        listings.prices,
        listings.signals,
        listings.refusals,
        listings.orders,
        listings.fills,
        listings.positions,
        listings.performance,
        listings.alerts,
    ),
    "Proof": (checks.invariants, checks.doctor),
}
for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(checks.audit, name="audit", rich_help_panel="Proof")
app.add_typer(configuration.config, name="config", rich_help_panel="Set-up")
app.add_typer(setup.db, name="db", rich_help_panel="Set-up")
app.add_typer(setup.topics, name="topics", rich_help_panel="Set-up")


@app.callback()
def _options(*, debug: bool = typer.Option(False, "--debug", help="Show a traceback when something fails.")) -> None:
    del debug  # read from argv by `main`, which must know it whatever fails


def main() -> None:
    """Run a command and exit with its status."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(ExitStatus.INTERRUPTED)
    except (CommandError, ConfigurationError, EmbeddedError) as error:
        if "--debug" in sys.argv:
            raise
        _explain(error)
        sys.exit(_status(error))


def _status(error: CommandError | ConfigurationError | EmbeddedError) -> int:
    if isinstance(error, CommandError):
        return error.status
    return ExitStatus.CONFIGURATION if isinstance(error, ConfigurationError) else error.exit_status


def _explain(error: CommandError | ConfigurationError | EmbeddedError) -> None:
    message = str(error) if isinstance(error, ConfigurationError) else error.message
    typer.echo(f"error: {message}", err=True)
    if error.hint and not isinstance(error, ConfigurationError):
        typer.echo(error.hint, err=True)


if __name__ == "__main__":
    main()
