"""`trader status`, `start`, `stop`, `halt`, `resume`: the trading state."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.errors import CommandError, ExitStatus
from cli.options import DEFAULT_DATA_DIR, Account, AsJson, DataDir, Reason, Symbol
from cli.output import emit_json, emit_pairs, tell
from cli.place import Place, find_place, run
from cli.scope import check_scope, told_scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cli.operating import Outcome
    from libs.common.contracts.events.control import CommandName

Strategy = Annotated[str | None, typer.Option("--strategy", help="Only this strategy.")]
NOTHING_DONE: Final["Mapping[CommandName, str]"] = {
    "HALT": "Nothing was halted.",
    "RESUME": "Nothing was resumed.",
    "START": "Nothing was started.",
    "STOP": "Nothing was stopped.",
    "CONFIGURE": "Nothing was changed.",
}
"""What a person is told beside a refusal: a halt that did not happen must not be taken for one that did."""


def status(data_dir: DataDir = DEFAULT_DATA_DIR, account: Account = "main", as_json: AsJson = False) -> None:
    """Show the trading state, equity, PnL of the day, positions, orders, and how fresh everything is."""
    place = find_place(data_dir)
    content = run(_status(place, account))
    if as_json:
        emit_json(content)
        return
    from cli.status import status_pairs  # noqa: PLC0415 - the clients of the stores
    from cli.versions import daily_loss_limit_pct  # noqa: PLC0415 - the same

    limit_pct = run(daily_loss_limit_pct(place))
    emit_pairs(status_pairs(content, daily_loss_limit_pct=limit_pct), as_json=False)


def start(
    reason: Reason = "started by the operator",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    account: Account = "main",
    as_json: AsJson = False,
) -> None:
    """Let the account open positions: REDUCING becomes ACTIVE."""
    _command("START", data_dir, account, reason, as_json=as_json)


def stop(
    reason: Reason = "stopped by the operator",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    account: Account = "main",
    as_json: AsJson = False,
) -> None:
    """Open no more positions: ACTIVE becomes REDUCING; protection and exits go on."""
    _command("STOP", data_dir, account, reason, as_json=as_json)


def halt(
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in the audit log.")],
    liquidate: Annotated[bool, typer.Option("--liquidate", help="Sell every position of the scope.")] = False,
    symbol: Symbol = None,
    strategy: Strategy = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    account: Account = "main",
    as_json: AsJson = False,
) -> None:
    """The kill switch: over Kafka, Redis and a file at once; entries are cancelled, protection stays."""
    _command("HALT", data_dir, account, reason, symbol=symbol, strategy=strategy, liquidate=liquidate, as_json=as_json)


def resume(
    reason: Annotated[str, typer.Option("--reason", help="Why it is safe again; it is kept in the audit log.")],
    halt_id: Annotated[
        list[str] | None, typer.Option("--halt", help="The halt that this settles; none: every halt of the scope.")
    ] = None,
    symbol: Symbol = None,
    strategy: Strategy = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    account: Account = "main",
    as_json: AsJson = False,
) -> None:
    """End halts: HALTED becomes REDUCING; `trader start` then lets it trade."""
    from cli.operating import standing_halts  # noqa: PLC0415 - the libraries behind it cost half a second

    place = find_place(data_dir)
    check_scope(place, account=account, symbol=symbol, strategy=strategy, consequence=NOTHING_DONE["RESUME"])
    clears = tuple(halt_id or run(standing_halts(place, account, symbol=symbol, strategy=strategy)))
    if not clears:
        raise CommandError(
            f"{told_scope(account, symbol=symbol, strategy=strategy)}: expected a halt to resume from, found none",
            hint="`trader status` shows the state; `trader start` leads from REDUCING to ACTIVE.",
        )
    _command(
        "RESUME",
        data_dir,
        account,
        reason,
        symbol=symbol,
        strategy=strategy,
        clears=clears,
        scope=f"{', '.join(halt_id)} of {account}" if halt_id else "",
        as_json=as_json,
    )


def _command(
    command: "CommandName",
    data_dir: Path,
    account: str,
    reason: str,
    *,
    as_json: bool,
    symbol: str | None = None,
    strategy: str | None = None,
    liquidate: bool = False,
    clears: tuple[str, ...] = (),
    scope: str = "",
) -> None:
    if not reason.strip():
        raise CommandError("--reason: expected a reason, found an empty text", status=ExitStatus.USAGE)
    from cli.operating import operate  # noqa: PLC0415 - the libraries behind it cost half a second

    place = find_place(data_dir)
    check_scope(place, account=account, symbol=symbol, strategy=strategy, consequence=NOTHING_DONE[command])
    outcome = run(
        operate(
            place,
            command,
            account=account,
            reason=reason,
            symbol=symbol,
            strategy=strategy,
            liquidate=liquidate,
            clears=clears,
        )
    )
    _report(outcome, scope or told_scope(account, symbol=symbol, strategy=strategy), as_json=as_json)


def _report(outcome: "Outcome", scope: str, *, as_json: bool) -> None:
    name, answers = outcome.command.command, outcome.answers
    content = {
        "command_id": outcome.command.command_id,
        "acknowledged_ms": outcome.acknowledged_ms,
        "paths": outcome.paths,
        "state": next((answer.state for answer in answers if answer.component == "risk_manager"), None),
        "orders_cancelled": sum(answer.orders_cancelled for answer in answers),
        "last_order_sent_at": _latest(answer.last_order_sent_at for answer in answers),
        "last_order_accepted_at": _latest(answer.last_order_accepted_at for answer in answers),
    }
    if as_json:
        emit_json(content)
    for path, reason in outcome.failed_paths.items():
        tell(f"warning: the path over {path} failed: {reason}")
    if outcome.refusal is not None:
        raise CommandError(f"{name} was refused: {outcome.refusal}", hint="`trader status` shows why.")
    if outcome.missing:
        raise CommandError(
            f"{name} was sent over {', '.join(outcome.paths)}: expected an answer of "
            f"{', '.join(outcome.missing)} within {outcome.waited_s_max:g} s, found none",
            hint="A halt holds all the same as soon as it is read. See `trader ps` and `trader status`.",
            status=ExitStatus.TIMED_OUT,
        )
    if not as_json:
        emit_pairs({**content, "scope": scope}, as_json=False)


async def _status(place: Place, account: str) -> dict[str, Any]:
    from cli.status import status_reader  # noqa: PLC0415 - the clients of the stores

    async with status_reader(place, account) as read:
        return await read()


def _latest(moments: Any) -> datetime | None:
    known = [moment for moment in moments if moment is not None]
    return max(known) if known else None
