"""`trader alerts`: what a person should know, who was told, and `trader alerts ack`: that somebody knows."""

import re
from dataclasses import replace
from typing import Annotated, Any, Final

import typer

from cli.commands.listings import ALERTS, State, read_listing
from cli.durations import parse_since
from cli.errors import CommandError, ExitStatus
from cli.filters import checked_state
from cli.options import DEFAULT_DATA_DIR, AsJson, DataDir, Limit, Reason, Since, Symbol
from cli.output import emit_json, emit_rows, tell
from cli.place import Place, find_place, run
from cli.scope import check_reason, check_scope
from libs.common.clock import SystemClock

alerts = typer.Typer(help="What a person should know, and who was told.", invoke_without_command=True)

COLUMNS: Final = ("id", "occurred_at", "alert_type", "severity", "component", "symbol", "message", "deliveries")
IN_JSON: Final = (
    *ALERTS.columns,
    "event_id",
    "id",
    "unacknowledged",
    "acknowledged_at",
    "acknowledged_by",
    "deliveries",
)
UNACKNOWLEDGED: Final = replace(ALERTS, condition="unacknowledged")
OTHERS: Final = replace(ALERTS, condition="NOT unacknowledged")
ID_FORM: Final = re.compile(r"[0-9a-f]{4,32}")

_NAMED: Final = """
    SELECT event_id, account FROM alerts WHERE replace(event_id::text, '-', '') LIKE $1 || '%' ORDER BY event_id LIMIT 2
"""


@alerts.callback()
def show(
    context: typer.Context,
    symbol: Symbol = None,
    state: State = None,
    since: Since = None,
    limit: Limit = 20,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List what a person should know: emergencies that nobody acknowledged first, then newest first."""
    if context.invoked_subcommand is not None:
        return
    moment = parse_since(since, now=SystemClock().now())
    wanted = checked_state(ALERTS.name, state)
    place = find_place(data_dir)
    check_scope(place, symbol=symbol)
    rows = run(_read(place, (None, symbol, wanted, moment), limit))
    if as_json:
        emit_rows(ALERTS.name, rows, IN_JSON, as_json=True)
        return
    shown = [{**row, "deliveries": _told(row["deliveries"])} for row in rows]
    emit_rows(ALERTS.name, shown, COLUMNS, as_json=False)
    if unacknowledged := [row["id"] for row in rows if row["unacknowledged"]]:
        tell(f"Not acknowledged: {', '.join(unacknowledged)}. `trader alerts ack ID` says that you know.")


@alerts.command("ack")
def ack(
    alert: Annotated[str, typer.Argument(metavar="ID", help="As the message and `trader alerts` have it.")],
    reason: Reason = "acknowledged by the operator",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Say that you know of an emergency, so that nobody else is woken; it halts and resumes nothing."""
    check_reason(reason, consequence="Nothing was acknowledged.")
    digits = _digits(alert)
    place = find_place(data_dir)
    named = run(_named(place, digits))
    from cli.operating import operate  # noqa: PLC0415 - the libraries behind it cost half a second

    account = named["account"] or place.configuration().exchange.accounts[0]
    outcome = run(operate(place, "ACKNOWLEDGE", account=account, reason=reason, alert=named["event_id"]))
    if outcome.refusal is not None:
        raise CommandError(
            f"{alert} was not acknowledged: {outcome.refusal}", hint="See `trader keys list` and `trader alerts`."
        )
    if outcome.missing:
        raise CommandError(
            f"the acknowledgement was sent: expected an answer of {', '.join(outcome.missing)} "
            f"within {outcome.waited_s_max:g} s, found none",
            hint="`trader alerts` shows whether it counts. See `trader ps`.",
            status=ExitStatus.TIMED_OUT,
        )
    if as_json:
        emit_json(
            {
                "command_id": outcome.command.command_id,
                "acknowledged_ms": outcome.acknowledged_ms,
                "event_id": named["event_id"],
                "note": outcome.note,
            }
        )
        return
    typer.echo(f"{alert}: {outcome.note}")


def _told(deliveries: dict[str, str]) -> str:
    return ", ".join(f"{channel} {state}" for channel, state in sorted(deliveries.items()))


async def _read(place: Place, filters: tuple[Any, ...], limit: int) -> list[dict[str, Any]]:
    first = await read_listing(place, UNACKNOWLEDGED, (*filters, limit or None))
    left = limit - len(first) if limit else None
    return first if left == 0 else [*first, *await read_listing(place, OTHERS, (*filters, left))]


def _digits(typed: str) -> str:
    digits = typed.lower().replace("-", "")
    if ID_FORM.fullmatch(digits) is None:
        raise CommandError(f"expected the id of an alert such as 3f2a9c1d, found {typed}", status=ExitStatus.USAGE)
    return digits


async def _named(place: Place, digits: str) -> dict[str, Any]:
    """Return the alert that a person means.

    Raises:
        CommandError: There is none, or more than one.
    """
    async with place.database() as database, database.connection() as connection:
        rows = await connection.fetch(_NAMED, digits)
    if len(rows) != 1:
        raise CommandError(
            f"expected the id of one alert, found {'several that begin with' if rows else 'none with'} {digits}",
            hint="`trader alerts --json` has the whole ids. Nothing was acknowledged.",
        )
    return dict(rows[0])
