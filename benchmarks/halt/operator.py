"""The operator of the bench: halts and resumes with the code of `trader`, and freezes the stores."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Final

from redis.exceptions import RedisError

from benchmarks.stacks import BenchmarkError, RunningStack
from cli.operating import Outcome, operate, standing_halts
from cli.place import Place
from libs.common.contracts.events.control import CommandName
from libs.common.errors import RetryableError
from libs.common.storage import keys
from libs.common.storage.postgres import Database
from libs.common.storage.redis import RedisStore
from libs.embedded.process import ProcessStatus

ACCOUNT: Final = "main"
FROZEN: Final = ("kafka", "redis")
READY_S_MAX: Final = 60.0
RETRY_S: Final = 0.2

_REQUESTS: Final = """
    SELECT requested_at FROM orders
    WHERE account = $1 AND role = 'ENTRY' AND requested_at IS NOT NULL ORDER BY requested_at
"""


class Operator:
    """Commands one account of a running stack.

    Args:
        running: The stack.
        redis: Its Redis, where the permit is.
    """

    def __init__(self, running: RunningStack, redis: RedisStore) -> None:
        self._stack = running.stack
        self._redis = redis
        stores = running.stack.addresses
        endpoints = {"kafka": stores.kafka, "redis": stores.redis, **running.composition.endpoints()}
        self._place = Place(running.stack.directory, endpoints)

    async def halt(self, reason: str) -> Outcome:
        """Halt, and wait for the answers."""
        return await operate(self._place, "HALT", account=ACCOUNT, reason=reason)

    async def resume(self) -> None:
        """Let the account trade again.

        Raises:
            BenchmarkError: It does not.
        """
        await self._until_obeyed("RESUME")
        await self._until_obeyed("START")
        await self.until_permitted()

    async def until_permitted(self) -> None:
        """Wait until the risk manager lets the executor enter: marks, state and market are known then.

        Raises:
            BenchmarkError: It does not.
        """
        async for _ in attempts("a permit"):
            with suppress(RedisError):
                if await self._redis.client.exists(keys.permit(ACCOUNT)):
                    return

    @asynccontextmanager
    async def frozen_stores(self) -> AsyncIterator[None]:
        """Freeze Kafka and Redis: they keep their connections and answer nothing."""
        pids = [pid for status in self._stack.snapshot() if (pid := _pid_to_freeze(status)) is not None]
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    async def requests(self) -> Sequence[datetime]:
        """Return when the account's entries were sent."""
        database = await Database.connect(self._place.endpoints["postgres"], application="bench", connections_max=1)
        try:
            async with database.connection() as connection:
                return [row["requested_at"] for row in await connection.fetch(_REQUESTS, ACCOUNT)]
        finally:
            await database.close()

    async def _until_obeyed(self, command: CommandName) -> None:
        """Command until it is accepted: stores that were frozen take their time."""
        refusals: Counter[str] = Counter()
        async for _ in attempts(f"{command} to be accepted", lambda: dict(refusals)):
            with suppress(RetryableError):
                clears = await standing_halts(self._place, ACCOUNT) if command == "RESUME" else ()
                outcome = await operate(self._place, command, account=ACCOUNT, reason="benchmark", clears=tuple(clears))
                if outcome.refusal is None and not outcome.missing:
                    return
                refusals[outcome.refusal or f"no answer of {', '.join(outcome.missing)}"] += 1


async def attempts(what: str, found: Callable[[], object] = lambda: "none") -> AsyncIterator[None]:
    """Yield again and again until the time is over.

    Args:
        what: What is waited for.
        found: What there is of it.

    Raises:
        BenchmarkError: It is over.
    """
    loop = asyncio.get_running_loop()
    ends_at_s = loop.time() + READY_S_MAX
    while loop.time() < ends_at_s:
        yield
        await asyncio.sleep(RETRY_S)
    raise BenchmarkError(f"expected {what} within {READY_S_MAX:g} s, found {found()}")


def _pid_to_freeze(status: ProcessStatus) -> int | None:
    return status.pid if status.name in FROZEN else None
