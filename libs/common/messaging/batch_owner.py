"""An owner that writes many records in one transaction: for a recorder of everything, not for decisions."""

from collections.abc import Awaitable, Callable, Sequence
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
        for start in range(0, len(records), BATCH_RECORDS_MAX):
            batch = records[start : start + BATCH_RECORDS_MAX]
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
