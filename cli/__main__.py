"""`trader`: the entry point, and the one place where errors become messages and exit statuses.

Commands import what they work with when they run, so that `trader --help` answers at once.
"""

import atexit
import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import typer

from cli.commands import (
    alerts,
    audit,
    backtest,
    checks,
    configuration,
    exchange,
    keys,
    listings,
    notify,
    reconcile,
    secrets,
    setup,
    stack,
    state,
    watching,
)
from cli.errors import CommandError, ExitStatus, is_debugging
from libs.common.errors import ConfigurationError, RetryableError
from libs.embedded.errors import EmbeddedError

app: Final = typer.Typer(
    name="trader",
    help="Crypto Trader Pro: an unattended crypto spot trading system. No profit is promised or implied.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
COMMANDS: Final[Mapping[str, Sequence[Callable[..., None]]]] = {
    "The stack": (stack.up, stack.down, stack.ps, stack.logs, stack.endpoints, exchange.exchange),
    "Trading": (state.status, watching.watch, state.start, state.stop, state.halt, state.resume),
    "What happened": (
        listings.prices,
        listings.signals,
        listings.refusals,
        listings.orders,
        listings.fills,
        listings.positions,
        listings.performance,
    ),
    "Proof": (checks.invariants, checks.doctor),
}
for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(audit.audit, name="audit", rich_help_panel="Proof")
app.add_typer(reconcile.reconcile, name="reconcile", rich_help_panel="Trading")
app.add_typer(alerts.alerts, name="alerts", rich_help_panel="What happened")
app.add_typer(notify.notify, name="notify", rich_help_panel="What happened")
app.add_typer(backtest.backtest, name="backtest", rich_help_panel="The past")
app.add_typer(configuration.config, name="config", rich_help_panel="Set-up")
app.add_typer(keys.keys, name="keys", rich_help_panel="Set-up")
app.add_typer(secrets.secrets, name="secrets", rich_help_panel="Set-up")
app.add_typer(setup.access, name="access", rich_help_panel="Set-up")
app.add_typer(setup.db, name="db", rich_help_panel="Set-up")
app.add_typer(setup.topics, name="topics", rich_help_panel="Set-up")


OBJECTS_UNTIL_COLLECTION: Final = 100_000
"""Loading libraries makes many objects and no garbage: looking through them took a third of a command's time."""


@app.callback()
def _options(*, debug: bool = typer.Option(False, "--debug", help="Show a traceback when something fails.")) -> None:
    del debug  # it may stand anywhere: `main` looks for it


def main() -> None:
    """Run a command and exit with its status."""
    gc.set_threshold(OBJECTS_UNTIL_COLLECTION)
    atexit.register(gc.freeze)  # nor is there anything to look for at the end
    try:
        app(args=[argument for argument in sys.argv[1:] if argument != "--debug"])
    except KeyboardInterrupt:
        sys.exit(ExitStatus.INTERRUPTED)
    except Exception as error:  # the last stop: whatever it is, a person must be told
        if is_debugging():
            raise
        message, hint, status = _explained(error)
        typer.echo(f"error: {message}", err=True)
        if hint:
            typer.echo(hint, err=True)
        sys.exit(status)


def _explained(error: Exception) -> tuple[str, str, int]:
    """Return what is wrong, what to do about it, and the exit status."""
    match error:
        case CommandError():
            return error.message, error.hint, error.status
        case EmbeddedError():
            return error.message, error.hint, error.exit_status
        case ConfigurationError():
            return str(error), "", ExitStatus.CONFIGURATION
        case RetryableError():
            return str(error), "See `trader ps` and `trader logs`.", ExitStatus.NOT_RUNNING
        case OSError(filename=str(path), strerror=str(reason)):
            return f"{path}: expected to be able to use it, found: {reason}", "", ExitStatus.FAILED
    return (
        f"this is a bug: {error!r}",
        "Run the command again with --debug to see where, and report it with what you see.",
        ExitStatus.FAILED,
    )


if __name__ == "__main__":
    main()
