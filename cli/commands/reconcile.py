"""`trader reconcile show|accept`: where the books and the exchange differ, and how a person settles it."""

from typing import Annotated, Any, Final

import typer

from cli.errors import CommandError, ExitStatus
from cli.options import DEFAULT_DATA_DIR, AsJson, DataDir, Reason
from cli.output import emit_json, emit_rows, tell
from cli.place import Place, find_place, run
from cli.scope import check_reason, check_scope

reconcile = typer.Typer(help="The books against the exchange.", no_args_is_help=True)

COLUMNS: Final = ("id", "since", "account", "symbol", "kind", "subject", "expected", "found", "action")
ACTIONS: Final[dict[str, str]] = {
    "BALANCE": "find out why, then accept it into the books",
    "TRADE": "accept it into the books",
    "MISSING_ORDER": "accept that it is gone; the position is protected anew",
    "UNRECORDED_ORDER": "cancel it at the exchange if it is open, then accept it",
    "FOREIGN_ORDER": "stop the other installation, cancel its orders, then accept it",
    "RESTORED": "check orders and positions against the exchange, then accept it",
    "LATE_FILL": "it is adopted and protected; accept that it counts",
}
"""What to do about each kind, before `trader resume`."""

_OPEN: Final = """
    SELECT id, since, account, symbol, kind, subject, expected, found FROM differences
    WHERE accepted_at IS NULL AND ($1::text IS NULL OR account = $1) ORDER BY id
"""
_ACCOUNT: Final = "SELECT account FROM differences WHERE id = $1"

OneAccount = Annotated[str | None, typer.Option("--account", help="Only this exchange account.")]


@reconcile.command("show")
def show(data_dir: DataDir = DEFAULT_DATA_DIR, account: OneAccount = None, as_json: AsJson = False) -> None:
    """List every open difference, and what to do about it."""
    place = find_place(data_dir)
    check_scope(place, account=account)
    rows = [{**row, "action": ACTIONS.get(row["kind"], "accept it")} for row in run(_open(place, account))]
    emit_rows("differences", rows, COLUMNS, as_json=as_json)
    if rows and not as_json:
        tell("`trader reconcile accept ID --reason TEXT` settles one; `trader resume` then ends its halt.")


@reconcile.command("accept")
def accept(
    difference: Annotated[int, typer.Argument(metavar="ID", help="As `trader reconcile show` lists it.", min=1)],
    reason: Reason,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Take what the exchange holds into the books: signed, audited, and refused if it has changed meanwhile."""
    check_reason(reason, consequence="Nothing was accepted.")
    place = find_place(data_dir)
    account = run(_account_of(place, difference))
    if account is None:
        raise CommandError(
            f"expected the id of a difference, found {difference}",
            hint="`trader reconcile show` lists them. Nothing was accepted.",
        )
    from cli.operating import operate  # noqa: PLC0415 - the libraries behind it cost half a second

    outcome = run(operate(place, "RECONCILE_ACCEPT", account=account, reason=reason, difference=difference))
    if outcome.refusal is not None:
        raise CommandError(
            f"{difference} was not accepted: {outcome.refusal}",
            hint="`trader reconcile show` lists what differs now. Nothing was booked.",
        )
    if outcome.missing:
        raise CommandError(
            f"the acceptance was sent: expected an answer of {', '.join(outcome.missing)} "
            f"within {outcome.waited_s_max:g} s, found none",
            hint="It may still be booked; `trader reconcile show` shows whether it was. See `trader ps`.",
            status=ExitStatus.TIMED_OUT,
        )
    if as_json:
        emit_json(
            {
                "command_id": outcome.command.command_id,
                "acknowledged_ms": outcome.acknowledged_ms,
                "id": difference,
                "account": account,
                "booked": outcome.note,
            }
        )
        return
    typer.echo(f"accepted {difference} of {account}: {outcome.note}")


async def _open(place: Place, account: str | None) -> list[dict[str, Any]]:
    async with place.database() as database, database.connection() as connection:
        return [dict(row) for row in await connection.fetch(_OPEN, account)]


async def _account_of(place: Place, difference: int) -> str | None:
    async with place.database() as database, database.connection() as connection:
        account: str | None = await connection.fetchval(_ACCOUNT, difference)
        return account
