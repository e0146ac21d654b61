"""What a role has in the database, and the connection on which one process owns it.

Invariant: the lock is free as soon as its connection has ended, however it ended.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from libs.common.errors import RetryableError
from libs.common.messaging import ownership
from tests.simulation.loop import Life, Process


@dataclass
class Row:
    """A row of the outbox."""

    account: str
    sequence: int
    topic: str
    key: str
    value: str
    headers: dict[str, str]
    recorded_at_s: float
    published: bool = False

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


@dataclass
class Schema:
    """What one role has in the database.

    Attributes:
        owner: Who took the newest epoch, and `owned_since_s` when: it may write, whoever has the lock.
    """

    tables: Any
    owner: Process | None = None
    owned_since_s: float = 0.0
    epoch: int = 0
    holder: str = ""
    lease_at_s: float = 0.0
    lock: "LockConnection | None" = None
    offsets: dict[tuple[str, int], tuple[int, str]] = field(default_factory=dict)
    heads: dict[str, int] = field(default_factory=dict)
    outbox: list[Row] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)


class LockConnection:
    """The connection on which an `Ownership` holds its lock."""

    def __init__(
        self,
        answer: Callable[[], Awaitable[None]],
        now_s: Callable[[], float],
        schema: Schema,
        holder: str,
        process: Process,
    ) -> None:
        self._answer = answer
        self._now_s = now_s
        self.schema = schema
        self.holder = holder
        self.process = process
        self._closed = False

    def is_closed(self) -> bool:
        return self._closed or self.process.life is Life.DEAD

    def terminate(self) -> None:
        self._closed = True

    async def execute(self, query: str, *parameters: Any) -> None:
        await self.fetchval(query, *parameters)

    async def fetchval(self, query: str, *parameters: Any) -> Any:
        try:
            await self._answer()
        except RetryableError as error:
            self._closed = True
            raise OSError(str(error)) from error
        if self._closed:
            raise OSError("the session was ended")
        for known, carry_out in _STATEMENTS.items():
            if query.startswith(known):
                return carry_out(self, *parameters)
        raise NotImplementedError(query)

    def lock(self, _: int) -> bool:
        """Take the lock if it is free."""
        if self.schema.lock is None or self.schema.lock.is_closed():
            self.schema.lock = self
        return self.schema.lock is self

    def take_epoch(self, _: str, holder: str) -> int:
        """Raise the epoch and become its holder."""
        self.schema.epoch += 1
        self.schema.holder = holder
        self.schema.owner, self.schema.owned_since_s = self.process, self._now_s()
        return self.schema.epoch

    def renew(self, _: str, epoch: int) -> int:
        """Renew the lease, unless a newer owner has it."""
        if epoch >= self.schema.epoch:
            self.schema.lease_at_s = self._now_s()
        return epoch

    def guard(self, _: str, epoch: int) -> int | None:
        """Prove the epoch."""
        return 1 if self.schema.epoch == epoch else None

    def fence(self, _: str, silence_s_max: float) -> str | None:
        """Raise the epoch of a silent holder and return its name."""
        if self._now_s() - self.schema.lease_at_s <= silence_s_max:
            return None
        self.schema.epoch += 1
        return self.schema.holder

    def end_sessions(self, holder: str) -> int:
        """End the sessions of a holder."""
        if self.schema.lock is not None:
            self.schema.lock.terminate()
        self.schema.ended.add(holder)
        return 1


_STATEMENTS: Final[dict[str, Callable[..., Any]]] = {
    "SELECT pg_try_advisory_lock($1)": LockConnection.lock,
    ownership._TAKE_EPOCH: LockConnection.take_epoch,
    ownership._RENEW: LockConnection.renew,
    ownership.GUARD: LockConnection.guard,
    ownership._FENCE_SILENT_HOLDER: LockConnection.fence,
    ownership._END_SESSIONS: LockConnection.end_sessions,
}
