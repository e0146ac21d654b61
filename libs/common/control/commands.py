"""Signed commands: built, signed and verified.

HALT is easy: signature, scope and an unseen id suffice, whatever the clock says. Everything that lets trading go
on must also be fresh and newer than the key's last command.
"""

import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from libs.common.clock import epoch_ms
from libs.common.contracts.events.control import CommandName, ControlCommanded
from libs.common.control.operators import OperatorKey, Operators

LIFETIME_MAX: Final = timedelta(seconds=30)
"""A command that nobody acted on within this time is void."""

DEFAULT_ACCOUNT: Final = "main"
"""What `trader` means where nobody says `--account`."""

CLOCK_TOLERANCE: Final = timedelta(seconds=5)
"""How far in the future a command may have been issued: the difference of two machines' clocks."""

_DOMAIN: Final = b"crypto-trader-pro control v1\n"
"""Separates these signatures from everything else that a key might ever sign."""


class CommandRefusal(StrEnum):
    """Why a command was not accepted."""

    UNKNOWN_KEY = "UNKNOWN_KEY"
    BAD_SIGNATURE = "BAD_SIGNATURE"
    OUT_OF_SCOPE = "OUT_OF_SCOPE"
    REPLAYED = "REPLAYED"
    EXPIRED = "EXPIRED"
    LIFETIME_TOO_LONG = "LIFETIME_TOO_LONG"
    ISSUED_IN_THE_FUTURE = "ISSUED_IN_THE_FUTURE"
    OLD_SEQUENCE = "OLD_SEQUENCE"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandHistory:
    """What the verifying service remembers.

    Attributes:
        seen: This command's id was handled before.
        sequence_last: The highest sequence accepted of this command's key, -1 for none. Halts do not count: one
            issued by a clock that runs ahead must not block the key's later commands.
    """

    seen: bool = False
    sequence_last: int = -1


def issue_command(
    command: CommandName,
    *,
    account: str,
    reason: str,
    issuer: str,
    key: OperatorKey,
    command_id: uuid.UUID,
    now: datetime,
    lifetime: timedelta = LIFETIME_MAX,
    symbol: str | None = None,
    strategy: str | None = None,
    liquidate: bool = False,
    clears: tuple[str, ...] = (),
    changes: Mapping[str, str] | None = None,
    difference: int | None = None,
    alert: uuid.UUID | None = None,
) -> ControlCommanded:
    """Return a signed command.

    Its sequence is the time of issue in microseconds, which rises with every command of a key without a store.

    Args:
        command: HALT, RESUME, START, STOP, CONFIGURE, RECONCILE_ACCEPT or ACKNOWLEDGE.
        account: The account that it is for.
        reason: Why, for the audit log.
        issuer: The name that the operators file gives the key.
        key: Signs it.
        command_id: Random; seen once.
        now: When it is issued.
        lifetime: How long it may be acted on, at most `LIFETIME_MAX`; ignored for HALT.
        symbol: Narrows a halt or resume, `strategy` likewise.
        strategy: See `symbol`.
        liquidate: With HALT: sell the positions of the scope.
        clears: With RESUME: ids of the halts that it settles.
        changes: With CONFIGURE: the new values by dotted key.
        difference: With RECONCILE_ACCEPT: the id of the difference.
        alert: With ACKNOWLEDGE: the event id of the alert.
    """
    unsigned = ControlCommanded(
        occurred_at=now,
        command_id=command_id,
        command=command,
        account=account,
        scope_symbol=symbol,
        scope_strategy=strategy,
        liquidate=liquidate,
        clears=clears,
        changes=dict(changes or {}),
        difference=difference,
        alert=alert,
        reason=reason,
        issuer=issuer,
        sequence=epoch_ms(now) * 1_000 + now.microsecond % 1_000,
        expires_at=now + lifetime,
        key_id=key.key_id,
    )
    return sign(unsigned, key)


def option_for(account: str) -> str:
    """Return what a hint's `trader` command needs to mean an account; nothing for the one that it means by itself."""
    return "" if account == DEFAULT_ACCOUNT else f" --account {account}"


def sign(command: ControlCommanded, key: OperatorKey) -> ControlCommanded:
    """Return the command with the key's signature of its canonical form."""
    return command.model_copy(update={"signature": key.sign(canonical(command))})


def canonical(command: ControlCommanded) -> bytes:
    """Return the bytes that are signed: JSON with sorted keys and no spaces, fields at their default left out.

    Leaving defaults out keeps old signatures valid when a field is added, and makes a verifier that does not know
    a field refuse a command that uses it.
    """
    fields = command.model_dump(mode="json", exclude={"signature"}, exclude_defaults=True)
    return _DOMAIN + json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def verify(
    command: ControlCommanded,
    *,
    operators: Operators,
    accounts: Collection[str],
    now: datetime,
    history: CommandHistory,
) -> CommandRefusal | None:
    """Return why a command must be refused, or None to accept it.

    Args:
        command: As it arrived.
        operators: The accepted keys.
        accounts: The accounts that the verifying service serves.
        now: The verifier's time; a HALT does not depend on it.
        history: What is remembered of this command and its key.
    """
    operator = operators.find(command.key_id)
    if operator is None:
        return CommandRefusal.UNKNOWN_KEY
    if not operator.signed(canonical(command), command.signature):
        return CommandRefusal.BAD_SIGNATURE
    in_scope = command.account in accounts and operator.may(command.command, command.account)
    if not in_scope or command.issuer != operator.issuer:
        return CommandRefusal.OUT_OF_SCOPE
    if history.seen:
        return CommandRefusal.REPLAYED
    if command.command == "HALT":
        return None
    return _staleness(command, now=now, sequence_last=history.sequence_last)


def _staleness(command: ControlCommanded, *, now: datetime, sequence_last: int) -> CommandRefusal | None:
    if command.expires_at - command.occurred_at > LIFETIME_MAX:
        return CommandRefusal.LIFETIME_TOO_LONG
    if command.occurred_at > now + CLOCK_TOLERANCE:
        return CommandRefusal.ISSUED_IN_THE_FUTURE
    if now >= command.expires_at:
        return CommandRefusal.EXPIRED
    if command.sequence <= sequence_last:
        return CommandRefusal.OLD_SEQUENCE
    return None
