"""The direct ways of a halt: Kafka, Redis and the halt directory, each read without any backlog before it.

Invariant: the shared latches end up holding exactly the halts that Postgres has, whoever wrote or lost one.
"""

from collections.abc import Coroutine, Sequence
from typing import Final, Protocol

import structlog

from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import ControlCommanded
from libs.common.control.commands import CommandHistory
from libs.common.control.halts import HaltLatch, HaltRecord, LatchView
from libs.common.errors import RetryableError
from services.risk_manager.service.emergencies import Apply
from services.risk_manager.service.governing import Governor
from services.risk_manager.service.permits import LastLook
from services.risk_manager.service.ports import RiskRecords

WATCH_INTERVAL_S: Final = 0.2
"""How long a halt that neither Kafka nor Redis carries may go unnoticed; well below the permits' `VIEW_AGE_S_MAX`."""

LOOKS_A_ROW: Final = 25
"""Every so many looks, five seconds, the stored rows are looked at too."""

_log = structlog.get_logger(__name__)


class Latches(Protocol):
    """Both shared latches, read in parallel."""

    async def read(self) -> LatchView:
        """Return what is latched now."""
        ...


class Permits(Protocol):
    """The permits, to be taken back at once."""

    async def revoke(self, account: str) -> None:
        """Take the account's permit back now, if Redis can be reached; it lapses by itself otherwise."""
        ...


class HaltWatch:
    """Sees to it that a halt takes effect whichever way it comes, and that settled ones disappear.

    Args:
        governor: Knows the halts and makes new ones durable.
        latches: What is latched, in both places.
        redis: The latch in Redis, to be written.
        file: The latch in the halt directory, to be written.
        permits: Taken back before anything else is done.
        apply: Runs work in a transaction of the owner.
        last_look: Told what was seen.
    """

    def __init__(
        self,
        *,
        governor: Governor,
        latches: Latches,
        redis: HaltLatch,
        file: HaltLatch,
        permits: Permits,
        apply: Apply,
        last_look: LastLook,
    ) -> None:
        self._governor = governor
        self._latches = latches
        self._redis = redis
        self._file = file
        self._permits = permits
        self._apply = apply
        self._last_look = last_look
        self._looks = 0

    async def on_command(self, envelope: Envelope[ControlCommanded]) -> None:
        """Carry out a HALT from `control` at once; the owner's own turn of the same record finds it done."""
        command = envelope.event
        if command.command != "HALT" or self._governor.refusal_of(command, CommandHistory()) is not None:
            return
        if HaltRecord.of(command).covers_account:
            await self._permits.revoke(command.account)

        async def carry_out(records: RiskRecords) -> Sequence[Event]:
            return await self._governor.on_command(envelope, records)

        await self._apply(carry_out)

    async def look(self) -> None:
        """Compare the latches with the known halts: take over new ones, assert missing ones, drop settled ones.

        Raises:
            RetryableError: A new halt could not be made durable; it stays latched and keeps the permit away.
        """
        view = await self._latches.read()
        self._last_look.saw(view)
        for halt in view.records:
            if halt.halt_id not in self._known() and self._concerns_us(halt):
                await self._take_over(halt, view)
        await self._assert_missing(view)
        await self._drop_settled(view)
        if self._looks % LOOKS_A_ROW == 0:
            await self._apply(self._governor.restore)
        self._looks += 1

    async def _take_over(self, halt: HaltRecord, view: LatchView) -> None:
        for account in self._governor.known:
            if halt.stops(account):
                await self._permits.revoke(account)

        async def latch(records: RiskRecords) -> Sequence[Event]:
            return await self._governor.on_latched(halt, "redis" if halt.halt_id in view.in_redis else "file", records)

        await self._apply(latch)

    async def _assert_missing(self, view: LatchView) -> None:
        known = self._known()
        for halt_id, halt in known.items():
            if view.redis_readable and halt_id not in view.in_redis:
                await self._try(self._redis.add(halt), "latch a halt in Redis")
            if view.file_readable and halt_id not in view.in_files:
                await self._try(self._file.add(halt), "latch a halt in the directory")

    async def _drop_settled(self, view: LatchView) -> None:
        known = self._known()
        unknown = [halt for halt in view.records if halt.halt_id not in known and self._concerns_us(halt)]
        settled: list[str] = []

        async def confirm(records: RiskRecords) -> Sequence[Event]:
            settled.extend([halt.halt_id for halt in unknown if await self._governor.is_settled(halt, records)])
            return ()

        if unknown:
            await self._apply(confirm)
        if settled:
            await self._try(self._redis.remove(settled), "drop settled halts from Redis")
            await self._try(self._file.remove(settled), "drop settled halts from the directory")

    async def _try(self, work: Coroutine[object, object, None], what: str) -> None:
        """The other place still holds the halt, and the next look tries again."""
        try:
            await work
        except (RetryableError, OSError) as error:
            _log.warning("A halt latch cannot be written", what=what, error=repr(error))

    def _known(self) -> dict[str, HaltRecord]:
        return {halt.halt_id: halt for state in self._governor.known.values() for halt in state.halts}

    def _concerns_us(self, halt: HaltRecord) -> bool:
        return halt.account is None or halt.account in self._governor.known
