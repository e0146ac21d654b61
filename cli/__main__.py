"""`trader`: the entry point, and the one place where errors become messages and exit statuses."""

import sys
from typing import Final

import typer

from cli.commands import setup
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
app.add_typer(setup.db, name="db")
app.add_typer(setup.topics, name="topics")


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
