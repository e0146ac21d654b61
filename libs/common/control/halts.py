"""Halts and the latch that remembers them.

A halt stays until a RESUME names it. The latch is the OR of Postgres (the risk manager's), Redis and a directory of
files; whatever cannot be read counts as latched.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from libs.common.contracts.events.control import ControlCommanded
from libs.common.contracts.fields import AccountName, Name, Symbol, Text, UtcTime
from libs.common.contracts.vocabulary import StopTrigger

HaltId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
"""A command's id or the name of an emergency: safe as a file name."""


class HaltRecord(BaseModel):
    """One halt: who stopped what, when and why.

    Attributes:
        halt_id: What a RESUME names to clear it.
        account: None: every account.
        scope_symbol: Set when only this symbol's entries stop, `scope_strategy` likewise.
        liquidate: Sell the positions of the scope; counts only with a valid `command` or from the risk manager.
        command: The signed command, so that its readers can verify it and answer without Kafka.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    halt_id: HaltId
    account: AccountName | None = None
    scope_symbol: Symbol | None = None
    scope_strategy: Name | None = None
    trigger: StopTrigger = StopTrigger.MANUAL_STOP
    reason: Text = ""
    issuer: Name = ""
    halted_at: UtcTime
    liquidate: bool = False
    command: ControlCommanded | None = None

    @classmethod
    def of(cls, command: ControlCommanded) -> "HaltRecord":
        """Return the halt that a HALT command asks for."""
        return cls(
            halt_id=str(command.command_id),
            account=command.account,
            scope_symbol=command.scope_symbol,
            scope_strategy=command.scope_strategy,
            reason=command.reason,
            issuer=command.issuer,
            halted_at=command.occurred_at,
            liquidate=command.liquidate,
            command=command,
        )

    @property
    def covers_account(self) -> bool:
        """Tell whether everything stops, not only a symbol or a strategy."""
        return self.scope_symbol is None and self.scope_strategy is None

    def stops(self, account: str, *, symbol: str | None = None, strategy: str | None = None) -> bool:
        """Tell whether entries of an account, in a symbol and of a strategy, are stopped by this halt."""
        return (
            self.account in (None, account)
            and self.scope_symbol in (None, symbol)
            and self.scope_strategy in (None, strategy)
        )

    def to_bytes(self) -> bytes:
        """Return the form in which files and Redis keep it."""
        return self.model_dump_json(exclude_defaults=True).encode()


def halt_from(content: bytes | str, *, fallback: HaltRecord) -> HaltRecord:
    """Return the halt that was written, or `fallback` (which stops everything) where it cannot be understood."""
    try:
        return HaltRecord.model_validate_json(content)
    except ValidationError:
        return fallback


class HaltLatch(Protocol):
    """One of the places that remember halts."""

    async def add(self, record: HaltRecord) -> None:
        """Latch a halt; adding it again changes nothing."""
        ...

    async def read(self) -> Sequence[HaltRecord]:
        """Return every latched halt."""
        ...

    async def remove(self, halt_ids: Collection[str]) -> None:
        """Forget halts that a RESUME has settled; unknown ones are ignored."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LatchView:
    """What the latches said at one moment.

    Attributes:
        records: Every halt found, each once.
        in_redis: Ids of those in Redis, `in_files` of those in the directory.
        redis_readable: False: Redis did not answer in time. No permit can be read then either, so this alone
            stops entries without being a halt.
        file_readable: False: the directory could not be read in time; counts as latched.
    """

    records: tuple[HaltRecord, ...] = ()
    in_redis: frozenset[str] = frozenset()
    in_files: frozenset[str] = frozenset()
    redis_readable: bool = True
    file_readable: bool = True

    def stops(self, account: str, *, symbol: str | None = None, strategy: str | None = None) -> bool:
        """Tell whether entries must not be sent: a halt covers them, or the directory could not be read."""
        return not self.file_readable or any(
            record.stops(account, symbol=symbol, strategy=strategy) for record in self.records
        )
