"""Exactly one process owns a role's state: an advisory lock, a rising epoch and a lease that must be renewed.

A frozen owner keeps its lock, so a standby that sees the lease silent raises the epoch, ends the holder's database
sessions, and then takes the lock. Whoever writes with an older epoch is refused by the database.
"""

import asyncio
import hashlib
from typing import Final

import asyncpg
import structlog

from libs.common.clock import Clock
from libs.common.errors import OwnershipLostError, RetryableError
from libs.common.observability import metrics
from libs.common.storage.postgres import COMMAND_TIMEOUT_S, UNREACHABLE
from libs.common.storage.transaction import Connection

RENEW_INTERVAL_S: Final = 1.0
SILENCE_S_MAX: Final = 5.0
STANDBY_INTERVAL_S: Final = 0.5

_log = structlog.get_logger(__name__)

_TAKE_EPOCH: Final = """
    INSERT INTO ownership AS current (role, epoch, holder) VALUES ($1, 1, $2)
    ON CONFLICT (role) DO UPDATE SET epoch = current.epoch + 1, holder = excluded.holder
    RETURNING epoch
"""
_RENEW: Final = """
    INSERT INTO leases (role, epoch, renewed_at) VALUES ($1, $2, clock_timestamp())
    ON CONFLICT (role) DO UPDATE SET epoch = excluded.epoch, renewed_at = excluded.renewed_at
    WHERE leases.epoch <= excluded.epoch
"""
_FENCE_SILENT_HOLDER: Final = """
    UPDATE ownership SET epoch = ownership.epoch + 1 FROM leases
    WHERE ownership.role = $1 AND leases.role = ownership.role
    AND leases.renewed_at < clock_timestamp() - make_interval(secs => $2)
    RETURNING ownership.holder
"""
"""The holder keeps its name until the lock is taken: whoever stands by next can end its sessions too, if this one
dies before it has."""
_END_SESSIONS: Final = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE usename = current_user AND application_name = $1 AND pid <> pg_backend_pid()
"""
GUARD: Final = "SELECT 1 FROM ownership WHERE role = $1 AND epoch = $2 FOR SHARE"
"""Inside an owner's transaction: no row means that another process has taken over."""


class Ownership:
    """One process's claim on a role.

    The lock lives on a connection of its own for as long as the process owns the role.
    """

    def __init__(self, *, dsn: str, role: str, holder: str, clock: Clock) -> None:
        self._dsn = dsn
        self._role = role
        self._holder = holder[:63]
        self._clock = clock
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self.epoch = 0

    async def take(self) -> int:
        """Wait, as a hot standby, until the role is ours; return the new epoch."""
        while True:
            try:
                if await self._try_to_take():
                    metrics.OWNERSHIP_EPOCH.labels(role=self._role).set(self.epoch)
                    _log.info("Took ownership", role=self._role, epoch=self.epoch)
                    return self.epoch
            except (*UNREACHABLE, RetryableError) as error:
                _log.warning("Postgres is not reachable; waiting for ownership", role=self._role, error=repr(error))
                await self.release()
            await asyncio.sleep(STANDBY_INTERVAL_S)

    async def keep(self) -> None:
        """Renew the lease every second, for ever.

        Raises:
            OwnershipLostError: Another process took over, or the lock's connection is gone: stop at once.
        """
        while True:
            if self._connection is None:
                raise OwnershipLostError(self._role, epoch=self.epoch)
            try:
                await self._connection.fetchval(_RENEW + " RETURNING epoch", self._role, self.epoch)
                held = await self._connection.fetchval(GUARD, self._role, self.epoch)
            except UNREACHABLE as error:
                raise OwnershipLostError(self._role, epoch=self.epoch) from error
            if held is None:
                raise OwnershipLostError(self._role, epoch=self.epoch)
            await asyncio.sleep(RENEW_INTERVAL_S)

    async def release(self) -> None:
        """Let go of the lock by closing its connection, within a bound."""
        connection, self._connection = self._connection, None
        metrics.OWNERSHIP_EPOCH.labels(role=self._role).set(0)
        if connection is not None and not connection.is_closed():
            connection.terminate()

    async def _try_to_take(self) -> bool:
        connection = self._connection
        if connection is None or connection.is_closed():
            connection = await asyncpg.connect(
                self._dsn,
                timeout=COMMAND_TIMEOUT_S,
                command_timeout=COMMAND_TIMEOUT_S,
                server_settings={"application_name": self._holder},
            )
            self._connection = connection
        if not await self._lock(connection):
            await self._end_silent_holder(connection)
            return False
        self.epoch = await connection.fetchval(_TAKE_EPOCH, self._role, self._holder)
        await connection.execute(_RENEW, self._role, self.epoch)
        return True

    async def _lock(self, connection: Connection) -> bool:
        number = int.from_bytes(hashlib.sha256(self._role.encode()).digest()[:8], signed=True)
        return bool(await connection.fetchval("SELECT pg_try_advisory_lock($1)", number))

    async def _end_silent_holder(self, connection: Connection) -> None:
        holder = await connection.fetchval(_FENCE_SILENT_HOLDER, self._role, SILENCE_S_MAX)
        if holder is None:
            return
        ended = await connection.fetchval(_END_SESSIONS, holder)
        _log.warning("Ended the sessions of a silent owner", role=self._role, holder=holder, sessions=ended)
