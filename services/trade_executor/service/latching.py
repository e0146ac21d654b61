"""Halt what a difference is about, over the shared latch, until it is settled and a RESUME names the halt.

Invariant: whatever is open is latched: a latch that could not be written is written at the next look.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, Protocol

import structlog
from pydantic import ValidationError

from libs.common.clock import Clock, epoch_ms
from libs.common.contracts.fields import TEXT_CHARACTERS_MAX
from libs.common.contracts.vocabulary import StopTrigger
from libs.common.control.halting import HaltPath, issue_halt
from libs.common.control.halts import HaltRecord
from services.trade_executor.domain.differences import StoredDifference, Subject
from services.trade_executor.service.brake import Brake
from services.trade_executor.service.events import COMPONENT

CAUSE: Final = "reconciliation"
LATCHED_MAX: Final = 10_000

_LOG: Final = structlog.get_logger()


class Latch(Protocol):
    """One of the places that remember halts."""

    async def add(self, record: HaltRecord) -> None:
        """Latch a halt; adding it again changes nothing."""
        ...


class DifferenceHalts:
    """Latches the halts of open differences, each once; the risk manager takes them over from there."""

    def __init__(self, *, brake: Brake, latches: Mapping[HaltPath, Latch], clock: Clock) -> None:
        self._brake = brake
        self._latches = latches
        self._clock = clock
        self._named: dict[tuple[str, Subject], HaltRecord] = {}
        self._latched: set[str] = set()

    async def hold(self, rows: Sequence[StoredDifference]) -> None:
        """Latch the halts of these open differences; one that grows under new ids keeps the halt of the first."""
        if len(self._latched) > LATCHED_MAX:
            self._latched.clear()  # to latch again changes nothing
            self._named.clear()
        for row in rows:
            halt = self._halt_for(row)
            if halt is None or halt.halt_id in self._latched:
                continue
            self._brake.on_halt(halt)
            writers = {path: partial(latch.add, halt) for path, latch in self._latches.items()}
            receipt = await issue_halt(writers, clock=self._clock)
            if receipt.paths:
                self._latched.add(halt.halt_id)
            else:
                _LOG.error("The halt of a difference could not be latched", difference=row.id, failed=receipt.failed)

    def _halt_for(self, row: StoredDifference) -> HaltRecord | None:
        """Return the halt that stands for what a row is about, unless it was resumed: then the row's own."""
        known = self._named.get((row.account, row.key))
        if known is not None and not self._brake.is_settled(known.halt_id):
            return known
        halt = halt_of(row)
        if halt is not None:
            self._named[row.account, row.key] = halt
        return halt


def halt_of(row: StoredDifference) -> HaltRecord | None:
    """Return the halt of a difference: of its symbol, or of the account; None where no order can name the symbol."""
    reason = f"{CAUSE}: {row.kind} {row.subject}: expected {row.expected}, found {row.found}"
    try:
        return HaltRecord(
            halt_id=f"difference-{row.account}-{row.id}-{epoch_ms(row.since)}",
            account=row.account,
            scope_symbol=row.symbol,
            trigger=StopTrigger.SYSTEM_ERROR,
            reason=reason[:TEXT_CHARACTERS_MAX],
            issuer=COMPONENT,
            halted_at=row.since,
        )
    except ValidationError:
        return None  # an asset whose name no market of ours can have
