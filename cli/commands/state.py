"""`trader status`, `start`, `stop`, `halt`, `resume`: the trading state."""

import uuid
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.errors import CommandError, ExitStatus
from cli.options import DEFAULT_DATA_DIR, Account, AsJson, DataDir, Reason, Symbol
from cli.output import emit_json, emit_pairs, tell
from cli.place import Place, find_place, run
from libs.common.clock import Clock, SystemClock
from libs.common.contracts.events import CommandAcknowledged, ControlCommanded
from libs.common.contracts.events.control import CommandName
from libs.common.control.commands import issue_command
from libs.common.control.operators import OperatorKey
from libs.common.errors import RetryableError

ACKNOWLEDGED_S_MAX: Final = 5.0
HALT_SWEPT_S_MAX: Final = 8.0
ISSUER: Final = "operator"
ANSWERERS: Final[dict[CommandName, frozenset[str]]] = {
    "HALT": frozenset({"risk_manager", "trade_executor"}),
    "RESUME": frozenset({"risk_manager"}),
    "START": frozenset({"risk_manager"}),
    "STOP": frozenset({"risk_manager"}),
}
"""Whose answers a command waits for."""

Strategy = Annotated[str | None, typer.Option("--strategy", help="Only this strategy.")]


def status(data_dir: DataDir = DEFAULT_DATA_DIR, account: Account = "main", as_json: AsJson = False) -> None:
    """Show the trading state, equity, PnL of the day, positions, orders, and how fresh everything is."""
    content = run(_status(find_place(data_dir), account))
    emit_pairs(content, as_json=as_json)


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
    place = find_place(data_dir)
    clears = tuple(halt_id or run(_standing_halts(place, account)))
    if not clears:
        raise CommandError(
            f"{account}: expected a halt to resume from, found none",
            hint="`trader status` shows the state; `trader start` leads from REDUCING to ACTIVE.",
        )
    _command("RESUME", data_dir, account, reason, symbol=symbol, strategy=strategy, clears=clears, as_json=as_json)


def _command(
    command: CommandName,
    data_dir: Path,
    account: str,
    reason: str,
    *,
    as_json: bool,
    symbol: str | None = None,
    strategy: str | None = None,
    liquidate: bool = False,
    clears: tuple[str, ...] = (),
) -> None:
    if not reason.strip():
        raise CommandError("--reason: expected a reason, found an empty text", status=ExitStatus.USAGE)
    place = find_place(data_dir)
    clock = SystemClock()
    signed = issue_command(
        command,
        account=account,
        reason=reason,
        issuer=ISSUER,
        key=OperatorKey.load(Path(place.endpoints["operator_key_file"])),
        command_id=uuid.uuid4(),
        now=clock.now(),
        symbol=symbol,
        strategy=strategy,
        liquidate=liquidate,
        clears=clears,
    )
    _report(signed, run(_issue(place, signed, clock)), as_json=as_json)


async def _issue(place: Place, command: ControlCommanded, clock: Clock) -> dict[str, Any]:
    """Send a command over its paths and wait for the answers; return the documented object."""
    from cli.control_channel import ControlChannel  # noqa: PLC0415 - aiokafka costs half a second

    started_s = clock.monotonic_s()
    async with ControlChannel(place, clock=clock) as channel:
        paths, failed = await channel.send(command)
        if not paths:
            raise RetryableError("; ".join(f"{path}: {reason}" for path, reason in failed.items()))
        answers = await channel.answers(command, expected=ANSWERERS[command.command], deadline_s=_deadline_s(command))
    return {
        "command_id": command.command_id,
        "acknowledged_ms": max((int((answer[1] - started_s) * 1_000) for answer in answers), default=None),
        "paths": sorted(paths),
        "failed_paths": failed,
        "answers": [answer[0] for answer in answers],
    }


def _deadline_s(command: ControlCommanded) -> float:
    return HALT_SWEPT_S_MAX if command.command == "HALT" else ACKNOWLEDGED_S_MAX


def _report(command: ControlCommanded, outcome: dict[str, Any], *, as_json: bool) -> None:
    answers: list[CommandAcknowledged] = outcome["answers"]
    refused = next((answer for answer in answers if not answer.accepted), None)
    content = {
        "command_id": outcome["command_id"],
        "acknowledged_ms": outcome["acknowledged_ms"],
        "paths": outcome["paths"],
        "state": next((answer.state for answer in answers if answer.component == "risk_manager"), None),
        "orders_cancelled": sum(answer.orders_cancelled for answer in answers),
        "last_order_sent_at": _latest(answer.last_order_sent_at for answer in answers),
        "last_order_accepted_at": _latest(answer.last_order_accepted_at for answer in answers),
    }
    if as_json:
        emit_json(content)
    for path, reason in outcome["failed_paths"].items():
        tell(f"warning: the path over {path} failed: {reason}")
    if refused is not None:
        raise CommandError(f"{command.command} was refused: {refused.reason}", hint="`trader status` shows why.")
    missing = ANSWERERS[command.command] - {answer.component for answer in answers}
    if missing:
        raise CommandError(
            f"{command.command} was sent over {', '.join(outcome['paths'])}: expected an answer of "
            f"{', '.join(sorted(missing))} within {_deadline_s(command):g} s, found none",
            hint="A halt holds all the same as soon as it is read. See `trader ps` and `trader status`.",
            status=ExitStatus.TIMED_OUT,
        )
    if not as_json:
        emit_pairs(content, as_json=False)


async def _status(place: Place, account: str) -> dict[str, Any]:
    from cli.prices import open_redis, permit_age_ms, read_prices  # noqa: PLC0415 - redis-py
    from cli.status import read_status  # noqa: PLC0415

    table = place.processes()
    ready_since_s = min((float(str(row["uptime_s"])) for row in table.processes), default=0.0)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(place.database())
        content = await read_status(database, account=account)
        content["uptime_s"] = ready_since_s
        symbols = [feed["symbol"] for feed in content["feeds"]]
        store = await stack.enter_async_context(open_redis(place.endpoints["redis"]))
        try:
            content["permit_age_ms"] = await permit_age_ms(store, account)
            prices = await read_prices(store, symbols) if symbols else []
            content["feeds"] = [{"symbol": price["symbol"], "age_ms": price["age_ms"]} for price in prices]
        except RetryableError as error:
            tell(f"warning: {error}")
    return content


async def _standing_halts(place: Place, account: str) -> list[str]:
    async with place.database() as database, database.connection() as connection:
        rows = await connection.fetch(
            "SELECT halt_id FROM halts WHERE account = $1 AND cleared_at IS NULL ORDER BY halt_id", account
        )
    return [row["halt_id"] for row in rows]


def _latest(moments: Any) -> datetime | None:
    known = [moment for moment in moments if moment is not None]
    return max(known) if known else None
