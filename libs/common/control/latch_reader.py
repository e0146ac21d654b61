"""Both shared latches at once, each with its deadline, so that neither can hide what the other says."""

import asyncio
from collections.abc import Sequence

from libs.common.control.halts import HaltLatch, HaltRecord, LatchView
from libs.common.control.patience import PatientCall
from libs.common.errors import RetryableError

_Call = PatientCall[Sequence[HaltRecord]]
_Running = asyncio.Task[Sequence[HaltRecord]]


class LatchReader:
    """Reads Redis and the halt directory in parallel; to be asked in a loop that nothing else delays.

    Args:
        redis: The latch in Redis.
        file: The latch in the directory.
        deadline_s: How long each may take; a slower answer counts for the next reading.
    """

    def __init__(self, *, redis: HaltLatch, file: HaltLatch, deadline_s: float = 0.1) -> None:
        self._redis = PatientCall("halts in Redis", redis.read)
        self._file = PatientCall("halts in the directory", file.read)
        self._deadline_s = deadline_s

    async def read(self) -> LatchView:
        """Return what is latched now."""
        calls = [(call, call.begin()) for call in (self._redis, self._file)]
        await asyncio.wait({running for _, running in calls}, timeout=self._deadline_s)
        in_redis, in_files = (self._answer(call, running) for call, running in calls)
        records = {record.halt_id: record for record in [*(in_redis or ()), *(in_files or ())]}
        return LatchView(
            records=tuple(records.values()),
            in_redis=_ids(in_redis),
            in_files=_ids(in_files),
            redis_readable=in_redis is not None,
            file_readable=in_files is not None,
        )

    def _answer(self, call: _Call, running: _Running) -> Sequence[HaltRecord] | None:
        try:
            return call.take(running, self._deadline_s)
        except (RetryableError, OSError):
            return None


def _ids(records: Sequence[HaltRecord] | None) -> frozenset[str]:
    return frozenset(record.halt_id for record in records or ())
