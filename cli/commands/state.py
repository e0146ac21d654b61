"""`trader status`, `start`, `stop`, `halt`, `resume`: the trading state."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.durations import parse_duration
from cli.errors import CommandError, ExitStatus
from cli.options import DEFAULT_DATA_DIR, Account, AsJson, DataDir, Reason, Symbol
from cli.output import emit_json, emit_pairs, tell
from cli.place import Place, find_place, run
from cli.scope import check_reason, check_scope, told_scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cli.operating import Outcome
    from libs.common.contracts.events.control import CommandName

Strategy = Annotated[str | None, typer.Option("--strategy", help="Only this strategy.")]
Within = Annotated[
    str, typer.Option("--within", help="How long to wait until it is proven that nothing is left to sell.")
]
VERIFIED_S_MAX: Final = 5.0
"""How long a halt waits for the proof that no entry is left; it holds without it."""

CLEARED_MAX: Final = 100
"""What one command can name."""

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

    limit_pct = run(daily_loss_limit_pct(place, account))
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
    within: Within = "60s",
    symbol: Symbol = None,
    strategy: Strategy = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    account: Account = "main",
    as_json: AsJson = False,
) -> None:
    """The kill switch: over Kafka, Redis and a file at once; entries are cancelled, protection stays."""
    within_s = parse_duration(within, option="--within").total_seconds() if liquidate else VERIFIED_S_MAX
    _command(
        "HALT",
        data_dir,
        account,
        reason,
        symbol=symbol,
        strategy=strategy,
        liquidate=liquidate,
        verified_within_s=within_s,
        as_json=as_json,
    )


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
    from cli.operating import read_standing  # noqa: PLC0415 - the libraries behind it cost half a second

    place = find_place(data_dir)
    check_scope(place, account=account, symbol=symbol, strategy=strategy, consequence=NOTHING_DONE["RESUME"])
    standing = run(read_standing(place, account, symbol=symbol, strategy=strategy))
    clears = tuple(halt_id or (halt["halt_id"] for halt in standing))[:CLEARED_MAX]
    if not clears:
        raise CommandError(
            f"{told_scope(account, symbol=symbol, strategy=strategy)}: expected a halt to resume from, found none",
            hint="`trader status` shows the state; `trader start` leads from REDUCING to ACTIVE.",
        )
    for halt in standing:
        if halt["halt_id"] in clears and not as_json:
            tell(
                f"names {halt['halt_id']}: {halt['trigger']}: {halt['reason']} ({halt['issuer']}, {halt['halted_at']})"
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
    verified_within_s: float = 0.0,
) -> None:
    check_reason(reason, consequence=NOTHING_DONE[command])
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
            verified_within_s=verified_within_s,
            progress=tell,
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
        **_results(outcome),
    }
    if as_json:
        emit_json(content)
    for path, reason in outcome.failed_paths.items():
        tell(f"warning: the path over {path} failed: {reason}")
    if outcome.refusal is not None and outcome.is_latched:
        unsold = ", not liquidated" if outcome.command.liquidate else ""
        raise CommandError(
            f"{scope} is halted unsigned{unsold}; the signature was refused: {outcome.refusal}",
            hint="`trader status` shows the state, `trader keys list` whose commands are accepted.",
        )
    if outcome.refusal is not None:
        raise CommandError(f"{name} was refused: {outcome.refusal}", hint="`trader status` shows why.")
    if outcome.missing:
        raise CommandError(
            f"{name} was sent over {', '.join(outcome.paths)}: expected an answer of "
            f"{', '.join(outcome.missing)} within {outcome.waited_s_max:g} s, found none",
            hint="A halt holds all the same as soon as it is read. See `trader ps` and `trader status`.",
            status=ExitStatus.TIMED_OUT,
        )
    if outcome.flat is False:
        left = ", ".join(f"{position['symbol']} {position['quantity']}" for position in outcome.positions_left)
        raise CommandError(
            f"{scope} is halted: expected a proof that all of it is sold, found {left or 'none in time'}",
            hint="The sale goes on until nothing is left. See `trader positions` and `trader orders`.",
            status=ExitStatus.TIMED_OUT,
        )
    if name == "HALT" and outcome.verified_ms is None:
        tell("warning: it is not proven yet that no entry is left at the exchange; it is swept until that is certain")
    if not as_json:
        emit_pairs({**content, "scope": scope}, as_json=False)


def _results(outcome: "Outcome") -> dict[str, Any]:
    """Return what only a halt, or only a resume, has to say."""
    match outcome.command.command:
        case "HALT":
            return {
                "verified_ms": outcome.verified_ms,
                "flat": outcome.flat,
                "positions_left": list(outcome.positions_left),
            }
        case "RESUME":
            latched = outcome.note.partition("still latched: ")[2]
            return {
                "cleared": list(outcome.command.clears) if not outcome.missing and outcome.refusal is None else [],
                "still_latched": latched.split(", ") if latched else [],
            }
        case _:
            return {}


async def _status(place: Place, account: str) -> dict[str, Any]:
    from cli.status import status_reader  # noqa: PLC0415 - the clients of the stores

    async with status_reader(place, account) as read:
        return await read()


def _latest(moments: Any) -> datetime | None:
    known = [moment for moment in moments if moment is not None]
    return max(known) if known else None
