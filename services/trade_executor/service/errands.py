"""What is to be done outside the database, put down by transactions when they have committed.

Invariant: the queue is only a shortcut in time. Every errand follows from committed rows, and recovery plans it again.
"""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.trade_executor.domain.orders import ExecutorOrder

ERRANDS_MAX: Final = 1_000
"""More than the exchange lets us send in a minute: a longer queue is a bug, and the process restarts."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send one order, or the legs of a list.

    Attributes:
        exposed_since_ms: With a protection: since when the position is without one.
    """

    orders: Sequence[ExecutorOrder]
    exposed_since_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel working orders, lists as a whole.

    Attributes:
        may_wait: Only if what replaces them can follow at once, also when this is done; else their chain is planned
            again.
    """

    orders: Sequence[ExecutorOrder]
    may_wait: bool = False


@dataclass(frozen=True, slots=True)
class FetchFills:
    """Read the executions of an order, of which some are not recorded."""

    order: ExecutorOrder


@dataclass(frozen=True, slots=True)
class Resolve:
    """Find out what became of an order that may be at the exchange."""

    order: ExecutorOrder


@dataclass(frozen=True, slots=True)
class LookLater:
    """Plan a chain again at some time."""

    account: str
    chain_id: uuid.UUID
    at: datetime


Errand = Send | Cancel | FetchFills | Resolve | LookLater


class Errands:
    """The queue between transactions and the dispatcher."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Errand] = asyncio.Queue(ERRANDS_MAX)

    def put(self, errand: Errand) -> None:
        """Put down an errand.

        Raises:
            asyncio.QueueFull: `ERRANDS_MAX` wait already.
        """
        self._queue.put_nowait(errand)

    async def next(self) -> Errand:
        """Wait for the next errand."""
        return await self._queue.get()

    def waiting(self) -> Sequence[Errand]:
        """Take everything that waits at this moment."""
        return [self._queue.get_nowait() for _ in range(self._queue.qsize())]
