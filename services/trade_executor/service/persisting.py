"""Reach the books from outside a handler: write down what happened, however long the database is away, and read.

What the exchange said is true whether or not we can record it, so the attempt is repeated until it succeeds; only a
newer owner ends it, or a commit of which nobody knows whether it took effect.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import structlog

from libs.common.contracts.event import Event
from libs.common.errors import RetryableError
from libs.common.messaging.cause import Cause
from services.trade_executor.service.ports import Records, Transactions, Work

T = TypeVar("T")

_RETRY_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
_LOG: Final = structlog.get_logger()


async def persist(transactions: Transactions, work: Work, *, cause: Cause | None = None) -> None:
    """Apply idempotent work until it is committed.

    Raises:
        OwnershipLostError: Another process writes now; its recovery finds the same facts.
        CommittedUnseenError: It may be committed, and what was to follow is lost; the next start's recovery finds both.
    """
    attempt = 0
    while True:
        try:
            await transactions.apply(work, cause=cause)
        except RetryableError as error:
            delay_s = _RETRY_S[min(attempt, len(_RETRY_S) - 1)]
            attempt += 1
            _LOG.warning("A result could not be written down; trying again", error=str(error), delay_s=delay_s)
            await asyncio.sleep(delay_s)
        else:
            return


async def fetch(transactions: Transactions, query: Callable[[Records], Awaitable[T]]) -> T:
    """Return what the books say.

    Raises:
        RetryableError: The database is away.
    """
    answers: list[T] = []

    async def read(records: Records) -> Sequence[Event]:
        answers[:] = [await query(records)]
        return []

    await transactions.apply(read)
    return answers[0]
