"""Commanding a stack: a command is signed, sent over its paths, and its answers are collected.

A halt is written to its file before the clients of the other paths are even loaded: it holds from then on.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from cli.holdings import HoldingsWatch
from cli.keyring import signing_key
from cli.place import Place
from libs.common.clock import SystemClock
from libs.common.contracts.events.control import CommandAcknowledged, CommandName, ControlCommanded
from libs.common.control.commands import issue_command
from libs.common.control.file_latch import FileHaltLatch
from libs.common.control.halts import HaltRecord
from libs.common.errors import RetryableError

ACKNOWLEDGED_S_MAX: Final = 5.0
HALT_SWEPT_S_MAX: Final = 8.0
RECONCILED_S_MAX: Final = 20.0
ANSWERERS: Final[Mapping[CommandName, frozenset[str]]] = {
    "HALT": frozenset({"risk_manager", "trade_executor"}),
    "RESUME": frozenset({"risk_manager"}),
    "START": frozenset({"risk_manager"}),
    "STOP": frozenset({"risk_manager"}),
    "CONFIGURE": frozenset({"risk_manager"}),
    "RECONCILE_ACCEPT": frozenset({"trade_executor"}),
    "ACKNOWLEDGE": frozenset({"notifier"}),
}
"""Whose answers a command waits for."""
WAITED_S_MAX: Final[Mapping[CommandName, float]] = {"HALT": HALT_SWEPT_S_MAX, "RECONCILE_ACCEPT": RECONCILED_S_MAX}
"""How long, where it is not `ACKNOWLEDGED_S_MAX`: entries are swept, the books compared anew."""

_STANDING: Final = """
    SELECT halt_id, trigger, reason, issuer, halted_at FROM halts
    WHERE account = $1 AND cleared_at IS NULL
      AND ($2::text IS NULL OR scope_symbol = $2) AND ($3::text IS NULL OR scope_strategy = $3)
    ORDER BY halt_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a command.

    Attributes:
        command: The command as it was signed.
        paths: The ways that carried it, sorted.
        failed_paths: What went wrong on each other one.
        answers: What the services said to it.
        acknowledged_ms: From its signature to the last answer; None without one.
        verified_ms: From its signature to the proof that a halt holds; None: it did not come in time.
        flat: Of a halt that sells: whether it is proven that nothing is left; None of any other command.
        positions_left: What is left where that is not proven, as far as known.
    """

    command: ControlCommanded
    paths: Sequence[str]
    failed_paths: Mapping[str, str]
    answers: Sequence[CommandAcknowledged]
    acknowledged_ms: int | None
    verified_ms: int | None = None
    flat: bool | None = None
    positions_left: Sequence[Mapping[str, Any]] = ()

    @property
    def refusal(self) -> str | None:
        """Why it was refused, if it was."""
        return next((answer.reason for answer in self.answers if not answer.accepted), None)

    @property
    def is_latched(self) -> bool:
        """Tell whether it is a halt that holds although its signature may be refused: a latch has it."""
        return self.command.command == "HALT" and not {"file", "redis"}.isdisjoint(self.paths)

    @property
    def note(self) -> str:
        """What came of it, where whoever accepted it said so."""
        return next((answer.reason for answer in self.answers if answer.accepted and answer.reason), "")

    @property
    def missing(self) -> list[str]:
        """Who has not answered."""
        return sorted(ANSWERERS[self.command.command] - {answer.component for answer in self.answers})

    @property
    def waited_s_max(self) -> float:
        """How long answers were waited for."""
        return WAITED_S_MAX.get(self.command.command, ACKNOWLEDGED_S_MAX)


async def operate(
    place: Place,
    command: CommandName,
    *,
    account: str,
    reason: str,
    symbol: str | None = None,
    strategy: str | None = None,
    liquidate: bool = False,
    clears: tuple[str, ...] = (),
    changes: Mapping[str, str] | None = None,
    difference: int | None = None,
    alert: uuid.UUID | None = None,
    verified_within_s: float = 0.0,
    progress: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Sign a command with the operator's key, send it, and wait for the answers.

    A halt waits for the proof that it holds, and where it sells that nothing is left, up to `verified_within_s`;
    `progress` is told meanwhile what is still held. The other arguments are those of `issue_command`.

    Raises:
        RetryableError: No path carried it.
    """
    clock = SystemClock()
    started_s = clock.monotonic_s()
    key, issuer = signing_key(place, command, account)
    signed = issue_command(
        command,
        account=account,
        reason=reason,
        issuer=issuer,
        key=key,
        command_id=uuid.uuid4(),
        now=clock.now(),
        symbol=symbol,
        strategy=strategy,
        liquidate=liquidate,
        clears=clears,
        changes=changes,
        difference=difference,
        alert=alert,
    )
    paths: list[str] = []
    failed: dict[str, str] = {}
    if command == "HALT":
        try:
            FileHaltLatch(place.halt_dir).add_now(HaltRecord.of(signed))
            paths.append("file")
        except OSError as error:
            failed["file"] = str(error)
    from cli.control_channel import ControlChannel  # noqa: PLC0415 - half a second in which a halt already holds

    async with ControlChannel(place, clock=clock) as channel:
        carried, broken = await channel.send(signed)
        paths += carried
        failed.update({str(path): reason for path, reason in broken.items()})
        if not paths:
            raise RetryableError("; ".join(f"{path}: {error}" for path, error in failed.items()))
        outcome = Outcome(command=signed, paths=sorted(paths), failed_paths=failed, answers=(), acknowledged_ms=None)
        answers = await channel.answers(signed, expected=ANSWERERS[command], deadline_s=outcome.waited_s_max)
        outcome = replace(
            outcome,
            answers=[answer for answer, _ in answers],
            acknowledged_ms=max((int((at_s - started_s) * 1_000) for _, at_s in answers), default=None),
        )
        if verified_within_s <= 0 or outcome.refusal is not None or not answers:
            return outcome  # the proof takes the way of the answers
        watch = HoldingsWatch(place, signed, progress=progress)
        proof = await channel.proof(
            str(signed.command_id), flat=liquidate, deadline_s=verified_within_s, look=watch.look
        )
    if proof is None:
        left = await watch.holdings() if liquidate else ()
        return replace(outcome, flat=False if liquidate else None, positions_left=left or ())
    verified_ms = int((proof[1] - started_s) * 1_000)
    return replace(outcome, verified_ms=verified_ms, flat=True if liquidate else None)


async def standing_halts(
    place: Place, account: str, *, symbol: str | None = None, strategy: str | None = None
) -> list[str]:
    """Return the ids of the account's halts that no resume has settled; see `read_standing`."""
    return [halt["halt_id"] for halt in await read_standing(place, account, symbol=symbol, strategy=strategy)]


async def read_standing(
    place: Place, account: str, *, symbol: str | None = None, strategy: str | None = None
) -> list[dict[str, Any]]:
    """Return the account's halts that no resume has settled: id, trigger, reason, issuer and moment.

    Args:
        place: The running stack.
        account: Whose halts.
        symbol: Only halts of this market; None: of any, and of all. `strategy` likewise.
        strategy: See `symbol`.
    """
    async with place.database() as database, database.connection() as connection:
        rows = await connection.fetch(_STANDING, account, symbol, strategy)
    return [dict(row) for row in rows]
