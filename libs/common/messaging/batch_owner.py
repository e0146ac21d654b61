"""An owner that writes many records in one transaction: for a recorder of everything, not for decisions."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from libs.common.contracts.event import Event
from libs.common.messaging.cause import Cause
from libs.common.messaging.owner import Owner
from libs.common.messaging.positions import Positions
from libs.common.messaging.records import RawRecord
from libs.common.observability import metrics

R = TypeVar("R")
BatchHandler = Callable[[Sequence[RawRecord], R], Awaitable[Positions]]
"""Takes records in the order of their partitions and the repositories bound to the transaction; returns where to
continue after it. A partition that it leaves out is read again from its last position after a restart."""

BATCH_RECORDS_MAX: Final = 500
BATCH_BYTES_MAX: Final = 4 * 1_048_576
"""A transaction of the largest messages must be done within a statement's time, too."""
FETCH_BYTES_MIN: Final = 65_536
"""Fewer, larger transactions: at 250 ticks a second they cost a third of what one for every fetch does."""


class BatchOwner(Owner[R]):
    """Owns a role and hands its records, undecoded, to one handler.

    Args:
        handle: Records a batch; poison messages are its business, since it decodes nothing it does not need.
        options: As for `Owner`, without handlers.
    """

    def __init__(self, *, handle: BatchHandler[R], **options: Any) -> None:
        super().__init__(handlers={}, fetch_bytes_min=FETCH_BYTES_MIN, **options)
        self._handle_records = handle

    async def _handle_batch(self, records: Sequence[RawRecord]) -> None:
        for batch in _batches(records):
            with metrics.HANDLING_SECONDS.labels(topic="batch").time():
                await self._until_done(partial(self._record, batch), batch[0])

    async def _record(self, records: Sequence[RawRecord]) -> None:
        positions: Positions = {}

        async def work(repositories: R) -> Sequence[Event]:
            nonlocal positions
            positions = await self._handle_records(records, repositories)
            return ()

        await self._transact(work, cause=Cause.none(), positions=lambda: positions)
        for record in records:
            metrics.MESSAGES_HANDLED.labels(topic=record.topic, type="recorded").inc()


def _batches(records: Sequence[RawRecord]) -> Iterator[Sequence[RawRecord]]:
    """Divide records, in order, into batches of at most so many records and bytes, or one record."""
    batch: list[RawRecord] = []
    batch_bytes = 0
    for record in records:
        if batch and (len(batch) == BATCH_RECORDS_MAX or batch_bytes + len(record.value) > BATCH_BYTES_MAX):
            yield batch
            batch, batch_bytes = [], 0
        batch.append(record)
        batch_bytes += len(record.value)
    if batch:
        yield batch
